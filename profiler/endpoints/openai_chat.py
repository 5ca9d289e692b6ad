"""OpenAI Chat Completions: `POST .../chat/completions`, streaming or plain.

The client carries the visible conversation and sends it again with each turn, as the protocol
wants; the session id goes along as `x-session-id`, for agents that keep the history themselves.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import orjson

from profiler.endpoints.body import Body
from profiler.endpoints.exchange import Outgoing, Reply
from profiler.endpoints.json_values import count, error_detail, parsed
from profiler.endpoints.sse import EventTooLongError, PlainStream, timed_events
from profiler.measure.records import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from profiler.endpoints.exchange import Reader

DEFAULT_MODEL = "agent"


class OpenAiChat:
    """The `openai-chat` protocol for one target."""

    def __init__(
        self, *, url: str, model: str | None, stream: bool, headers: Mapping[str, str]
    ) -> None:
        self.url = url
        self.model = model if model is not None else DEFAULT_MODEL
        self.stream = stream
        self.headers = {
            "content-type": "application/json",
            "accept": "text/event-stream" if stream else "application/json",
            **headers,
        }

    def begin(self, session_id: str) -> OpenAiChatDialogue:
        """Start a session with an empty conversation."""
        return OpenAiChatDialogue(self, session_id)


class OpenAiChatDialogue:
    """One conversation: the messages that both sides have seen."""

    def __init__(self, endpoint: OpenAiChat, session_id: str) -> None:
        self._endpoint = endpoint
        self._session_headers = {"x-session-id": session_id}
        self._messages: list[dict[str, str]] = []

    def request(self, user: str) -> Outgoing:
        """Return the request that asks for the answer to `user`."""
        body: dict[str, Any] = {
            "model": self._endpoint.model,
            "messages": [*self._messages, {"role": "user", "content": user}],
        }
        if self._endpoint.stream:
            body["stream"] = True
            body["stream_options"] = {"include_usage": True}
        return Outgoing(
            url=self._endpoint.url,
            headers=self._endpoint.headers,
            session_headers=self._session_headers,
            body=orjson.dumps(body),
        )

    def reader(self, *, status: int, content_type: str) -> Reader:
        """Return a stream reader for an event stream that succeeded, else a plain one."""
        if status < 400 and content_type.startswith("text/event-stream"):  # noqa: PLR2004 - HTTP
            return ChatStreamReader()
        return ChatPlainReader()

    def accept(self, user: str, reply: Reply) -> None:
        """Add the turn to the conversation."""
        self._messages.append({"role": "user", "content": user})
        self._messages.append({"role": "assistant", "content": reply.text})


def usage_from(block: Any) -> Usage | None:
    """Read OpenAI's `usage` object; what it does not say stays None."""
    if not isinstance(block, dict):
        return None
    usage = Usage(
        input_tokens=count(block.get("prompt_tokens")),
        output_tokens=count(block.get("completion_tokens")),
        cached_input_tokens=count(_inner(block, "prompt_tokens_details", "cached_tokens")),
        reasoning_tokens=count(_inner(block, "completion_tokens_details", "reasoning_tokens")),
    )
    return None if usage == Usage() else usage


class ChatPlainReader(Body):
    """Reads one JSON body. The first token is not observed: the answer comes in one piece."""

    __slots__ = ()

    def finish(self) -> Reply:
        """Parse the body."""
        try:
            body = orjson.loads(self.whole())
        except orjson.JSONDecodeError:
            return Reply(
                error_kind="not_json",
                error_detail="the response body is no JSON",
                is_protocol_error=True,
            )
        if not isinstance(body, dict):
            return _wrong_shape(body, "the response is no JSON object")
        usage, trace = usage_from(body.get("usage")), _mapping(body.get("trace"))
        if body.get("error") is not None:
            return Reply(
                usage=usage,
                trace=trace,
                body=body,
                error_kind="error_in_body",
                error_detail=error_detail(body["error"]),
            )
        try:
            content = body["choices"][0]["message"].get("content")
        except (KeyError, IndexError, TypeError, AttributeError):
            return _wrong_shape(body, "the response has no choices[0].message")
        return Reply(text=_text(content), usage=usage, trace=trace, body=body)


