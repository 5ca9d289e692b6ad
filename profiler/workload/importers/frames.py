"""Cutting a file into pieces of JSON, one a session, in constant memory: lines, or array items.

Where an item of an array ends is guessed from how the one before ended, and holds if what is before
it is whole JSON, which is then not parsed again; else brackets are counted. A piece of more than
`MOST_BYTES` is not kept: it comes as a `Frame` that says so in place of its bytes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from profiler.workload.importers.seams import Seams

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

MOST_BYTES = 32 * 2**20
_CHUNK_BYTES = 2**20
_BOM = b"\xef\xbb\xbf"
BLANK = b" \t\r\n"
STRING = rb'(?:"[^"]*+"(?<!\\")|"[^"\\]*+(?:\\.[^"\\]*+)*+")'
"""Without escapes up to its first quote, which the first branch finds sooner; or with them."""
_TOKEN = re.compile(STRING + rb'|["{}\[\]]', re.DOTALL)
"""A string, a bracket, or the quote of a string whose end is not in the buffer."""


def _nested(depth: int) -> bytes:
    inner = rb'[^"{}\[\]]++|' + STRING + (b"|" + _nested(depth - 1) if depth else b"")
    return rb"[{\[](?:" + inner + rb")*+[}\]]"


_WHOLE = re.compile(_nested(6), re.DOTALL)
"""A whole item that is not nested deeper than this: found at twice the speed."""


class Frame(NamedTuple):
    """One piece of a file. `line` counts from 1; `data` is empty where `why` says what is wrong.

    `parsed` is what the JSON in `data` says where that was read already, else None.
    """

    line: int
    offset: int
    data: bytes
    why: str | None = None
    parsed: Any = None


def lines(stream: BinaryIO) -> Iterator[Frame]:
    """Yield every line that is not blank."""
    number, offset = 1, skip_bom(stream)
    while data := stream.readline(MOST_BYTES):
        length = len(data)
        if length == MOST_BYTES and not data.endswith(b"\n"):
            yield Frame(number, offset, b"", TOO_LONG)
            while data := stream.readline(_CHUNK_BYTES):
                length += len(data)
                if data.endswith(b"\n"):
                    break
        elif not data.isspace():
            yield Frame(number, offset, data)
        number, offset = number + 1, offset + length


def lines_or_items(stream: BinaryIO) -> Iterator[Frame]:
    """Yield the items of a JSON array, where the file begins with `[`, else its lines."""
    start = skip_bom(stream)
    while (first := stream.read(1)) and first in BLANK:
        pass
    at = stream.tell()
    stream.seek(0)
    if first != b"[":
        yield from lines(stream)
        return
    before = stream.read(at)[start:]
    yield from items_from(stream, at, before.count(b"\n") + 1)


def items_from(
    stream: BinaryIO, offset: int, line: int, *, has_tail: bool = False, in_lines: bool = True
) -> Iterator[Frame]:
    """Yield the items of an array whose `[` stands right before `offset`, on this line.

    What follows the array is named, unless it `has_tail`: it stands within a document. Unless
    `in_lines`, all are said to be on this line: counting takes a tenth of the time.
    """
    stream.seek(offset)
    yield from _Items(stream, offset, line, has_tail=has_tail, in_lines=in_lines).items()


TOO_LONG = f"longer than {MOST_BYTES // 2**20} MiB"


def skip_bom(stream: BinaryIO) -> int:
    """Go to the first byte of text; return its offset."""
    stream.seek(0)
    start = len(_BOM) if stream.read(len(_BOM)) == _BOM else 0
    stream.seek(start)
    return start


class _Items:
    """Finds where the items of an array begin and end by counting brackets outside of strings.

    `_buffer` begins at `_offset` in the file, on line `_line`. Everything before `_end` was given
    out or found to be nothing, everything before `_scanned` was looked at.
    """

    def __init__(
        self, stream: BinaryIO, offset: int, line: int, *, has_tail: bool, in_lines: bool
    ) -> None:
        self._stream = stream
        self._has_tail = has_tail
        self._in_lines = in_lines
        self._offset, self._line = offset, line
        self._buffer = b""
        self._end = self._scanned = self._start = self._depth = 0
        self._is_closed = False
        self._seams = Seams()

    def items(self) -> Iterator[Frame]:
        while self._fill():
            yield from self._scan()
            if self._is_closed:
                break
            if len(self._buffer) - self._end > MOST_BYTES:
                yield self._lost(f"{TOO_LONG}: the rest of the file was not read")
                return
        if not self._is_closed:
            yield self._lost("the array is not closed: what stands from here on was not read")
            return
        if self._has_tail:
            return
        while not self._buffer[self._end :].strip(BLANK):
            self._end = len(self._buffer)
            if not self._fill():
                return
        yield self._lost("something after the array's end, which was not read")

    def _fill(self) -> bool:
        """Drop what is done with and read more: as much as is kept, so that scanning is linear."""
        kept = self._buffer[self._end :]
        self._line += self._lines(0, self._end)
        self._offset += self._end
        self._scanned -= self._end
        self._start -= self._end
        self._end = 0
        more = self._stream.read(max(_CHUNK_BYTES, len(kept)))
        self._buffer = kept + more
        return bool(more)

    def _scan(self) -> Iterator[Frame]:
        """Yield the items that end in the buffer."""
        buffer = self._buffer
        line, counted = self._line, 0
        while found := _TOKEN.search(buffer, self._scanned):
            at, end, byte = found.start(), found.end(), buffer[found.start()]
            if byte == _QUOTE and end == at + 1:
                self._scanned = at
                return
            parsed = None
            if byte != _QUOTE and self._depth == 0:
                line += self._lines(counted, at)
                counted = at
                self._seams.learn(buffer, self._end, at)
                yield from self._between(at)
                if byte not in _OPENING:
                    self._end = self._scanned = end
                    self._is_closed = True
                    return
                self._start = at
                end, parsed = self._whole(at)
            elif byte != _QUOTE:
                self._depth += 1 if byte in _OPENING else -1
            self._scanned = end
            if byte != _QUOTE and self._depth == 0:
                self._end = end
                data = buffer[self._start : end]
                yield Frame(line, self._offset + self._start, data, parsed=parsed)
                line += self._lines(counted, end)
                counted = end

    def _lines(self, begin: int, end: int) -> int:
        return self._buffer.count(b"\n", begin, end) if self._in_lines else 0

    def _whole(self, at: int) -> tuple[int, Any]:
        """Return the end of the item at `at` and what it says; or the end of its first bracket."""
        if found := self._seams.item(self._buffer, at):
            return found
        if whole := _WHOLE.match(self._buffer, at):
            return whole.end(), None
        self._depth = 1
        return at + 1, None

    def _between(self, at: int) -> Iterator[Frame]:
        """Name what stands between two items and is none: a number, a text."""
        if self._buffer[self._end : at].strip(BLANK + b","):
            yield self._lost("not a JSON object")
        self._end = at

    def _lost(self, why: str) -> Frame:
        """Return the frame of what stands at `_end` and cannot be taken."""
        rest = self._buffer[self._end :]
        begin = len(self._buffer) - len(rest.lstrip(BLANK + b","))
        line = self._line + self._lines(0, begin)
        return Frame(line, self._offset + begin, b"", why)


_QUOTE = ord('"')
_OPENING = b"{["
