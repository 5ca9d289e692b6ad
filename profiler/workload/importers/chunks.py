"""Reading a file of lines some hundred at a time: what is done for many at once is done sooner."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from profiler.workload.importers.frames import MOST_BYTES, TOO_LONG, skip_bom

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

CHUNK_BYTES = 2**16


class Chunk(NamedTuple):
    """Whole lines, the first of them with this number (from 1), each with its end.

    `data` is empty where `why` says what is wrong with a line.
    """

    line: int
    data: bytes
    why: str | None = None


def chunks(stream: BinaryIO, *, chunk_bytes: int = CHUNK_BYTES) -> Iterator[Chunk]:
    """Yield all lines, blank ones too. One of more than `MOST_BYTES` is not kept, and named."""
    skip_bom(stream)
    number = 1
    while data := stream.read(chunk_bytes):
        begin = data.rfind(b"\n") + 1
        last = data[begin:]
        if last:
            last += stream.readline(MOST_BYTES - len(last))
        if len(last) < MOST_BYTES or last.endswith(b"\n"):
            yield Chunk(number, data[:begin] + last)
            number += data.count(b"\n") + last.endswith(b"\n")
            continue
        if begin:
            yield Chunk(number, data[:begin])
            number += data.count(b"\n")
        yield Chunk(number, b"", TOO_LONG)
        while (more := stream.readline(chunk_bytes)) and not more.endswith(b"\n"):
            pass
        number += 1
