"""OpenAI Responses: `POST .../responses`, streaming or plain.

Shapes: https://platform.openai.com/docs/api-reference/responses and .../responses-streaming. A turn
names the answer before it (`previous_response_id`), and the server keeps the conversation. It is
sent whole instead where the workload wants that (`state: resend`), and where the last answer cannot
be named: it has no id, or was not stored (`store: false`).

An answer's `output` may show tool calls. A call with a `call_id` is run outside the model: it lasts
from its arguments being complete to its output, where the answer has that too. One without is run
by the server (`web_search_call`, `mcp_call`, ...), and lasts from `output_item.added` to
`output_item.done`. LLM calls are not in the protocol: one answer may be any number of them.
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
from profiler.endpoints.json_values import count, error_detail, mapping, mappings, string
from profiler.measure.records import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from profiler.endpoints.exchange import Reader

DEFAULT_MODEL = "agent"

_ENDS = frozenset({"response.completed", "response.incomplete", "response.failed"})
_TEXT = frozenset({"response.output_text.delta", "response.refusal.delta"})
_CALLING = frozenset(
    {"response.function_call_arguments.delta", "response.custom_tool_call_input.delta"}
)
_FAILED_ITEMS = frozenset({"failed", "incomplete"})
_FAILED_ANSWERS = frozenset({"failed", "cancelled"})


class OpenAiResponses:
    """The `openai-responses` protocol for one target."""

    def __init__(
        self,
        *,
        url: str,
        model: str | None,
        stream: bool,
        headers: Mapping[str, str],
        resend: bool = False,
    ) -> None:
        self.url = url
        self.model = model if model is not None else DEFAULT_MODEL
        self.stream = stream
        self.resend = resend
        self.headers = {
            "content-type": "application/json",
            "accept": STREAM_TYPE if stream else "application/json",
            **headers,
        }

    def begin(self, session_id: str) -> ResponsesDialogue:
        """Start a session with an empty conversation."""
        return ResponsesDialogue(self, session_id)


class ResponsesDialogue:
    """One conversation: what both sides have seen, and the id of the last answer."""

    def __init__(self, endpoint: OpenAiResponses, session_id: str) -> None:
        self._endpoint = endpoint
        self._session_headers = {"x-session-id": session_id}
        self._messages: list[dict[str, str]] = []
        self._answer_id: str | None = None

    def request(self, user: str) -> Outgoing:
        """Return the request that asks for the answer to `user`."""
        message = {"role": "user", "content": user}
        body: dict[str, Any] = {"model": self._endpoint.model}
        if self._answer_id is not None:
            body |= {"previous_response_id": self._answer_id, "input": [message]}
        else:
            body["input"] = [*self._messages, message]
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
            return ResponsesStreamReader()
        return ResponsesPlainReader()

    def accept(self, user: str, reply: Reply) -> None:
        """Add the turn to the conversation."""
        self._messages.append({"role": "user", "content": user})
        if reply.text:
            self._messages.append({"role": "assistant", "content": reply.text})
        self._answer_id = None if self._endpoint.resend else reply.answer_id


def usage_from(block: Any) -> Usage | None:
    """Read `usage`; what it does not say stays None.

    Cached tokens are inside `input_tokens`, reasoning tokens inside `output_tokens`.
    """
    if not isinstance(block, dict):
        return None
    inner, outer = (
        mapping(block.get(key)) for key in ("input_tokens_details", "output_tokens_details")
    )
    usage = Usage(
        input_tokens=count(block.get("input_tokens")),
        output_tokens=count(block.get("output_tokens")),
        cached_input_tokens=count(inner.get("cached_tokens")),
        cache_write_tokens=count(inner.get("cache_write_tokens")),
        reasoning_tokens=count(outer.get("reasoning_tokens")),
    )
    return None if usage == Usage() else usage


class ResponsesPlainReader(Body):
    """Reads one `response` object. No times inside it are observed: it comes in one piece."""

    __slots__ = ()

    def finish(self) -> Reply:
        """Parse the body."""
        body = json_object(self.whole())
        if isinstance(body, Reply):
            return body
        error = _error_of(body)
        output = body.get("output")
        if error is None and not isinstance(output, list):
            return wrong_shape(body, "the response has no output")
        tools = _Tools()
        tools.take_whole(output)
        return Reply(
            text=_text_of(output),
            usage=usage_from(body.get("usage")),
            trace=_trace_of(body),
            tools=tools.seen(is_whole=error is None),
            answer_id=_id_of(body),
            body=body,
            error_kind=None if error is None else "error_in_body",
            error_detail=error,
        )


class ResponsesStreamReader(Body):
    """Reads a stream up to `response.completed`, `response.incomplete` or `response.failed`.

    Time to first token is the arrival of the first text, refusal or arguments of a call that is
    run outside; the events before it only tell that the response has begun.
    """

    __slots__ = ("_error", "_final", "_first_ns", "_id", "_last_ns", "_text", "_tools", "_trace")

    def __init__(self) -> None:
        super().__init__()
        self._text: list[str] = []
        self._first_ns: int | None = None
        self._last_ns: int | None = None
        self._id: str | None = None
        self._final: dict[str, Any] | None = None
        self._trace: Mapping[str, Any] | None = None
        self._tools = _Tools()
        self._error: str | None = None

    def finish(self) -> Reply:
        """Say what the stream meant."""
        events, fault = json_events(self.pieces, self.times_ns)
        for event, at_ns in events:
            if self._take(event, at_ns):
                if self._first_ns is None:
                    self._first_ns = at_ns
                self._last_ns = at_ns
        if fault is None and self._error is None and self._final is None:
            said = "the stream ended without response.completed, .incomplete or .failed"
            fault = Fault(kind="stream_cut", detail=said)
        final = mapping(self._final)
        if not self._tools.any:
            self._tools.take_whole(final.get("output"))
        return Reply(
            text=_text_of(final.get("output")) or "".join(self._text),
            first_token_ns=self._first_ns,
            last_token_ns=self._last_ns,
            usage=usage_from(final.get("usage")),
            trace=self._trace,
            tools=self._tools.seen(is_whole=fault is None and self._error is None),
            answer_id=_id_of(final) if "id" in final or "store" in final else self._id,
            **ending(fault, self._error),
        )

    def _take(self, event: dict[str, Any], at_ns: int) -> bool:
        """Take one event; say whether it has content that the user or the agent waits for."""
        trace = _trace_of(event)
        if trace is not None:
            self._trace = trace
        kind = string(event.get("type")) or ""
        if kind in _TEXT or kind in _CALLING:
            delta = string(event.get("delta")) or ""
            if kind in _TEXT:
                self._text.append(delta)
            return delta != ""
        if kind in ("response.output_item.added", "response.output_item.done"):
            self._tools.take(event, at_ns, is_done=kind.endswith("done"))
        elif kind in _ENDS:
            self._end(kind, mapping(event.get("response")))
        elif kind == "response.created":
            self._id = _id_of(mapping(event.get("response")))
        elif kind == "error":
            self._error = _event_error(event)
        return False

    def _end(self, kind: str, response: dict[str, Any]) -> None:
        self._final = response
        trace = _trace_of(response)
        if trace is not None:
            self._trace = trace
        error = _error_of(response)
        if error is not None or kind == "response.failed":
            self._error = error if error is not None else "the response failed"


class _Call:
    """One tool call as it becomes known."""

    __slots__ = ("call_id", "end_ns", "failed", "is_done", "name", "start_ns")

    def __init__(self, name: str, call_id: str | None) -> None:
        self.name = name
        self.call_id = call_id
        self.start_ns: int | None = None
        self.end_ns: int | None = None
        self.failed = False
        self.is_done = False


class _Tools:
    """The tool calls among the items of one answer, by their place in it."""

    __slots__ = ("_calls",)

    def __init__(self) -> None:
        self._calls: dict[Any, _Call] = {}

    @property
    def any(self) -> bool:
        """Whether there was a call."""
        return bool(self._calls)

    def take(self, event: dict[str, Any], at_ns: int, *, is_done: bool) -> None:
        """Take an item that was begun or is complete."""
        item = mapping(event.get("item"))
        kind = string(item.get("type")) or ""
        if kind.endswith("_output"):
            self._output(string(item.get("call_id")), item, at_ns)
        if not kind.endswith("_call"):
            return
        place = count(event.get("output_index"))
        key = place if place is not None else string(item.get("id"))
        call = self._calls.setdefault(key, _Call(_name_of(item), string(item.get("call_id"))))
        if not is_done:
            if call.call_id is None:
                call.start_ns = at_ns
            return
        self._complete(call, item)
        if call.call_id is not None:
            call.start_ns = at_ns
        elif call.start_ns is not None:
            call.end_ns = at_ns

    def _output(self, call_id: str | None, item: dict[str, Any], at_ns: int) -> None:
        for call in self._calls.values():
            if call_id is not None and call.call_id == call_id:
                if call.end_ns is None and call.start_ns is not None:
                    call.end_ns = at_ns
                call.failed = call.failed or string(item.get("status")) in _FAILED_ITEMS

    def take_whole(self, output: Any) -> None:
        """Take the items of an answer that is complete."""
        for place, item in enumerate(mappings(output)):
            if (string(item.get("type")) or "").endswith("_call"):
                call = self._calls[place] = _Call(_name_of(item), string(item.get("call_id")))
                self._complete(call, item)

    def _complete(self, call: _Call, item: dict[str, Any]) -> None:
        call.is_done = True
        call.name = _name_of(item)
        call.failed = item.get("error") is not None or string(item.get("status")) in _FAILED_ITEMS

    def seen(self, *, is_whole: bool) -> tuple[ToolSeen, ...] | None:
        """Return the calls in their order; of a broken answer without any, nothing is known.

        A start without an end is left out: nobody saw how long the call took.
        """
        if not self._calls and not is_whole:
            return None
        return tuple(
            ToolSeen(
                name=call.name,
                start_ns=None if call.end_ns is None else call.start_ns,
                end_ns=call.end_ns,
                failed=call.failed or not (call.is_done or is_whole),
            )
            for call in self._calls.values()
        )


def _name_of(item: dict[str, Any]) -> str:
    """Return the name of a call's tool; that of a built-in one is in its type."""
    return string(item.get("name")) or (string(item.get("type")) or "").removesuffix("_call")


def _text_of(output: Any) -> str:
    """Return what the messages of an output say, as one text."""
    return "".join(
        string(part.get(key)) or ""
        for item in mappings(output)
        if item.get("type") == "message"
        for part in mappings(item.get("content"))
        for key in ("text", "refusal")
    )


def _id_of(response: dict[str, Any]) -> str | None:
    """Return by what the next turn may refer to an answer: not if the server did not keep it."""
    return None if response.get("store") is False else string(response.get("id")) or None


def _error_of(response: dict[str, Any]) -> str | None:
    error = response.get("error")
    if error is not None:
        return error_detail(error)
    status = string(response.get("status"))
    return f"the response is {status}" if status in _FAILED_ANSWERS else None


def _event_error(event: dict[str, Any]) -> str:
    """Return what an `error` event says: in its own fields, or, as servers send it, in `error`."""
    return error_detail(event["error"] if event.get("error") is not None else event)


def _trace_of(holder: dict[str, Any]) -> Mapping[str, Any] | None:
    trace = holder.get("trace")
    return trace if isinstance(trace, dict) else None
