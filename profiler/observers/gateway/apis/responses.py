"""OpenAI Responses: `POST .../responses`.

Shapes: https://platform.openai.com/docs/api-reference/responses and .../responses-streaming.
`usage`: cached tokens are inside `input_tokens`, reasoning tokens inside `output_tokens`. With
`previous_response_id` or `conversation` most of the input is at the provider: that part is unseen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from profiler.endpoints.json_values import (
    index_of,
    json_text,
    mapping,
    mappings,
    parsed,
    string,
    text_of,
)
from profiler.endpoints.openai_responses import usage_from
from profiler.observers.gateway.apis.reading import (
    UNREADABLE,
    EventReader,
    Speaker,
    Turn,
    request_of,
)
from profiler.observers.gateway.apis.values import (
    AnswerFault,
    CallAnswer,
    CallRequest,
    Countable,
    ToolAsked,
)

if TYPE_CHECKING:
    from profiler.measure.records import Usage

_ENDS = frozenset({"response.completed", "response.incomplete", "response.failed"})
_COUNTED_DELTAS = frozenset(
    {
        "response.output_text.delta",
        "response.refusal.delta",
        "response.function_call_arguments.delta",
        "response.custom_tool_call_input.delta",
    }
)
_NOT_INPUT = frozenset({"reasoning"})  # opaque, and dropped by the provider after the turn


class Responses:
    """The API as the gateway reads it."""

    name = "responses"

    def matches(self, path: str) -> bool:
        """Match any prefix; `/responses/ID` is no call of a model."""
        return path.endswith("/responses")

    def read_request(self, body: dict[str, Any]) -> CallRequest:
        """Read model, last user message and new tool results."""
        return request_of(
            body.get("model"),
            is_stream=body.get("stream") is True,
            newest_first=map(_turn, reversed(_items(body))),
        )

    def countable(self, body: dict[str, Any]) -> Countable:
        """Return the input in chat form, and what of it is not in the request."""
        messages: list[dict[str, Any]] = []
        unseen: set[str] = set()
        if isinstance(body.get("instructions"), str):
            messages.append({"role": "system", "content": body["instructions"]})
        items = _items(body)
        if any(body.get(key) is not None for key in ("previous_response_id", "conversation")):
            unseen.add("history")
            if all(_turn(item).speaker is not Speaker.USER for item in items):
                unseen.add("user")
                messages.append({"role": "user", "content": ""})  # what follows is after it
        if body.get("prompt") is not None:  # a template kept at the provider
            unseen.update(("system", "history", "user"))
        for item in items:
            if not _add(messages, item):
                unseen.add("history")
        return Countable(
            messages=messages, tools=mappings(body.get("tools")), unseen=frozenset(unseen)
        )

    def read_answer(self, data: bytes) -> CallAnswer:
        """Read a `response` object."""
        body = parsed(data)
        return _answer(body) if isinstance(body, dict) else UNREADABLE

    def stream(self) -> ResponsesStream:
        """Return a reader of response events."""
        return ResponsesStream()


class ResponsesStream(EventReader):
    """Complete with `response.completed`, `response.incomplete` or `response.failed`."""

    def __init__(self) -> None:
        super().__init__()
        self._final: CallAnswer | None = None

    def _take(self, item: dict[str, Any]) -> bool:
        kind = item.get("type")
        if not isinstance(kind, str):
            return False
        if kind.endswith(".delta"):
            delta = string(item.get("delta")) or ""
            if kind in _COUNTED_DELTAS:
                self._say((index_of(item.get("output_index")), kind), delta)
            return delta != ""
        if kind.startswith("response.output_item."):
            call = mapping(item.get("item"))
            asked = _asked(call)
            if asked is not None:
                if asked.id not in self._asked:
                    self._say((index_of(item.get("output_index")), "name"), asked.name)
                self._ask(asked.id, asked.name)
        elif kind in _ENDS:
            self._is_complete = True
            self._final = _answer(mapping(item.get("response")))
            if kind == "response.failed":
                self._fault = AnswerFault.ERROR
        elif kind == "error":
            self._fault = AnswerFault.ERROR
        elif self._model is None:
            self._model = string(mapping(item.get("response")).get("model"))
        return False

    def _usage(self) -> Usage | None:
        return None if self._final is None else self._final.usage

    def _texts(self) -> tuple[str, ...]:
        """Return the output from the last event where it has any: else the pieces."""
        final = self._final
        return final.texts if final is not None and final.texts else super()._texts()

    def finish(self) -> CallAnswer:
        """Complete from the last event what the others left out."""
        final = self._final
        if final is not None:
            for asked in final.asked:
                self._ask(asked.id, asked.name)
            if final.model is not None:
                self._model = final.model
        return super().finish()


def _items(body: dict[str, Any]) -> list[dict[str, Any]]:
    given = body.get("input")
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    return mappings(given)


def _kind(item: dict[str, Any]) -> str:
    """Return an item's type; that of a message may be left out."""
    kind = item.get("type")
    if isinstance(kind, str):
        return kind
    return "message" if "role" in item else "item_reference"


