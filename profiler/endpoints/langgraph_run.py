"""What a run of a LangGraph thread comes to: the messages it made, read from updates or the state.

Messages are those of LangChain, as its server writes them: `type` is `human`, `ai` or `tool`, and
`AIMessageChunk` for a piece of one. Those with ids that were known before are no news.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from profiler.endpoints.event_stream import Ending, ToolsTold, count_of, in_one_line, text_of
from profiler.endpoints.exchange import Reply
from profiler.endpoints.json_values import mapping, mappings
from profiler.measure.records import Outcome
from profiler.values import value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_TEXTS_JOINED = "\n\n"
_INTERRUPT = "__interrupt__"
_MODEL_KEYS = ("model_name", "model", "model_id")
_MODELS_IDS = ("lc_run-", "run-")
"""What LangChain begins the id of a model's message with, where the provider gives none."""
_USAGE = {
    "input_tokens": ("input_tokens",),
    "output_tokens": ("output_tokens",),
    "cached_input_tokens": ("input_token_details", "cache_read"),
    "cache_write_tokens": ("input_token_details", "cache_creation"),
    "reasoning_tokens": ("output_token_details", "reasoning"),
}


@value
class Carried:
    """What the next turn must know: the thread's messages by id, and whether it is interrupted."""

    known: frozenset[str]
    is_interrupted: bool


class _Said:
    """One message of the assistant, as far as it is known.

    `is_kept`: it is in the state of the graph. `is_llm`: a model wrote it.
    """

    __slots__ = (
        "asked",
        "first_ns",
        "is_kept",
        "is_llm",
        "is_whole",
        "last_ns",
        "model",
        "pieces",
        "usage",
    )

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.first_ns: int | None = None
        self.last_ns: int | None = None
        self.usage: dict[str, int] = {}
        self.asked: list[str] = []
        self.model: str | None = None
        self.is_llm = self.is_whole = self.is_kept = False

    def arrived(self, at_ns: int | None) -> None:
        """Take the time at which a text of it came."""
        self.first_ns = at_ns if self.first_ns is None else self.first_ns
        self.last_ns = at_ns

    def account(self, *, is_over: bool) -> dict[str, Any]:
        """Return the LLM call that wrote it, as a trace block has it."""
        outcome = Outcome.OK if is_over or self.is_whole else Outcome.AGENT_ERROR
        call: dict[str, Any] = {"outcome": outcome.value, "tool_calls": self.asked}
        if self.usage:
            call["usage"] = self.usage
        if self.model is not None:
            call["model"] = self.model
        return call


