"""Rows read many at a time, against the reader of single rows."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.workload.importers.azure_rows import azure_columns
from profiler.workload.importers.request_lines import azure

TRACES = Path(__file__).parents[2] / "data" / "traces"
ROW = "2023-11-16 18:15:46.6805900,374,44\n"

digits = st.text("0123456789", min_size=7, max_size=7)
numbers = st.integers(1, 9_000).map(str)
usual = st.builds(
    "2023-{:02}-16{}18:{:02}:{:02}.{}{},{},{}{}".format,
    st.integers(1, 12),
    st.sampled_from("T "),
    st.integers(0, 59),
    st.integers(0, 59),
    digits,
    st.just("{zone}"),
    numbers,
    numbers,
    st.sampled_from(["\n", "\r\n"]),
)
ZONES = ("", "Z", "+02:00", "-0330")


def singly(data: bytes) -> tuple[list[int], list[int], list[int | None]]:
    found = [azure(row, number) for number, row in enumerate(data.split(b"\n")[:-1], start=1)]
    return (
        [request.at_ns for request in found],
        [request.lengths.input_tokens for request in found],
        [request.lengths.output_tokens for request in found],
    )


def test_rows_are_columns() -> None:
    """`date -u -d '2023-11-16 18:15:46' +%s` is 1700158546."""
    rows = b"2023-11-16 18:15:46.068059,374,44\r\n2023-11-16 18:17:00.000001,1,0\r\n"
    assert azure_columns(rows) == (
        [1_700_158_546_068_059_000, 1_700_158_620_000_001_000],
        [374, 1],
        [44, 0],
    )


def test_the_excerpt_is_read_at_once() -> None:
    rows = (TRACES / "azure-llm-conv-60.csv").read_bytes().split(b"\n", 1)[1]
    assert azure_columns(rows) == singly(rows)


@given(st.lists(usual, min_size=1, max_size=8), st.sampled_from(ZONES))
def test_usual_rows_are_read_at_once(rows: list[str], zone: str) -> None:
    data = "".join(rows).replace("{zone}", zone).encode()
    assert azure_columns(data) == singly(data)


@pytest.mark.parametrize(
    "text",
    [
        "2023-11-16 18:15:46,374,44\n",
        "2023-11-16 18:15:46.680590,374,44\n",
        "2023-11-16 18:15:46.68059001,374,44\n",
        "2023-11-16 18:15:46.6805900Z,374,44\n",
        "2023-11-16 18:15:60.6805900,374,44\n",
        "2023-13-16 18:15:46.6805900,374,44\n",
        "2023-11-16 18:15:46,6805900,374,44\n",
        "2023-11-16 18:15:46.6805900\n374,44\n",
        "2023-11-16 18:15:46.6805900,374\n44\n",
        "2023-11-16 18:15:46.6805900,374,44;",
        "2023-11-16 18:15:46.6805900,374\n",
        "2023-11-16 18:15:46.6805900,374,44,5\n",
        "2023-11-16 18:15:46.680e900,374,44\n",
        "2023-11-16 18:15:46.-805900,374,44\n",
        "2023-11-16 18:15:46,374,44.6805900\n",
        "2023-11-16 18:15:46.6805900,[374,44]\n",
        "2023-11-16 18:15:46.6805900,007,44\n",
        "2023-11-16 18:15:46.6805900,,44\n",
        '"2023-11-16 18:15:46.6805900",374,44\n',
        "\n",
    ],
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_row_that_is_not_as_the_others_leaves_all_to_the_reader_of_single_rows(
    text: str, place: int
) -> None:
    rows = [ROW, ROW]
    rows.insert(place, text)
    assert azure_columns("".join(rows).encode()) is None


def test_no_row_at_all_is_left_to_the_reader_of_single_rows() -> None:
    assert azure_columns(b"") is None
    assert azure_columns(b"\n\n") is None


@given(
    st.lists(usual, min_size=2, max_size=5),
    st.sampled_from(ZONES),
    st.integers(0, 10**6),
    st.sampled_from(
        [*'0159 .,:-+TZeE\n\r\t"[]x', "\n\n", ",,", "1.5", "\N{ARABIC-INDIC DIGIT TWO}"]
    ),
    st.booleans(),
)
def test_what_is_read_at_once_with_a_fault_in_it_is_what_single_rows_say(
    rows: list[str], zone: str, place: int, fault: str, replaces: bool
) -> None:
    text = "".join(rows).replace("{zone}", zone)
    place %= len(text)
    data = (text[:place] + fault + text[place + replaces :]).encode()
    found = azure_columns(data)
    tokens = [] if found is None else [*found[1], *found[2]]
    if tokens and set(map(type, tokens)) == {int} and min(tokens) >= 1:
        assert found == singly(data)