def _turn(item: dict[str, Any]) -> Turn:
    kind = _kind(item)
    if kind == "message":
        if item.get("role") == "user":
            return Turn(speaker=Speaker.USER, text=text_of(item.get("content")))
        is_answer = item.get("role") == "assistant"
        return Turn(speaker=Speaker.ASSISTANT if is_answer else Speaker.OTHER)
    if kind.endswith("_output"):
        call_id = item.get("call_id")
        return Turn(speaker=Speaker.RESULTS, ids=(call_id,) if isinstance(call_id, str) else ())
    # Calls stand between their results in some requests: they end nothing.
    return Turn(speaker=Speaker.OTHER)


def _add(messages: list[dict[str, Any]], item: dict[str, Any]) -> bool:
    """Add an item in chat form; say whether it could be read."""
    kind = _kind(item)
    if kind == "message":
        role = string(item.get("role")) or ""
        messages.append({"role": role, "content": item.get("content")})
    elif kind.endswith("_call_output"):
        messages.append({"role": "tool", "content": _output(item.get("output"))})
    elif kind in ("function_call", "custom_tool_call"):
        name, arguments = _call(item)
        call = {"function": {"name": name, "arguments": arguments}}
        if messages and "tool_calls" in messages[-1]:
            messages[-1]["tool_calls"].append(call)
        else:
            messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
    else:
        return kind in _NOT_INPUT
    return True


def _output(output: Any) -> Any:
    return output if isinstance(output, list) else json_text(output)


def _call(item: dict[str, Any]) -> tuple[str, str]:
    given = item.get("arguments") if "arguments" in item else item.get("input")
    return string(item.get("name")) or "", json_text(given)


def _asked(item: dict[str, Any]) -> ToolAsked | None:
    """Return the call of an output item that the agent itself has to make, if it is one.

    Those have a `call_id`; the provider's own tools (web search, ...) have none.
    """
    kind, call_id = item.get("type"), item.get("call_id")
    if isinstance(kind, str) and kind.endswith("_call") and isinstance(call_id, str):
        return ToolAsked(id=call_id, name=string(item.get("name")) or kind.removesuffix("_call"))
    return None


def _answer(body: dict[str, Any]) -> CallAnswer:
    texts: list[str] = []
    asked: list[ToolAsked] = []
    for item in mappings(body.get("output")):
        if item.get("type") == "message":
            for part in mappings(item.get("content")):
                texts.extend(string(part.get(key)) or "" for key in ("text", "refusal"))
            continue
        call = _asked(item)
        if call is not None:
            asked.append(call)
            texts.extend(_call(item))
    failed = body.get("error") is not None or body.get("status") == "failed"
    return CallAnswer(
        model=string(body.get("model")),
        usage=usage_from(body.get("usage")),
        texts=tuple(text for text in texts if text),
        asked=tuple(asked),
        fault=AnswerFault.ERROR if failed else None,
    )
