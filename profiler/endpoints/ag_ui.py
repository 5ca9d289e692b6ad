"""AG-UI: `POST` of a `RunAgentInput`, answered by a stream of events (docs.ag-ui.com, version 1.1).

The client carries the thread: its messages with their ids (tool calls and results too) and its
state, as the events left them. Tokens are the run's, from its last event. The protocol tells tool
calls, and no LLM calls: steps are phases that an agent names as it likes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from profiler.endpoints.body import Body
from profiler.endpoints.event_stream import (
    BrokenStreamError,
    NoStreamReader,
    ToolsTold,
    can_be_sent,
    count_of,
    ending,
    in_one_line,
    json_events,
    text_of,
)
from profiler.endpoints.exchange import Outgoing, Reply
from profiler.endpoints.json_patch import patched
from profiler.measure.records import Outcome, Usage
from profiler.values import value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from profiler.endpoints.exchange import Reader

_TEXTS_JOINED = "\n\n"
_USAGE = {
    "input_tokens": "inputTokens",
    "output_tokens": "outputTokens",
    "cached_input_tokens": "cachedInputTokens",
    "cache_write_tokens": "cacheWriteInputTokens",
    "reasoning_tokens": "reasoningTokens",
}


class AgUi:
    """The `ag-ui` protocol for one target."""

    def __init__(self, *, url: str, headers: Mapping[str, str]) -> None:
        self.url = url
        self.headers = {
            "content-type": "application/json",
            "accept": "text/event-stream",
            **headers,
        }

    def begin(self, session_id: str) -> AgUiDialogue:
        """Start a session: a thread without messages."""
        return AgUiDialogue(self, session_id)


@value
class Thread:
    """What both sides know of a conversation: all messages so far, and the shared state."""

    messages: list[dict[str, Any]]
    state: Any


class AgUiDialogue:
    """One thread. Every request is a run of it."""

    def __init__(self, endpoint: AgUi, session_id: str) -> None:
        self._endpoint = endpoint
        self._session_id = session_id
        self._session_headers = {"x-session-id": session_id}
        self._thread = Thread(messages=[], state={})
        self._asked = self._thread
        self._runs = 0

    def request(self, user: str) -> Outgoing:
        """Return the request for a run that answers `user`.

        It names no protocol version: servers from before there was one refuse unknown keys.
        """
        self._runs += 1
        run = f"{self._session_id}-run-{self._runs}"
        message = {"id": f"{run}-user", "role": "user", "content": user}
        self._asked = Thread(messages=[*self._thread.messages, message], state=self._thread.state)
        body = {
            "threadId": self._session_id,
            "runId": run,
            "state": self._asked.state,
            "messages": self._asked.messages,
            "tools": [],
            "context": [],
            "forwardedProps": {},
        }
        return Outgoing(
            url=self._endpoint.url,
            headers=self._endpoint.headers,
            session_headers=self._session_headers,
            body=orjson.dumps(body),
        )

    def reader(self, *, status: int, content_type: str) -> Reader:
        """Return a reader of the run's events; of an error where there are none."""
        if status < 400 and content_type.startswith("text/event-stream"):  # noqa: PLR2004 - HTTP
            return AgUiStreamReader(self._asked)
        return NoStreamReader()

    def accept(self, user: str, reply: Reply) -> None:  # noqa: ARG002 - it is in the thread
        """Go on with the thread as the run left it."""
        if isinstance(reply.carried, Thread):
            self._thread = reply.carried


class AgUiStreamReader(Body):
    """Reads the events of a run, up to `RUN_FINISHED` or `RUN_ERROR`.

    Time to first token is the arrival of the first text of the assistant. A run that was cancelled
    or that failed is the agent's error.
    """

    __slots__ = ("_thread",)

    def __init__(self, thread: Thread) -> None:
        super().__init__()
        self._thread = thread

    def finish(self) -> Reply:
        """Say what the stream meant."""
        run = _Run(self._thread)
        broken = None
        try:
            for event, at_ns in json_events(self):
                run.take(event, at_ns)
        except BrokenStreamError as exc:
            broken = exc
        thread = Thread(messages=run.messages, state=run.state)
        if broken is None and not can_be_sent([thread.messages, thread.state]):
            broken = BrokenStreamError("too_deep", "what the run left cannot be sent again")
        missing = None if run.is_over else "RUN_FINISHED or RUN_ERROR"
        end = ending(broken, run.error, missing)
        tools = run.tools.account(self.times_ns[0] if self.times_ns else 0)
        return Reply(
            text=run.text(),
            first_token_ns=run.first_ns,
            last_token_ns=run.last_ns,
            usage=run.usage,
            trace={"version": 1, "tool_calls": tools} if tools or end.kind is None else None,
            carried=thread if end.kind is None else None,
            error_kind=end.kind,
            error_detail=end.detail,
            is_protocol_error=end.is_protocol_error,
        )


