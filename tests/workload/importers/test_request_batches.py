"""Lines read many at a time, against the readers of single lines."""

from __future__ import annotations

import io
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from profiler.workload.importers import request_batches as module
from profiler.workload.importers.kinds import ImportKind
from profiler.workload.importers.messages import RefusedError
from profiler.workload.importers.request_batches import Batch, read_batches
from profiler.workload.importers.request_lines import Request, azure, mooncake
from profiler.workload.importers.streaming import Problem
from profiler.workload.request_trace import Lengths

HEADER = b"TIMESTAMP,ContextTokens,GeneratedTokens\r\n"


def line(**fields: Any) -> bytes:
    usual = {"timestamp": 5, "input_length": 600, "output_length": 5, "hash_ids": [1, 2]}
    return json.dumps({**usual, **fields}).encode()


def deep(depth: int) -> bytes:
    ids = b"[" * depth + b"]" * depth
    return b'{"timestamp":5,"input_length":5,"output_length":5,"hash_ids":[%b]}' % ids


usual_lines = st.integers(1, 3000).flatmap(
    lambda tokens: st.builds(
        line,
        timestamp=st.integers(0, 10**14),
        input_length=st.just(tokens),
        output_length=st.integers(0, 10**6),
        hash_ids=st.lists(
            st.one_of(st.integers(0, 99), st.integers(0, 2**63 - 1)),
            min_size=-(-tokens // 512),
            max_size=-(-tokens // 512),
        ),
    )
)
ODD_LINES = [
    *(line(timestamp=at) for at in (-1, 1.5, 10**14 + 1, 2**70, True, None, "5")),
    *(line(input_length=tokens) for tokens in (0, -1, 600.0, 10**7 + 1, True, None, [600])),
    *(line(output_length=tokens) for tokens in (-1, 5.0, 10**6 + 1, True, None, "5")),
    *(
        line(hash_ids=ids)
        for ids in (
            None, [], [1], [1, 2, 3], "12", {"1": 2, "2": 3}, 5,
            [1, 2.0], [1, True], [1, None], [1, "2"], [1, "],["], [1, [2]], [[1], 2], [{}, 1],
            [1, -2], [1, 2**63 - 1], [1, 2**63], [1, 2**64],
        )
    ),
    *(deep(depth) for depth in (2, 250, 254, 255, 2000)),
    b"{}", b"[]", b"5", b'"timestamp"', b"null", b"{oops", b'{"\xff"', line()[1:], line() + b" x",
    b"", b" ", b"\r", b"\x0b", b" " + line() + b"\r", line(more={"a": [1]}),
]  # fmt: skip
ODD_ROWS = [
    b"2023-11-16 18:15:46.6805900,1", b"2023-11-16 18:15:46.6805900,1,2,3", b"yesterday,1,2",
    b"2023-11-16 18:15:46.6805900,0,2", b"2023-11-16 18:15:46.6805900,10000001,2",
    b"2023-11-16 18:15:46.6805900,1,1000001", b"2023-11-16 18:15:46.6805900,1,-2",
    b"2023-11-16 18:15:46.6805900,1.5,2", b"2023-11-16 18:15:46.6805900,007,2",
    b"2023-11-16 18:15:46.6805900,1e3,2", b"2023-11-16 18:15:46,1,2", b"\xff,1,2", b"", b"\x0b",
]  # fmt: skip


def both(data: bytes, kind: ImportKind) -> list[Request | Problem]:
    """Return all that is read, by the number of the line."""
    found: list[Request | Problem] = []
    for item in read_batches(io.BytesIO(data), kind):
        found.extend(item.requests() if isinstance(item, Batch) else [item])
    return sorted(found, key=lambda item: item.line or 0)


def singly(rows: list[bytes], kind: ImportKind, first: int = 1) -> list[Request | Problem]:
    read = mooncake if kind is ImportKind.MOONCAKE else azure
    found: list[Request | Problem] = []
    for number, row in enumerate(rows, start=first):
        if row.strip():
            try:
                found.append(read(row, number))
            except RefusedError as exc:
                found.append(Problem(number, str(exc)))
    return found


@given(st.lists(usual_lines, min_size=1, max_size=9), st.sampled_from([b"\n", b"\r\n"]))
def test_usual_lines_are_read_at_once(rows: list[bytes], end: bytes) -> None:
    data = b"".join(row + end for row in rows)
    batch = module._mooncake(data, 1)
    assert batch is not None
    assert list(batch.requests()) == singly(rows, ImportKind.MOONCAKE)


@given(st.lists(st.one_of(usual_lines, st.sampled_from(ODD_LINES)), max_size=6))
def test_all_lines_come_to_what_each_of_them_says(rows: list[bytes]) -> None:
    assert both(b"\n".join(rows), ImportKind.MOONCAKE) == singly(rows, ImportKind.MOONCAKE)


def test_each_odd_line_among_usual_ones_comes_to_what_it_says() -> None:
    for odd in ODD_LINES:
        rows = [line(), odd, line(timestamp=6)]
        assert both(b"\n".join(rows), ImportKind.MOONCAKE) == singly(rows, ImportKind.MOONCAKE)


def test_each_odd_row_behind_many_comes_to_what_it_says() -> None:
    """The first chunk, which may have a header, is read row by row; the odd row is in a later."""
    usual = [b"2023-11-16 18:15:46.%07d,5,6" % number for number in range(5000)]
    for odd in ODD_ROWS:
        rows = [*usual, odd, usual[0], odd]
        found = both(HEADER + b"\r\n".join(rows), ImportKind.AZURE_LLM)
        assert found == singly(rows, ImportKind.AZURE_LLM, first=2)


def test_only_the_first_line_that_is_not_blank_may_be_a_header() -> None:
    row = b"2023-11-16 18:15:46.6805900,5,6\n"
    assert [item.line for item in both(b"\n" + HEADER + row, ImportKind.AZURE_LLM)] == [3]
    assert [type(item) for item in both(HEADER + HEADER + row, ImportKind.AZURE_LLM)] == [
        Problem,
        Request,
    ]
    blank = b"\n" * 200_000
    assert [item.line for item in both(blank + HEADER + row, ImportKind.AZURE_LLM)] == [200_002]


def test_requests_are_columns_and_back() -> None:
    requests = [
        Request(5, 1, Lengths(600, None, (1, 2)), ("odd",)),
        Request(6, 3, Lengths(7, 0, ())),
    ]
    batch = Batch.of(requests)
    assert (batch.at_ns, batch.lines, batch.outputs) == ([5, 6], [1, 3], [None, 0])
    assert list(batch.requests()) == requests
    assert list(batch.part(1, 2).requests()) == requests[1:]


def test_requests_are_taken_from_the_front_and_put_between() -> None:
    a, b, c = (Request(at, at, Lengths(1, 1, (at,))) for at in (1, 2, 3))
    batch = Batch.of([a, c])
    batch.insert(1, Batch.of([b]))
    assert list(batch.take(2).requests()) == [a, b]
    batch.extend(Batch.of([a]))
    assert list(batch.requests()) == [c, a]
