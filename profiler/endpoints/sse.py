"""Server-sent events: an incremental parser, fed with bytes as they leave the socket.

After the WHATWG HTML standard, section 9.2.6: lines end in LF, CR LF or CR, `data` lines of one
event are joined with LF, a comment starts with a colon, an event ends at an empty line, an event
without data is dropped, and so is one that the stream's end cuts off.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_LINE_END = re.compile(rb"\r\n|\n|\r")
_BOM = b"\xef\xbb\xbf"


class EventTooLongError(ValueError):
    """An event grew past the limit without ending."""


@dataclass(frozen=True, slots=True)
class SseEvent:
    """One event: its name (`message` where the stream gave none) and its data."""

    name: str
    data: bytes


class SseParser:
    """Turns bytes, cut anywhere, into events. Keeps at most `max_event_bytes` of an open event."""

    def __init__(self, *, max_event_bytes: int = 16 * 1024 * 1024) -> None:
        self._max_event_bytes = max_event_bytes
        self._tail = b""
        self._data: list[bytes] = []
        self._data_bytes = 0
        self._name = ""
        self._at_start = True

    def feed(self, chunk: bytes) -> list[SseEvent]:
        """Return the events that `chunk` completes. Raises `EventTooLongError`."""
        if self._at_start:
            chunk = self._without_bom(chunk)
        buffer = self._tail + chunk if self._tail else chunk
        events: list[SseEvent] = []
        start = 0
        for match in _LINE_END.finditer(buffer):
            if match.group() == b"\r" and match.end() == len(buffer):
                break  # perhaps the first half of CR LF: wait for the next byte
            self._line(buffer[start : match.start()], events)
            start = match.end()
        self._tail = buffer[start:]
        if len(self._tail) + self._data_bytes > self._max_event_bytes:
            raise EventTooLongError(f"an event of more than {self._max_event_bytes} bytes")
        return events

    def _without_bom(self, chunk: bytes) -> bytes:
        joined = self._tail + chunk
        if len(joined) < len(_BOM) and _BOM.startswith(joined):
            self._tail = joined
            return b""
        self._at_start = False
        self._tail = b""
        return joined.removeprefix(_BOM)

    def _line(self, line: bytes, events: list[SseEvent]) -> None:
        if not line:
            if self._data:
                events.append(SseEvent(self._name or "message", b"\n".join(self._data)))
            self._data = []
            self._data_bytes = 0
            self._name = ""
            return
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data.append(value)
            self._data_bytes += len(value) + 1
        elif field == b"event":
            self._name = value.decode("utf-8", "replace")


def timed_events(pieces: Iterable[bytes], times_ns: Iterable[int]) -> Iterator[tuple[bytes, int]]:
    """Yield the data of each event, and when the piece came that completed it.

    Raises `EventTooLongError`.
    """
    for _, data, at_ns in named_events(pieces, times_ns):
        yield data, at_ns


def named_events(
    pieces: Iterable[bytes], times_ns: Iterable[int]
) -> Iterator[tuple[str, bytes, int]]:
    """Yield the name and the data of each event, and when the piece came that completed it.

    Raises `EventTooLongError`.
    """
    parser = SseParser()
    for piece, at_ns in zip(pieces, times_ns, strict=True):
        for event in parser.feed(piece):
            yield event.name, event.data, at_ns


@dataclass(frozen=True, slots=True)
class PlainStream:
    """A whole stream in which every event is one line `data: ...`, as servers mostly send them.

    `joined` has the data of all events but a final `[DONE]`, with commas between; `events` is how
    many these are.
    """

    joined: bytes
    events: int
    is_done: bool
    _whole: bytes

    @classmethod
    def of(cls, whole: bytes) -> PlainStream | None:
        """Take a stream apart by counting and replacing; None where it has any other form."""
        events = whole.count(_BETWEEN) + 1
        if (
            not whole.startswith(b"data: ")
            or not whole.endswith(b"\n\n")
            or whole.count(b"\n") != 2 * events
            or b"\r" in whole
        ):
            return None
        is_done = whole.endswith(b"\n\ndata: [DONE]\n\n")
        data = whole[6:-16] if is_done else whole[6:-2]
        return cls(data.replace(_BETWEEN, b","), events - is_done, is_done, whole)

    def ends(self) -> list[int]:
        """Return the offset in the stream at which each event ends, `[DONE]` included."""
        return list(accumulate(len(line) + 2 for line in self._whole[:-2].split(b"\n\n")))


_BETWEEN = b"\n\ndata: "