class _Run:
    """What the events so far come to. A thread's earlier runs may be replayed before this one."""

    def __init__(self, thread: Thread) -> None:
        self.messages: list[dict[str, Any]] = list(thread.messages)
        self.state = thread.state
        self._known = {text_of(message, "id") for message in thread.messages}
        self._begin()

    def _begin(self) -> None:
        self.tools = ToolsTold()
        self.usage: Usage | None = None
        self.error: str | None = None
        self.is_over = False
        self.first_ns: int | None = None
        self.last_ns: int | None = None
        self._said: dict[str, list[str]] = {}
        self._chunk_message = self._chunk_call = ""

    def text(self) -> str:
        """Return what the assistant said in this run."""
        said = ["".join(pieces) for pieces in self._said.values()]
        if not said:  # a run may only restate the thread as a whole
            new = (m for m in self.messages if text_of(m, "id") not in self._known)
            said = [text_of(m, "content") for m in new if m.get("role") == "assistant"]
        return _TEXTS_JOINED.join(filter(None, said))

    def take(self, event: dict[str, Any], at_ns: int) -> None:
        """Take the next event; one of an unknown type means nothing."""
        kind = text_of(event, "type")
        if kind.startswith(("TEXT_MESSAGE_", "REASONING_MESSAGE_")):
            self._take_text(kind.partition("_MESSAGE_")[2], event, at_ns)
        elif kind.startswith("TOOL_CALL_"):
            self._take_tool(kind.removeprefix("TOOL_CALL_"), event, at_ns)
        else:
            self._take_other(kind, event)

    def _take_other(self, kind: str, event: dict[str, Any]) -> None:
        match kind:
            case "RUN_STARTED":
                self._begin()
            case "RUN_FINISHED":
                self.is_over = True
                self.usage = _usage(event.get("usage"))
                outcome = event.get("outcome")
                if isinstance(outcome, dict) and outcome.get("type") == "cancelled":
                    self.error = "the run was cancelled"
            case "RUN_ERROR":
                self.is_over = True
                self.error = in_one_line(event.get("message", "RUN_ERROR"))
                self.usage = _usage(event.get("usage")) or self.usage
            case "STATE_SNAPSHOT":
                self.state = event.get("snapshot")
            case "STATE_DELTA":
                self.state = patched(self.state, event.get("delta"))
            case "MESSAGES_SNAPSHOT":
                self._restate(event.get("messages"))
            case "REASONING_ENCRYPTED_VALUE":
                self._seal(text_of(event, "entityId"), event.get("encryptedValue"))
            case _:
                pass

    def _take_text(self, step: str, event: dict[str, Any], at_ns: int) -> None:
        message = text_of(event, "messageId")
        if step == "CHUNK":
            message = self._chunk_message = message or self._chunk_message
        usual = "reasoning" if text_of(event, "type").startswith("REASONING") else "assistant"
        held = self._message(message, text_of(event, "role") or usual)
        delta = text_of(event, "delta")
        if not delta:
            return
        held["content"] = text_of(held, "content") + delta
        if held.get("role") == "assistant":
            self._said.setdefault(message, []).append(delta)
            self.first_ns = at_ns if self.first_ns is None else self.first_ns
            self.last_ns = at_ns

    def _take_tool(self, step: str, event: dict[str, Any], at_ns: int) -> None:
        call = text_of(event, "toolCallId")
        if step == "RESULT":
            self.tools.answered(call, at_ns, Outcome.OK)
            message = self._message(text_of(event, "messageId"), "tool")
            message.update(toolCallId=call, content=event.get("content", ""))
            return
        if step == "CHUNK":
            call = self._chunk_call = call or self._chunk_call
        if name := text_of(event, "toolCallName"):
            self.tools.asked(call, name)
            self._ask(call, name, text_of(event, "parentMessageId"))
        if step in ("END", "CHUNK"):
            self.tools.ready(call, at_ns)
        if delta := text_of(event, "delta"):
            function = self._call(call).get("function")
            if isinstance(function, dict):
                function["arguments"] = text_of(function, "arguments") + delta

    def _message(self, name: str, role: str) -> dict[str, Any]:
        """Return the message with this id, made if it is new."""
        for held in self.messages[::-1]:
            if text_of(held, "id") == name:
                return held
        made: dict[str, Any] = {"id": name, "role": role, "content": ""}
        self.messages.append(made)
        return made

    def _ask(self, call: str, name: str, parent: str) -> None:
        if self._call(call):
            return
        message = self._message(parent or call, "assistant")
        calls = message.get("toolCalls")
        function = {"name": name, "arguments": ""}
        made = {"id": call, "type": "function", "function": function}
        message["toolCalls"] = [*(calls if isinstance(calls, list) else ()), made]

    def _call(self, call: str) -> dict[str, Any]:
        """Return a tool call of the thread; empty where there is none."""
        for message in self.messages[::-1]:
            calls = message.get("toolCalls")
            for made in calls if isinstance(calls, list) else ():
                if isinstance(made, dict) and made.get("id") == call:
                    found: dict[str, Any] = made
                    return found
        return {}

    def _restate(self, messages: Any) -> None:
        if not isinstance(messages, list):
            return
        kept = [m for m in messages if isinstance(m, dict) and m.get("role") != "activity"]
        self.messages = kept
        for message in kept:  # some agents answer their calls only here, when they are over
            if message.get("role") == "tool":
                self.tools.answered(text_of(message, "toolCallId"), None, Outcome.OK)

    def _seal(self, entity: str, sealed: Any) -> None:
        held = self._call(entity)
        if not held:
            held = next((m for m in reversed(self.messages) if m.get("id") == entity), {})
        held["encryptedValue"] = sealed


def _usage(entries: Any) -> Usage | None:
    """Add up `usage`, which has an entry for each model. What one leaves out is not known."""
    if not isinstance(entries, list):
        return None
    found: dict[str, int] = {}
    for name, key in _USAGE.items():
        counts = [count for entry in entries if (count := count_of(entry, key)) is not None]
        if counts:
            found[name] = sum(counts)
    return Usage(**found) if found else None
