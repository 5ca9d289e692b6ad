"""The events of an answer, whatever it comes as: server-sent events, JSON lines, or one JSON body.

JSON lines are what servers call `application/x-ndjson`, `application/jsonl` and the like.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import orjson

from profiler.endpoints.event_rules import Event
from profiler.endpoints.event_stream import BrokenStreamError
from profiler.endpoints.sse import EventTooLongError, SseParser

if TYPE_CHECKING:
    from collections.abc import Iterator

    from profiler.endpoints.body import Body
    from profiler.endpoints.event_rules import EventRules

MOST_EVENTS = 100_000
"""What is read of one answer. One of more is not an agent's, and would keep the harness busy."""

UNNAMED = "message"
DONE = "[DONE]"
"""The name under which the end mark `data: [DONE]` of many servers is handed on."""

_SSE = "text/event-stream"
_LINES = ("ndjson", "jsonl", "json-lines", "json-seq", "stream+json")
_END_MARK = b"[DONE]"
_RECORD_SEPARATOR = b"\x1e"


def is_stream(content_type: str) -> bool:
    """Tell whether events come one after the other, so that their times mean something."""
    return content_type.startswith(_SSE) or _is_lines(content_type)


def _is_lines(content_type: str) -> bool:
    return any(word in content_type for word in _LINES)


def events_of(body: Body, content_type: str, rules: EventRules) -> Iterator[Event]:
    """Yield the events of a stream. Raises `BrokenStreamError` where it breaks off."""
    pairs = _sse(body) if content_type.startswith(_SSE) else _lines(body)
    for number, (name, data, at_ns) in enumerate(pairs, 1):
        if number > MOST_EVENTS:
            detail = f"the answer has more than {MOST_EVENTS:,} events"
            raise BrokenStreamError("too_many_events", detail)
        if data == _END_MARK:
            yield Event(DONE, None, at_ns)
        elif rules.is_text:
            yield Event(name, data.decode("utf-8", "replace"), at_ns)
        else:
            yield Event(name, _json(data), at_ns)


def _json(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as exc:
        raise BrokenStreamError("event_not_json", "an event of the stream is no JSON") from exc


def _sse(body: Body) -> Iterator[tuple[str, bytes, int]]:
    parser = SseParser()
    try:
        for piece, at_ns in zip(body.pieces, body.times_ns, strict=True):
            for event in parser.feed(piece):
                yield event.name, event.data, at_ns
    except EventTooLongError as exc:
        raise BrokenStreamError("event_too_long", str(exc)) from exc


def _lines(body: Body) -> Iterator[tuple[str, bytes, int]]:
    """Yield lines that are not empty; the last one may lack its end."""
    whole = body.whole()
    pieces_end = list(accumulate(map(len, body.pieces)))
    start = 0
    while start < len(whole):
        end = whole.find(b"\n", start)
        end = len(whole) if end < 0 else end + 1
        line = whole[start:end].strip().removeprefix(_RECORD_SEPARATOR)
        if line:
            yield UNNAMED, line, body.times_ns[bisect_left(pieces_end, end)]
        start = end


def items_of(document: Any, rules: EventRules) -> list[Event]:
    """Return the events of one JSON body: a list, at a path. One that is no list is one event."""
    found = rules.each.search(document)
    items = found if isinstance(found, list) else [document if found is None else found]
    if len(items) > MOST_EVENTS:
        detail = f"the answer has more than {MOST_EVENTS:,} events"
        raise BrokenStreamError("too_many_events", detail)
    return [Event(UNNAMED, item, None) for item in items]
