"""Server-sent events: an incremental parser, fed with bytes as they leave the socket.

After the WHATWG HTML standard, section 9.2.6: lines end in LF, CR LF or CR, `data` lines of one
event are joined with LF, a comment starts with a colon, an event ends at an empty line, an event
without data is dropped, and so is one that the stream's end cuts off.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
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

    @property
    def is_between_events(self) -> bool:
        """Whether the next byte begins a new event."""
        return not self._tail and not self._data and not self._name

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

    A piece that is just one event, as servers mostly send them, is not parsed at all. Raises
    `EventTooLongError`.
    """
    parser = SseParser()
    between = True
    for piece, at_ns in zip(pieces, times_ns, strict=True):
        if between and _is_one_event(piece):
            yield piece[6:-2], at_ns
            continue
        for event in parser.feed(piece):
            yield event.data, at_ns
        between = parser.is_between_events


def _is_one_event(piece: bytes) -> bool:
    """Say whether a piece is one line of data and the empty line that ends its event."""
    return (
        piece.startswith(b"data: ")
        and piece.endswith(b"\n\n")
        and piece.find(b"\n") == len(piece) - 2
        and b"\r" not in piece
    )
