"""Answers that no agent would want to send: as OpenAI Chat Completions, plain and streamed."""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, Any

import orjson

from profiler.mock.wire import DONE, sse

if TYPE_CHECKING:
    from collections.abc import Iterator

_PIECE_BYTES = 64 * 1024
_WORDS = b"so much is said here and so little of it was asked for "
_ERROR = {"message": "An injected fault.", "type": "server_error", "param": None, "code": None}


def error_answer(*, is_stream: bool) -> bytes:
    """Return an error that comes inside a 200."""
    if not is_stream:
        return orjson.dumps({"error": _ERROR})
    begun = sse(_chunk({"role": "assistant", "content": "I was about to "}))
    return begun + sse({"error": _ERROR}) + DONE


def endless_pieces(*, is_stream: bool) -> Iterator[bytes]:
    """Yield the pieces of an answer that has no end."""
    if is_stream:
        yield from repeat(sse(_chunk({"content": _text(_PIECE_BYTES)})))
    yield b'{"choices":[{"index":0,"message":{"role":"assistant","content":"'
    yield from repeat(_text(_PIECE_BYTES).encode())


def large_answer(size_bytes: int, *, is_stream: bool) -> Iterator[bytes]:
    """Yield the pieces of a sound answer with so many bytes of text."""
    whole, rest = divmod(size_bytes, _PIECE_BYTES)
    sizes = [*repeat(_PIECE_BYTES, whole), rest]
    if is_stream:
        for size in sizes:
            yield sse(_chunk({"content": _text(size)}))
        yield sse(_chunk({}, "stop")) + DONE
        return
    yield b'{"choices":[{"index":0,"message":{"role":"assistant","content":"'
    for size in sizes:
        yield _text(size).encode()
    yield b'"},"finish_reason":"stop"}]}'


def _text(size_bytes: int) -> str:
    """Return words of so many bytes together, which need no escaping in JSON."""
    return (_WORDS * (size_bytes // len(_WORDS) + 1))[:size_bytes].decode()


def _chunk(delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return {"object": "chat.completion.chunk", "choices": [choice]}