class Run:
    """What a run made that was not known before."""

    def __init__(self, known: frozenset[str]) -> None:
        self.error: str | None = None
        self.is_settled = False
        self._known = known
        self._met: set[str] = set()
        self._said: dict[str, _Said] = {}
        self._tools = ToolsTold()
        self._interrupts: list[Any] | None = None

    def take(self, name: str, data: Any, at_ns: int) -> None:
        """Take the next event of a stream. One of a subgraph is named `updates|its:name`."""
        kind, _, subgraph = name.partition("|")
        if kind == "updates":
            self._take_updates(mapping(data), at_ns, is_root=not subgraph)
            self.is_settled = not subgraph
        elif kind == "messages":
            self.is_settled = False
            message = data[0] if isinstance(data, list) and data else None
            if isinstance(message, dict):
                self._take_message(message, at_ns, is_kept=False)
        elif kind == "error":
            self.error = _told(data)
        else:
            self.is_settled = True

    def take_state(self, state: dict[str, Any]) -> None:
        """Take the state of the thread, or the error that is in its place."""
        if "__error__" in state:
            self.error = _told(state["__error__"])
        self._take_updates({_INTERRUPT: state.get(_INTERRUPT), "state": state}, None, is_root=True)

    def _take_updates(self, updates: dict[str, Any], at_ns: int | None, *, is_root: bool) -> None:
        for node, update in updates.items():
            if node == _INTERRUPT:
                self._interrupts = update if isinstance(update, list) else self._interrupts
                continue
            for part in mappings(update if isinstance(update, list) else [update]):
                for message in _messages_in(part):
                    self._take_message(message, at_ns, is_kept=is_root)

    def _take_message(self, message: dict[str, Any], at_ns: int | None, *, is_kept: bool) -> None:
        name, kind = text_of(message, "id"), text_of(message, "type")
        if name in self._known or not (name or is_kept):
            return
        if name:
            self._met.add(name)
        if kind == "tool":
            self._take_result(message, at_ns)
        elif kind in ("ai", "AIMessageChunk"):
            said = self._said.setdefault(name or f"#{len(self._said)}", _Said())
            if kind == "ai":
                self._take_whole(said, message, at_ns)
            else:
                self._take_chunk(said, message, at_ns)
            said.is_kept = said.is_kept or is_kept

    def _take_chunk(self, said: _Said, message: dict[str, Any], at_ns: int | None) -> None:
        said.is_llm = True
        if said.is_whole:
            return
        delta = _text(message.get("content"))
        if delta:
            said.pieces.append(delta)
            said.arrived(at_ns)
        chunks = mappings(message.get("tool_call_chunks"))
        said.asked += [text_of(chunk, "name") for chunk in chunks if text_of(chunk, "name")]
        for key, count in _usage(message).items():
            said.usage[key] = said.usage.get(key, 0) + count

    def _take_whole(self, said: _Said, message: dict[str, Any], at_ns: int | None) -> None:
        metadata, usage = mapping(message.get("response_metadata")), _usage(message)
        model = next((metadata[key] for key in _MODEL_KEYS if text_of(metadata, key)), None)
        said.model = model if said.model is None else said.model
        is_models = bool(usage) or model is not None
        said.is_llm = said.is_llm or is_models or text_of(message, "id").startswith(_MODELS_IDS)
        said.usage = usage or said.usage
        text = _text(message.get("content"))
        if text and said.first_ns is None:
            said.arrived(at_ns)
        said.pieces = [text] if text else said.pieces
        calls = [call for call in mappings(message.get("tool_calls")) if text_of(call, "name")]
        said.asked = [text_of(call, "name") for call in calls] or said.asked
        if said.is_whole:  # a graph says again what its subgraphs said, when these are over
            return
        said.is_whole = True
        for call in calls:
            self._tools.asked(text_of(call, "id"), text_of(call, "name"))
            if at_ns is not None:
                self._tools.ready(text_of(call, "id"), at_ns)

    def _take_result(self, message: dict[str, Any], at_ns: int | None) -> None:
        call, name = text_of(message, "tool_call_id"), text_of(message, "name")
        if name:
            self._tools.asked(call, name)
        failed = message.get("status") == "error"
        self._tools.answered(call, at_ns, Outcome.AGENT_ERROR if failed else Outcome.OK)

    def interruption(self, *, resume: bool) -> str | None:
        """Return why an interrupted run is an error. One without a question cannot be resumed."""
        if self._interrupts is None or (resume and self._interrupts):
            return None
        said = in_one_line(self._question())
        return f"the run was interrupted: {said}" if said else "the run stopped at a breakpoint"

    def _question(self) -> str:
        """Return what an interrupted run asks."""
        values = [one.get("value") for one in mappings(self._interrupts)]
        return _TEXTS_JOINED.join(v if isinstance(v, str) else _json(v) for v in values)

    def reply(self, end: Ending, zero_ns: int, body: Any = None) -> Reply:
        """Return what the run comes to."""
        kept = [said for said in self._said.values() if said.is_kept]
        shown = [said for said in kept or self._said.values() if said.pieces]
        texts = ["".join(said.pieces) for said in shown]
        return Reply(
            text=_TEXTS_JOINED.join(filter(None, [*texts, self._question()])),
            first_token_ns=min(_known(said.first_ns for said in shown), default=None),
            last_token_ns=max(_known(said.last_ns for said in shown), default=None),
            trace=self._trace(zero_ns, is_over=end.kind is None),
            body=body,
            carried=Carried(
                known=self._known | self._met, is_interrupted=self._interrupts is not None
            ),
            error_kind=end.kind,
            error_detail=end.detail,
            is_protocol_error=end.is_protocol_error,
        )

    def _trace(self, zero_ns: int, *, is_over: bool) -> dict[str, Any] | None:
        """Return the account; without a message of a model, nothing is known of LLM calls."""
        tools = self._tools.account(zero_ns)
        calls = [said.account(is_over=is_over) for said in self._said.values() if said.is_llm]
        if not calls:
            return {"version": 1, "tool_calls": tools} if tools else None
        return {"version": 1, "llm_calls": calls, "tool_calls": tools}


def _messages_in(update: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the messages in an update of the state, whatever its keys are called."""
    for part in update.values():
        for item in part if isinstance(part, list) else (part,):
            if isinstance(item, dict) and "content" in item:
                yield item


def _usage(message: dict[str, Any]) -> dict[str, int]:
    """Read `usage_metadata`; what it does not say is not known. Cached tokens are in the input."""
    block = message.get("usage_metadata")
    found = {name: count_of(block, *path) for name, path in _USAGE.items()}
    return {name: count for name, count in found.items() if count is not None}


def _text(content: Any) -> str:
    """Return the text of a message: a text, or its blocks of text."""
    if isinstance(content, str):
        return content
    blocks = content if isinstance(content, list) else ()
    return "".join(
        block if isinstance(block, str) else text_of(block, "text")
        for block in blocks
        if isinstance(block, str) or (isinstance(block, dict) and block.get("type") == "text")
    )


def _told(error: Any) -> str:
    """Return an error in one line: its kind and its message, where it has both."""
    if not isinstance(error, dict):
        return in_one_line(error) or "error"
    said = [error[key] for key in ("error", "message") if error.get(key)]
    return in_one_line(": ".join(map(in_one_line, said)) or error)


def _json(item: Any) -> str:
    try:
        return orjson.dumps(item).decode()
    except orjson.JSONEncodeError:  # JSON may be read deeper than it is written
        return "a question that is nested too deep"


def _known(times_ns: Iterable[int | None]) -> list[int]:
    return [at_ns for at_ns in times_ns if at_ns is not None]
