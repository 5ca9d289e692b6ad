"""Asking a Chat Completions stream for its usage, and taking out again what that adds.

By OpenAI's documentation `stream_options.include_usage` adds one chunk, with usage and without
choices, before `[DONE]`, and `"usage": null` to all other chunks. Both are taken out, and every
other byte stays: the agent gets the stream that it asked for.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

MAX_HELD_BYTES = 1024 * 1024
"""An event longer than this is passed on as it is."""

_EVENT_END = re.compile(rb"\r\n\r\n|\n\r\n|\r\n\n|\n\n|\r\r")
_NULL_USAGE = re.compile(rb'(?<!\\)"usage"\s*:\s*null')
_COMMA_BEFORE, _COMMA_AFTER = re.compile(rb",\s*\Z"), re.compile(rb"\A\s*,")


def asking_for_usage(raw: bytes, body: dict[str, Any]) -> bytes | None:
    """Return a request's body with the option added; None: it is no stream, or has it already."""
    if body.get("stream") is not True:
        return None
    options = body.get("stream_options")
    if options is None and "stream_options" not in body:
        start = raw.index(b"{") + 1  # all that was written stays as it was written
        return raw[:start] + b'"stream_options":{"include_usage":true},' + raw[start:]
    if options is not None and not isinstance(options, dict):
        return None  # wrong: for the provider to say
    options = options or {}
    if options.get("include_usage") is True:
        return None
    return orjson.dumps({**body, "stream_options": {**options, "include_usage": True}})


class UsageChunkFilter:
    """Takes the answer to a request that was changed; gives what the unchanged one would have got.

    Holds back no more than an event whose end has not come.
    """

    def __init__(self) -> None:
        self._held = b""
        self._is_off = False

    def feed(self, piece: bytes) -> bytes:
        """Return what may be passed on."""
        if self._is_off:
            return piece
        buffer = self._held + piece
        kept: list[bytes] = []
        start = 0
        # From just before what was held ended: an end may be half in it.
        for match in _EVENT_END.finditer(buffer, max(0, len(self._held) - 3)):
            kept.append(_kept(buffer[start : match.end()]))
            start = match.end()
        self._held = buffer[start:]
        if len(self._held) > MAX_HELD_BYTES:
            self._is_off = True
            kept.append(self.rest())
        return b"".join(kept)

    def rest(self) -> bytes:
        """Return what is held when the stream has ended."""
        rest, self._held = self._held, b""
        return rest


def _kept(event: bytes) -> bytes:
    if b'"usage"' not in event:
        return event
    start = event.find(b"{")
    end = event.rfind(b"}") + 1
    chunk = _object(event[start:end])
    if chunk is None or "usage" not in chunk:
        return event
    if chunk["usage"] is None:
        return event[:start] + _without_null(event[start:end], chunk) + event[end:]
    is_extra = chunk.get("choices") == [] and isinstance(chunk["usage"], dict)
    return b"" if is_extra else event


def _without_null(data: bytes, chunk: dict[str, Any]) -> bytes:
    """Return the chunk without its `"usage": null`, if that is sure to be all that goes."""
    for match in _NULL_USAGE.finditer(data):
        before, after = data[: match.start()], data[match.end() :]
        if _COMMA_BEFORE.search(before):
            shorter = _COMMA_BEFORE.sub(b"", before) + after
        else:
            shorter = before + _COMMA_AFTER.sub(b"", after)
        if _object(shorter) == {key: item for key, item in chunk.items() if key != "usage"}:
            return shorter
    return data


def _object(data: bytes) -> dict[str, Any] | None:
    try:
        item = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    return item if isinstance(item, dict) else None