class ChatStreamReader(Body):
    """Reads a stream of chunks, up to `[DONE]`.

    Time to first token is the arrival of the first content, which is neither the first byte nor
    the first chunk: that one only names the role.
    """

    __slots__ = ("_error", "_finished", "_first_ns", "_last_ns", "_text", "_trace", "_usage")

    def __init__(self) -> None:
        super().__init__()
        self._text: list[str] = []
        self._first_ns: int | None = None
        self._last_ns: int | None = None
        self._usage: Usage | None = None
        self._trace: Mapping[str, Any] | None = None
        self._finished = False
        self._error: str | None = None

    def finish(self) -> Reply:
        """Say what the stream meant."""
        broken = self._read()
        if broken is None and self._error is None and not self._finished:
            broken = ("stream_cut", "the stream ended without [DONE] or a finish_reason")
        kind, detail = broken if broken is not None else (None, None)
        if kind is None and self._error is not None:
            kind, detail = "error_in_stream", self._error
        return Reply(
            text="".join(self._text),
            first_token_ns=self._first_ns,
            last_token_ns=self._last_ns,
            usage=self._usage,
            trace=self._trace,
            error_kind=kind,
            error_detail=detail,
            is_protocol_error=broken is not None,
        )

    def _read(self) -> tuple[str, str] | None:
        """Take all events up to one that breaks the protocol; return how it does."""
        if self._read_plain():
            return None
        data: list[bytes] = []
        times_ns: list[int] = []
        broken = None
        try:
            for event, at_ns in timed_events(self.pieces, self.times_ns):
                if event == b"[DONE]":
                    self._finished = True
                else:
                    data.append(event)
                    times_ns.append(at_ns)
        except EventTooLongError as exc:
            broken = ("event_too_long", str(exc))
        for event, at_ns in zip(data, times_ns, strict=True):
            chunk = parsed(event)
            if not isinstance(chunk, dict):
                return "event_not_json", "an event of the stream is no JSON object"
            if self._take(chunk):
                self._note_content(at_ns)
        return broken

    def _read_plain(self) -> bool:
        """Take all events of a stream in its usual form at once; False: it is none, untouched."""
        plain = PlainStream.of(self.whole())
        if plain is None:
            return False
        chunks = parsed(b"[" + plain.joined + b"]")
        if not isinstance(chunks, list) or len(chunks) != plain.events:
            return False
        if not all(chunk.__class__ is dict for chunk in chunks):
            return False
        self._finished = plain.is_done
        with_content = [index for index, chunk in enumerate(chunks) if self._take(chunk)]
        if with_content:
            ends, pieces_end = plain.ends(), list(accumulate(map(len, self.pieces)))
            for index in (with_content[0], with_content[-1]):
                self._note_content(self.times_ns[bisect_left(pieces_end, ends[index])])
        return True

    def _note_content(self, at_ns: int) -> None:
        if self._first_ns is None:
            self._first_ns = at_ns
        self._last_ns = at_ns

    def _take(self, chunk: dict[str, Any]) -> bool:
        """Take one chunk; say whether it has content that the user or the agent waits for."""
        if "error" in chunk and chunk["error"] is not None:
            self._error = error_detail(chunk["error"])
        if "usage" in chunk and chunk["usage"] is not None:
            self._usage = usage_from(chunk["usage"])
        if "trace" in chunk and chunk["trace"] is not None:
            self._trace = _mapping(chunk["trace"])
        try:
            choice = chunk["choices"][0]
            if choice.get("finish_reason") is not None:
                self._finished = True
            delta = choice["delta"]
            content = delta.get("content")
            if content.__class__ is not str:
                content = _text(content)
            if content or delta.get("tool_calls"):
                self._text.append(content)
                return True
        except (KeyError, IndexError, TypeError, AttributeError):
            pass  # the last chunk has no choices, and others' chunks may have other things in them
        return False


def _wrong_shape(body: Any, detail: str) -> Reply:
    return Reply(body=body, error_kind="wrong_shape", error_detail=detail, is_protocol_error=True)


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = (part.get("text") for part in content if isinstance(part, dict))
        return "".join(part for part in parts if isinstance(part, str))
    return ""


def _inner(block: dict[str, Any], outer: str, inner: str) -> Any:
    details = block.get(outer)
    return details.get(inner) if isinstance(details, dict) else None


def _mapping(value: Any) -> Mapping[str, Any] | None:
    return value if isinstance(value, dict) else None
