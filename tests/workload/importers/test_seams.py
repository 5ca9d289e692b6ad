"""Items whose end is guessed are those that the json module finds, whatever is in their texts."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.workload.importers import frames
from profiler.workload.importers.frames import Frame, lines_or_items

TEXTS = st.text(max_size=12) | st.sampled_from(
    ['}, {"begun": 1', '},{"begun":', "}\n  {", '"}, {"', "\\", '\\"}, {"begun": "', "]"]
)
ITEMS = st.fixed_dictionaries(
    {"begun": st.integers(0, 9)},
    optional={"text": TEXTS, "inner": st.lists(st.fixed_dictionaries({"begun": TEXTS}))},
)


def items(text: bytes, chunk: int = 2**20) -> list[Frame]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frames, "_CHUNK_BYTES", chunk)
        return list(lines_or_items(io.BytesIO(text)))


@given(
    data=st.lists(ITEMS | st.dictionaries(TEXTS, TEXTS, max_size=2), max_size=30),
    chunk=st.sampled_from([64, 300, 2**20]),
    indent=st.sampled_from([None, 2]),
)
def test_items_are_what_the_json_module_finds(
    data: list[Any], chunk: int, indent: int | None
) -> None:
    text = json.dumps(data, indent=indent).encode()
    found = items(text, chunk)
    assert [json.loads(frame.data) for frame in found] == data
    assert [frame.parsed for frame in found if frame.parsed is not None] == [
        json.loads(frame.data) for frame in found if frame.parsed is not None
    ]
    for frame in found:
        assert text[frame.offset : frame.offset + len(frame.data)] == frame.data
        assert text[: frame.offset].count(b"\n") + 1 == frame.line


@pytest.mark.parametrize("indent", [None, 2])
def test_after_the_first_two_items_nothing_is_parsed_twice_but_the_last(indent: int | None) -> None:
    data = [{"begun": n, "inner": [{"name": "}, {"}] * 3} for n in range(20)]
    found = items(json.dumps(data, indent=indent).encode())
    assert [frame.parsed is not None for frame in found] == [False, *[True] * 18, False]


def test_items_that_all_begin_like_parts_of_others_are_found_by_their_brackets() -> None:
    """Each guess ends within the item: after so many, no more are made."""
    data = [{"a": [{"a": [n]}, {"a": [n]}]} for n in range(100)]
    found = items(json.dumps(data).encode())
    assert [json.loads(frame.data) for frame in found] == data


def test_an_item_that_is_no_json_ends_where_its_brackets_do() -> None:
    good = b'{"begun": 1, "text": "x"}'
    bad = b'{"begun": 1, "text": nonsense}'
    found = items(b"[" + b", ".join([good, good, good, bad, good, good]) + b"]")
    assert [frame.data for frame in found] == [good, good, good, bad, good, good]
