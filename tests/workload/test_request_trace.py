"""Requests as lines of the file."""

from __future__ import annotations

from array import array
from decimal import Decimal
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from profiler.workload.request_trace import HEADER, Lengths, lines_of, read_request_trace

if TYPE_CHECKING:
    from pathlib import Path

SECOND = 10**9
EXPONENT_AS_FLOAT = 1_000  # 1e-06
MORE_THAN_15_DIGITS = 10**6 * SECOND + 123_456_789


def packed(*prompts: tuple[int, ...]) -> list[array[int]]:
    return [array("q", blocks) for blocks in prompts]


def test_a_request_is_a_line_of_seconds_tokens_and_ids() -> None:
    found = lines_of(
        [0, SECOND // 2, 10 * SECOND, 10 * SECOND + 100],
        [5, 6, 7, 8],
        [1, None, 0, 2],
        packed((3, 2**63 - 1), (), (4,), (0, 0)),
    )
    assert found == (b"0,5,1,3 9223372036854775807\n0.5,6,,\n10,7,0,4\n10.0000001,8,2,0 0\n")


def test_requests_without_ids_end_with_an_empty_cell() -> None:
    assert lines_of([0, 1], [5, 6], [None, 7], packed((), ())) == b"0,5,,\n0.000000001,6,7,\n"


@given(
    st.lists(
        st.one_of(
            st.integers(0, 10**6),
            st.integers(0, 10**15).map(lambda ns: ns * 100),
            st.integers(0, 10**18),
            st.sampled_from([EXPONENT_AS_FLOAT, MORE_THAN_15_DIGITS, 10**15 - 1, 10**17 - 100]),
        ),
        min_size=1,
        max_size=8,
    ).map(sorted)
)
def test_seconds_are_exact_and_have_no_zeros_at_the_end(offsets_ns: list[int]) -> None:
    number = len(offsets_ns)
    text = lines_of(offsets_ns, [1] * number, [None] * number, packed(*[()] * number))
    seconds = [line.split(",")[0] for line in text.decode().splitlines()]
    assert [Decimal(at_s) * SECOND for at_s in seconds] == offsets_ns
    for at_s in seconds:
        assert "e" not in at_s
        assert "." not in at_s or not at_s.endswith(("0", "."))


def test_what_was_written_is_read(tmp_path: Path) -> None:
    file = tmp_path / "trace.csv"
    file.write_bytes(HEADER + lines_of([0, 7], [600, 5], [None, 3], packed((1, 2), ())))
    trace = read_request_trace(file)
    assert [trace.lengths(number) for number in range(len(trace))] == [
        Lengths(600, None, (1, 2)),
        Lengths(5, 3, ()),
    ]
