"""Blocks that were seen before: by hand, and against a set that keeps everything."""

from __future__ import annotations

from itertools import takewhile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.workload.importers import block_sights as module
from profiler.workload.importers.block_sights import BlockSights


def sights(*prompts: list[int]) -> BlockSights:
    found = BlockSights()
    for blocks in prompts:
        found.add(blocks)
    return found


def plainly(prompts: list[list[int]]) -> tuple[int, int]:
    """Count by a set: (blocks at the beginning of a prompt that were seen, prompts with two)."""
    seen: set[int] = set()
    reused = continuing = 0
    for blocks in prompts:
        known = len(list(takewhile(seen.__contains__, blocks)))
        reused, continuing = reused + known, continuing + (known > 1)
        seen.update(blocks)
    return reused, continuing


def numbered(prompts: list[tuple[list[int], int]]) -> list[list[int]]:
    """Return prompts of blocks that were there before (by number), and so many new ones."""
    found, fresh = [], 0
    for old, new in prompts:
        known = [block % fresh for block in old] if fresh else []
        found.append([*known, *range(fresh, fresh + new)])
        fresh += new
    return [blocks for blocks in found if blocks]


def test_a_prompt_has_seen_what_stands_before_its_first_new_block() -> None:
    found = sights([0, 1, 2], [0, 1, 3, 4], [0, 5], [6, 1, 2])
    assert (found.reused, found.continuing) == (3, 1)


def test_a_block_that_stands_twice_in_a_new_prompt_was_not_seen_before() -> None:
    assert sights([0, 0]).reused == 0
    assert sights([7, 7], [7, 7]).reused == 2


@given(st.lists(st.lists(st.integers(0, 12), min_size=1, max_size=5), max_size=20))
def test_any_ids_are_counted_as_by_a_set(prompts: list[list[int]]) -> None:
    found = sights(*prompts)
    assert (found.reused, found.continuing) == plainly(prompts)


@given(
    st.lists(st.tuples(st.lists(st.integers(0, 30), max_size=3), st.integers(0, 4)), max_size=15),
    st.lists(st.lists(st.integers(0, 40), min_size=1, max_size=4), max_size=3),
)
def test_ids_numbered_as_they_are_seen_and_then_others_are_counted_as_by_a_set(
    first: list[tuple[list[int], int]], others: list[list[int]]
) -> None:
    prompts = [*numbered(first), *others]
    found = sights(*prompts)
    assert (found.reused, found.continuing) == plainly(prompts)


def test_ids_too_large_for_a_table_are_not_observed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_TRACKED_ID", 100)
    assert sights([0], [99], [0]).reused == 1
    assert sights([0], [100], [0]).reused is None


def test_ids_numbered_as_they_are_seen_need_no_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the first that is not, one is needed, and those above are too large for it."""
    monkeypatch.setattr(module, "MOST_TRACKED_ID", 100)
    found = sights(list(range(150)), [0, 1, 150])
    assert (found.reused, found.continuing) == (2, 1)
    found.add([5, 2000])
    assert found.reused is None
