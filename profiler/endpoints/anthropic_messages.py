"""Anthropic Messages: `POST .../v1/messages`, streaming or plain.

Shapes: https://docs.claude.com/en/api/messages and .../en/docs/build-with-claude/streaming. The
visible conversation is sent again with each turn, as the protocol wants.

An answer's content may show tool calls: `tool_use` is run outside the model, and how long it takes
is not in the answer; `server_tool_use` and `mcp_tool_use` are run by the server, from the end of
their block to the begin of that with their result. LLM calls are not in the protocol: one answer
may be any number of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from profiler.endpoints.body import Body
from profiler.endpoints.events import (
    FIRST_ERROR_STATUS,
    STREAM_TYPE,
    Fault,
    ending,
    json_events,
    json_object,
    wrong_shape,
)
from profiler.endpoints.exchange import Outgoing, Reply, ToolSeen
from profiler.endpoints.json_values import (
    count,
    error_detail,
    index_of,
    mapping,
    mappings,
    string,
)
from profiler.measure.records import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from profiler.endpoints.exchange import Reader

DEFAULT_MODEL = "agent"
VERSION = "2023-06-01"


class AnthropicMessages:
    """The `anthropic-messages` protocol for one target."""

    def __init__(
        self,
        *,
        url: str,
        model: str | None,
        stream: bool,
        headers: Mapping[str, str],
        max_tokens: int,
    ) -> None:
        self.url = url
        self.model = model if model is not None else DEFAULT_MODEL
        self.stream = stream
        self.max_tokens = max_tokens
        self.headers = {
            "content-type": "application/json",
            "accept": STREAM_TYPE if stream else "application/json",
            "anthropic-version": VERSION,
            **{name.lower(): value for name, value in headers.items()},
        }

    def begin(self, session_id: str) -> AnthropicDialogue:
        """Start a session with an empty conversation."""
        return AnthropicDialogue(self, session_id)


class AnthropicDialogue:
    """One conversation: the messages that both sides have seen."""

    def __init__(self, endpoint: AnthropicMessages, session_id: str) -> None:
        self._endpoint = endpoint
        self._session_headers = {"x-session-id": session_id}
        self._messages: list[dict[str, str]] = []

    def request(self, user: str) -> Outgoing:
        """Return the request that asks for the answer to `user`."""
        body: dict[str, Any] = {
            "model": self._endpoint.model,
            "max_tokens": self._endpoint.max_tokens,
            "messages": [*self._messages, {"role": "user", "content": user}],
        }
        if self._endpoint.stream:
            body["stream"] = True
        return Outgoing(
            url=self._endpoint.url,
            headers=self._endpoint.headers,
            session_headers=self._session_headers,
            body=orjson.dumps(body),
        )

    def reader(self, *, status: int, content_type: str) -> Reader:
        """Return a stream reader for an event stream that succeeded, else a plain one."""
        if status < FIRST_ERROR_STATUS and content_type.startswith(STREAM_TYPE):
            return AnthropicStreamReader()
        return AnthropicPlainReader()

    def accept(self, user: str, reply: Reply) -> None:
        """Add the turn to the conversation. The API refuses messages without any text."""
        self._messages.append({"role": "user", "content": user})
        if reply.text:
            self._messages.append({"role": "assistant", "content": reply.text})


def usage_from(block: Any) -> Usage | None:
    """Read `usage`; what it does not say stays None.

    `input_tokens` is what was neither read from the cache nor written to it: the whole input is the
    sum of the three, and is known where `input_tokens` is.
    """
    if not isinstance(block, dict):
        return None
    uncached = count(block.get("input_tokens"))
    written = count(block.get("cache_creation_input_tokens"))
    cached = count(block.get("cache_read_input_tokens"))
    details = mapping(block.get("output_tokens_details"))
    usage = Usage(
        input_tokens=None if uncached is None else uncached + (written or 0) + (cached or 0),
        output_tokens=count(block.get("output_tokens")),
        cached_input_tokens=cached,
        cache_write_tokens=written,
        reasoning_tokens=count(details.get("thinking_tokens")),
    )
    return None if usage == Usage() else usage


class AnthropicPlainReader(Body):
    """Reads one `message` object. No times inside it are observed: it comes in one piece."""

    __slots__ = ()

    def finish(self) -> Reply:
        """Parse the body."""
        body = json_object(self.whole())
        if isinstance(body, Reply):
            return body
        trace = _trace_of(body)
        if body.get("type") == "error" or body.get("error") is not None:
            detail = error_detail(body.get("error"))
            return Reply(trace=trace, body=body, error_kind="error_in_body", error_detail=detail)
        content = body.get("content")
        if not isinstance(content, list):
            return wrong_shape(body, "the response has no content")
        tools = _Tools()
        for block in mappings(content):
            tools.begin(block, None)
        return Reply(
            text="".join(_text_of(block) for block in mappings(content)),
            usage=usage_from(body.get("usage")),
            trace=trace,
            tools=tools.seen(is_whole=True),
            body=body,
        )


class AnthropicStreamReader(Body):
    """Reads a stream up to `message_stop`.

    Time to first token is the arrival of the first text, or of the first input of a tool that is
    run outside; thinking and the server's own tools come before it. The usage of `message_start`
    is replaced, number by number, by the cumulative one of each `message_delta`; one whose input is
    zero says nothing (proxies that do not know it yet begin so).
    """

    __slots__ = (
        "_error",
        "_finished",
        "_first_ns",
        "_last_ns",
        "_text",
        "_tools",
        "_trace",
        "_usage",
    )

    def __init__(self) -> None:
        super().__init__()
        self._text: list[str] = []
        self._first_ns: int | None = None
        self._last_ns: int | None = None
        self._usage: dict[str, Any] = {}
        self._trace: Mapping[str, Any] | None = None
        self._tools = _Tools()
        self._finished = False
        self._error: str | None = None

    def finish(self) -> Reply:
        """Say what the stream meant."""
        events, fault = json_events(self.pieces, self.times_ns)
        for event, at_ns in events:
            if self._take(event, at_ns):
                if self._first_ns is None:
                    self._first_ns = at_ns
                self._last_ns = at_ns
        if fault is None and self._error is None and not self._finished:
            fault = Fault(kind="stream_cut", detail="the stream ended without message_stop")
        return Reply(
            text="".join(self._text),
            first_token_ns=self._first_ns,
            last_token_ns=self._last_ns,
            usage=usage_from(self._usage),
            trace=self._trace,
            tools=self._tools.seen(is_whole=fault is None and self._error is None),
            **ending(fault, self._error),
        )

    def _take(self, event: dict[str, Any], at_ns: int) -> bool:
        """Take one event; say whether it has content that the user or the agent waits for."""
        trace = _trace_of(event)
        if trace is not None:
            self._trace = trace
        index = index_of(event.get("index"))
        match event.get("type"):
            case "message_start":
                usage = mapping(mapping(event.get("message")).get("usage"))
                # What of the output is known here is where it begins, not what it comes to. No
                # request has an input of nothing: such a usage holds the place of one to come.
                if (begun := usage_from(usage)) is not None and begun.input_tokens != 0:
                    self._count({key: usage[key] for key in usage if "output" not in key})
            case "content_block_start":
                block = mapping(event.get("content_block"))
                self._tools.begin(block, at_ns, index)
                return self._say(_text_of(block))
            case "content_block_delta":
                return self._delta(index, mapping(event.get("delta")))
            case "content_block_stop":
                self._tools.stop(index, at_ns)
            case "message_delta":
                self._count(mapping(event.get("usage")))
            case "message_stop":
                self._finished = True
            case "error":
                self._error = error_detail(event.get("error"))
        return False

    def _delta(self, index: int, delta: dict[str, Any]) -> bool:
        match delta.get("type"):
            case "text_delta":
                return self._say(string(delta.get("text")) or "")
            case "input_json_delta":
                return bool(delta.get("partial_json")) and self._tools.is_outside(index)
        return False

    def _say(self, text: str) -> bool:
        self._text.append(text)
        return text != ""

    def _count(self, usage: dict[str, Any]) -> None:
        self._usage |= {key: item for key, item in usage.items() if item is not None}


class _Call:
    """One tool call as it becomes known."""

    __slots__ = ("end_ns", "failed", "id", "is_outside", "name", "start_ns")

    def __init__(self, name: str, call_id: str | None, *, is_outside: bool) -> None:
        self.name = name
        self.id = call_id
        self.is_outside = is_outside
        self.start_ns: int | None = None
        self.end_ns: int | None = None
        self.failed = False


class _Tools:
    """The tool calls among the blocks of one answer."""

    __slots__ = ("_calls", "_open")

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._open: dict[int, _Call] = {}

    def begin(self, block: dict[str, Any], at_ns: int | None, index: int | None = None) -> None:
        """Take a block that begins; without a time and an index, one that is complete."""
        kind = string(block.get("type")) or ""
        if kind.endswith("tool_use"):
            name = string(block.get("name")) or kind
            call = _Call(name, string(block.get("id")), is_outside=kind == "tool_use")
            self._calls.append(call)
            if index is not None:
                self._open[index] = call
        elif kind.endswith("tool_result"):
            self._result(string(block.get("tool_use_id")), block, at_ns)

    def _result(self, call_id: str | None, block: dict[str, Any], at_ns: int | None) -> None:
        for call in self._calls:
            if call_id is not None and call.id == call_id:
                if call.end_ns is None and call.start_ns is not None:
                    call.end_ns = at_ns
                call.failed = block.get("is_error") is True or _is_error(block.get("content"))

    def is_outside(self, index: int) -> bool:
        """Whether a block that has begun is a call of a tool that is run outside."""
        call = self._open.get(index)
        return call is not None and call.is_outside

    def stop(self, index: int, at_ns: int) -> None:
        """Take the end of a block: what the tool gets is complete."""
        call = self._open.pop(index, None)
        if call is not None:
            call.start_ns = at_ns

    def seen(self, *, is_whole: bool) -> tuple[ToolSeen, ...] | None:
        """Return the calls in their order; of a broken answer without any, nothing is known.

        A start without an end is left out: nobody saw how long the call took.
        """
        if not self._calls and not is_whole:
            return None
        unfinished = {id(call) for call in self._open.values()}
        return tuple(
            ToolSeen(
                name=call.name,
                start_ns=None if call.end_ns is None else call.start_ns,
                end_ns=call.end_ns,
                failed=call.failed or (id(call) in unfinished and not is_whole),
            )
            for call in self._calls
        )


def _is_error(content: Any) -> bool:
    """Tell a result that is an error: its content is an object, `..._tool_result_error`."""
    return (string(mapping(content).get("type")) or "").endswith("_tool_result_error")


def _text_of(block: dict[str, Any]) -> str:
    return (string(block.get("text")) or "") if block.get("type") == "text" else ""


def _trace_of(holder: dict[str, Any]) -> Mapping[str, Any] | None:
    trace = holder.get("trace")
    return trace if isinstance(trace, dict) else None
