"""Chunks of lines against the reader of single lines."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.workload.importers import chunks as module
from profiler.workload.importers import frames
from profiler.workload.importers.chunks import Chunk, chunks
from profiler.workload.importers.frames import lines

Line = tuple[int, bytes, str | None]


def by_chunks(data: bytes, chunk_bytes: int) -> list[Line]:
    found: list[Line] = []
    for line, text, why in chunks(io.BytesIO(data), chunk_bytes=chunk_bytes):
        if why is not None:
            found.append((line, text, why))
        for number, row in enumerate(text.split(b"\n"), start=line):
            if row.strip():
                found.append((number, row, None))
    return found


def by_lines(data: bytes) -> list[Line]:
    return [(f.line, f.data.removesuffix(b"\n"), f.why) for f in lines(io.BytesIO(data))]


def test_chunks_are_whole_lines_with_the_number_of_the_first() -> None:
    data = b"\xef\xbb\xbfab\n\ncdefgh\ni\nj"
    assert list(chunks(io.BytesIO(data), chunk_bytes=4)) == [
        Chunk(1, b"ab\n\n"),
        Chunk(3, b"cdefgh\n"),
        Chunk(4, b"i\nj"),
    ]


@given(
    st.lists(st.sampled_from([b"\n", b"\r\n", b" ", b"a", b"bcd", b"123456789012"])).map(b"".join),
    st.integers(1, 9),
)
def test_lines_in_chunks_are_those_that_are_read_one_by_one(data: bytes, chunk_bytes: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MOST_BYTES", 10)
        patch.setattr(frames, "MOST_BYTES", 10)
        assert by_chunks(data, chunk_bytes) == by_lines(data)
