"""Cutting files into pieces; expected offsets and lines are counted by hand."""

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.workload.importers import frames
from profiler.workload.importers.frames import Frame, lines, lines_or_items


def items(text: bytes) -> list[Frame]:
    return list(lines_or_items(io.BytesIO(text)))


def test_lines_have_their_number_and_offset_blank_ones_are_left_out() -> None:
    assert list(lines(io.BytesIO(b"{}\n\n  \r\n[1]\n{}"))) == [
        Frame(1, 0, b"{}\n"),
        Frame(4, 8, b"[1]\n"),
        Frame(5, 12, b"{}"),
    ]


def test_a_byte_order_mark_is_no_part_of_the_first_line() -> None:
    assert list(lines(io.BytesIO(b"\xef\xbb\xbf{}\n"))) == [Frame(1, 3, b"{}\n")]


def test_a_line_that_is_too_long_is_named_and_the_next_one_is_read(monkeypatch: Any) -> None:
    monkeypatch.setattr(frames, "MOST_BYTES", 8)
    monkeypatch.setattr(frames, "_CHUNK_BYTES", 4)
    first, second = lines(io.BytesIO(b"0123456789abcdef\n{}\n"))
    assert (first.line, first.data) == (1, b"")
    assert first.why is not None
    assert "longer" in first.why
    assert second == Frame(2, 17, b"{}\n")


def test_items_of_an_array_are_found_whatever_is_in_their_texts() -> None:
    text = b' [\n{"a": "]}\\"{[\\\\"},\n  [1, [2]], {"b": {}}\n]\n'
    assert items(text) == [
        Frame(2, 3, b'{"a": "]}\\"{[\\\\"}'),
        Frame(3, 24, b"[1, [2]]"),
        Frame(3, 34, b'{"b": {}}'),
    ]


def test_a_file_that_does_not_begin_with_a_bracket_is_lines() -> None:
    assert items(b'\n{"a": 1}\n{}\n') == [Frame(2, 1, b'{"a": 1}\n'), Frame(3, 10, b"{}\n")]


def test_an_empty_array_and_an_empty_file_have_nothing() -> None:
    assert items(b"[ ]\n") == []
    assert items(b"") == []


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        (b'[{"a": 1},\n{"b": 2', 2, "not closed"),
        (b'[{"a": 1},\n{"b": "2}]', 2, "not closed"),
        (b'[{"a": 1}]\n{"b": 2}', 2, "after the array's end"),
        (b'[{"a": 1},\n 7]', 2, "not a JSON object"),
    ],
)
def test_what_an_array_should_not_have_is_named(text: bytes, line: int, why: str) -> None:
    first, second = items(text)
    assert first.data == b'{"a": 1}'
    assert second.line == line
    assert second.data == b""
    assert second.why is not None
    assert why in second.why


def test_an_item_that_is_too_long_ends_the_reading_and_says_so(monkeypatch: Any) -> None:
    monkeypatch.setattr(frames, "MOST_BYTES", 30)
    monkeypatch.setattr(frames, "_CHUNK_BYTES", 4)
    first, second = items(b'[{"a": 1},\n["' + b"x" * 100 + b'"]]')
    assert first.data == b'{"a": 1}'
    assert second.line == 2
    assert second.why is not None
    assert "rest of the file was not read" in second.why


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)
CONTAINERS = st.lists(JSON, max_size=3) | st.dictionaries(st.text(), JSON, max_size=3)


@given(
    st.lists(CONTAINERS, max_size=6),
    st.integers(1, 50),
    st.sampled_from([None, 2]),
    st.booleans(),
)
def test_items_are_what_the_json_module_finds_in_any_chunks(
    data: list[Any], chunk: int, indent: int | None, ascii_only: bool
) -> None:
    text = json.dumps(data, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "replace")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frames, "_CHUNK_BYTES", chunk)
        found = items(text)
    assert [frame.why for frame in found] == [None] * len(data)
    assert [json.loads(frame.data) for frame in found] == json.loads(text)
    for frame in found:
        assert text[frame.offset : frame.offset + len(frame.data)] == frame.data
        assert text[: frame.offset].count(b"\n") + 1 == frame.line


def test_an_item_nested_deeper_than_the_quick_way_knows_is_found_too() -> None:
    deep = b"[" * 40 + b"]" * 40
    assert [frame.data for frame in items(b"[" + deep + b", {}]")] == [deep, b"{}"]
