"""What the null server says, made once: OpenAI chat completions, plain and streamed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import orjson

_INPUT_TOKENS = 10
_PLAIN_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
)
_LAST_FRAME = b"0\r\n\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class NullAnswers:
    """The bytes of an answer: whole, and for a stream also piece by piece."""

    plain: bytes
    stream: bytes
    pieces: tuple[bytes, ...]

    @classmethod
    def of(cls, chunks: int) -> Self:
        """Make answers whose streams have so many chunks with content, a token each.

        The first piece brings the HTTP head along, the last one `[DONE]` and the end.
        """
        pieces = [_event(_chunk(number, chunks)) for number in range(chunks)]
        pieces[0] = _STREAM_HEAD + pieces[0]
        pieces[-1] += _frame(b"data: [DONE]\n\n") + _LAST_FRAME
        return cls(plain=plain_json(_completion()), stream=b"".join(pieces), pieces=tuple(pieces))


def plain_json(value: Any) -> bytes:
    """Return a whole HTTP response with a JSON body."""
    body = orjson.dumps(value)
    return _PLAIN_HEAD % len(body) + body


def refusal(status: str) -> bytes:
    """Return a whole HTTP response that ends the connection."""
    return b"HTTP/1.1 %b\r\nconnection: close\r\ncontent-length: 0\r\n\r\n" % status.encode()


def _usage(output_tokens: int) -> dict[str, int]:
    return {
        "prompt_tokens": _INPUT_TOKENS,
        "completion_tokens": output_tokens,
        "total_tokens": _INPUT_TOKENS + output_tokens,
    }


def _completion() -> dict[str, Any]:
    message = {"role": "assistant", "content": "Your order is on its way."}
    return {
        "id": "null",
        "object": "chat.completion",
        "created": 0,
        "model": "null",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": _usage(6),
    }


def _chunk(number: int, chunks: int) -> dict[str, Any]:
    last = number == chunks - 1
    delta = {"content": "token "}
    if number == 0:
        delta = {"role": "assistant", **delta}
    chunk: dict[str, Any] = {
        "id": "null",
        "object": "chat.completion.chunk",
        "created": 0,
        "model": "null",
        "choices": [{"index": 0, "delta": delta, "finish_reason": "stop" if last else None}],
    }
    return {**chunk, "usage": _usage(chunks)} if last else chunk


def _event(value: Any) -> bytes:
    return _frame(b"data: " + orjson.dumps(value) + b"\n\n")


def _frame(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)
