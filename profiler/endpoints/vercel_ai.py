"""The AI SDK's UI message stream, version 1 (ai-sdk.dev, "Stream Protocols").

The client carries the chat: its UI messages with their ids and parts, as the streams left them. A
step is one LLM call. When it began and ended is not told: servers open a step with the model's
first piece, and close it after its tools. Tokens are not in the protocol; where an agent puts the
SDK's own usage into the message's metadata, as `totalUsage` or `usage`, it is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from profiler.endpoints.body import Body
from profiler.endpoints.event_stream import (
    DONE,
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
from profiler.measure.records import Outcome, Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from profiler.endpoints.exchange import Reader

_TEXTS_JOINED = "\n\n"
_KEPT_AS_THEY_ARE = ("data-", "source-", "file")


class VercelAi:
    """The `vercel-ai` protocol for one target."""

    def __init__(self, *, url: str, headers: Mapping[str, str]) -> None:
        self.url = url
        self.headers = {
            "content-type": "application/json",
            "accept": "text/event-stream",
            **headers,
        }

    def begin(self, session_id: str) -> VercelAiDialogue:
        """Start a chat without messages."""
        return VercelAiDialogue(self, session_id)


class VercelAiDialogue:
    """One chat: the UI messages of both sides."""

    def __init__(self, endpoint: VercelAi, session_id: str) -> None:
        self._endpoint = endpoint
        self._session_id = session_id
        self._session_headers = {"x-session-id": session_id}
        self._messages: list[dict[str, Any]] = []

    def request(self, user: str) -> Outgoing:
        """Return the request that submits `user`."""
        body = {
            "id": self._session_id,
            "messages": [*self._messages, self._message("user", user)],
            "trigger": "submit-message",
        }
        return Outgoing(
            url=self._endpoint.url,
            headers=self._endpoint.headers,
            session_headers=self._session_headers,
            body=orjson.dumps(body),
        )

    def reader(self, *, status: int, content_type: str) -> Reader:
        """Return a reader of the stream; of an error where there is none."""
        if status < 400 and content_type.startswith("text/event-stream"):  # noqa: PLR2004 - HTTP
            return VercelAiStreamReader()
        return NoStreamReader()

    def accept(self, user: str, reply: Reply) -> None:
        """Add the turn to the chat. An answer that came without an id gets one, as in the SDK."""
        self._messages.append(self._message("user", user))
        answer = self._message("assistant", reply.text)
        if isinstance(reply.carried, dict):
            answer.update(reply.carried)
        self._messages.append(answer)

    def _message(self, role: str, text: str) -> dict[str, Any]:
        return {
            "id": f"{self._session_id}-message-{len(self._messages) + 1}",
            "role": role,
            "parts": [{"type": "text", "text": text}],
        }


class VercelAiStreamReader(Body):
    """Reads the parts of a message, up to `finish` or `[DONE]`.

    Time to first token is the arrival of the first text. A message that was aborted is the
    agent's error.
    """

    __slots__ = ()

    def finish(self) -> Reply:
        """Say what the stream meant."""
        message = _Message()
        broken = None
        try:
            for event, at_ns in json_events(self):
                message.take(event, at_ns)
        except BrokenStreamError as exc:
            broken = exc
        carried = message.carried()
        if broken is None and not can_be_sent(carried):
            broken = BrokenStreamError("too_deep", "the answer cannot be sent again")
        end = ending(broken, message.error, None if message.is_over else "finish or [DONE]")
        return Reply(
            text=message.text(),
            first_token_ns=message.first_ns,
            last_token_ns=message.last_ns,
            usage=_usage(message.metadata),
            trace=self._trace(message, is_whole=end.kind is None),
            carried=carried if end.kind is None else None,
            error_kind=end.kind,
            error_detail=end.detail,
            is_protocol_error=end.is_protocol_error,
        )

    def _trace(self, message: _Message, *, is_whole: bool) -> dict[str, Any] | None:
        tools = message.tools.account(self.times_ns[0] if self.times_ns else 0)
        if not (tools or message.steps or is_whole):
            return None
        trace: dict[str, Any] = {"version": 1, "tool_calls": tools}
        if message.steps:
            trace["llm_calls"] = message.steps
        return trace


class _Message:
    """What the parts of the stream so far come to: the message and what was done for it."""

    def __init__(self) -> None:
        self.tools = ToolsTold()
        self.steps: list[dict[str, Any]] = []
        self.metadata: dict[str, Any] = {}
        self.error: str | None = None
        self.is_over = False
        self.first_ns: int | None = None
        self.last_ns: int | None = None
        self._id = ""
        self._parts: list[dict[str, Any]] = []
        self._open: dict[tuple[str, str], dict[str, Any]] = {}
        self._calls: dict[str, dict[str, Any]] = {}

    def text(self) -> str:
        """Return the texts of the message."""
        texts = (part["text"] for part in self._parts if part["type"] == "text")
        return _TEXTS_JOINED.join(filter(None, texts))

    def carried(self) -> dict[str, Any]:
        """Return what the next turn sends of the message."""
        message: dict[str, Any] = {"parts": self._parts}
        if self._id:
            message["id"] = self._id
        if self.metadata:
            message["metadata"] = self.metadata
        return message

    def take(self, event: dict[str, Any], at_ns: int) -> None:
        """Take the next part; one of an unknown type means nothing."""
        kind = text_of(event, "type")
        if kind.startswith(("text-", "reasoning-")):
            self._take_text(kind, event, at_ns)
        elif kind.startswith("tool-"):
            self._take_tool(kind, event, at_ns)
        elif kind.startswith(_KEPT_AS_THEY_ARE):
            if event.get("transient") is not True:
                self._parts.append(event)
        else:
            self._take_other(kind, event)

    def _take_other(self, kind: str, event: dict[str, Any]) -> None:
        match kind:
            case "start-step":
                self._parts.append({"type": "step-start"})
                self.steps.append({"outcome": Outcome.AGENT_ERROR.value, "tool_calls": []})
            case "finish-step":
                self._open.clear()
                if self.steps and self.error is None:
                    self.steps[-1]["outcome"] = Outcome.OK.value
            case "error":
                self.error = in_one_line(event.get("errorText", "error"))
            case "abort":
                self.error = in_one_line(f"aborted: {text_of(event, 'reason')}").rstrip(": ")
            case "start" | "finish" | "message-metadata":
                self._id = text_of(event, "messageId") or self._id
                metadata = event.get("messageMetadata")
                self.metadata |= metadata if isinstance(metadata, dict) else {}
        self.is_over = self.is_over or kind in ("finish", DONE)

    def _take_text(self, kind: str, event: dict[str, Any], at_ns: int) -> None:
        what, _, step = kind.partition("-")
        key = what, text_of(event, "id")
        part = self._open.get(key)
        if part is None or step == "start":
            part = self._open[key] = {"type": what, "text": "", "state": "done"}
            self._parts.append(part)
        if event.get("providerMetadata") is not None:
            part["providerMetadata"] = event["providerMetadata"]
        delta = text_of(event, "delta")
        part["text"] += delta
        if delta and what == "text":
            self.first_ns = at_ns if self.first_ns is None else self.first_ns
            self.last_ns = at_ns

    def _take_tool(self, kind: str, event: dict[str, Any], at_ns: int) -> None:
        call = text_of(event, "toolCallId")
        if kind.startswith("tool-input-"):
            self._ask(call, event)
        part = self._calls.get(call)
        if part is None:
            return
        match kind:
            case "tool-input-available":
                self.tools.ready(call, at_ns)
                part.update(state="input-available", input=event.get("input"))
                _copy(event, part, "providerMetadata", "callProviderMetadata")
            case "tool-input-error":
                error = text_of(event, "errorText")
                part.update(state="output-error", input=event.get("input"), errorText=error)
            case "tool-output-available" if event.get("preliminary") is not True:
                self.tools.answered(call, at_ns, Outcome.OK)
                part.update(state="output-available", output=event.get("output"))
            case "tool-output-error":
                self.tools.answered(call, at_ns, Outcome.AGENT_ERROR)
                part.update(state="output-error", errorText=text_of(event, "errorText"))
            case "tool-output-denied":
                part["state"] = "output-denied"

    def _ask(self, call: str, event: dict[str, Any]) -> None:
        """Make the part of a tool call where it is new."""
        name = text_of(event, "toolName")
        if call in self._calls or not name:
            return
        self.tools.asked(call, name)
        if self.steps:
            self.steps[-1]["tool_calls"].append(name)
        part = {"type": f"tool-{name}", "toolCallId": call, "state": "input-streaming"}
        if event.get("dynamic") is True:
            part |= {"type": "dynamic-tool", "toolName": name}
        _copy(event, part, "providerExecuted", "providerExecuted")
        self._calls[call] = part
        self._parts.append(part)


def _copy(event: dict[str, Any], part: dict[str, Any], key: str, to: str) -> None:
    if event.get(key) is not None:
        part[to] = event[key]


def _usage(metadata: dict[str, Any]) -> Usage | None:
    """Read the SDK's `LanguageModelUsage`, with the names of versions 5 and 6."""
    block = metadata.get("totalUsage", metadata.get("usage"))
    cached = count_of(block, "inputTokenDetails", "cacheReadTokens")
    reasoning = count_of(block, "outputTokenDetails", "reasoningTokens")
    usage = Usage(
        input_tokens=count_of(block, "inputTokens"),
        output_tokens=count_of(block, "outputTokens"),
        cached_input_tokens=count_of(block, "cachedInputTokens") if cached is None else cached,
        cache_write_tokens=count_of(block, "inputTokenDetails", "cacheWriteTokens"),
        reasoning_tokens=count_of(block, "reasoningTokens") if reasoning is None else reasoning,
    )
    return None if usage == Usage() else usage
