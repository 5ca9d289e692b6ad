"""The sample: shares by hand, and what holds for every file."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.workload.importers.sample import Place, Sampler, allotted, largest_difference

COUNTS = st.dictionaries(st.integers(1, 40), st.integers(1, 300), min_size=1)


def test_a_stratum_gives_its_share_by_hand() -> None:
    """60, 30 and 10 of 100, for 10: cuts at 6, 9 and 10 exactly, whatever the phase."""
    assert allotted({1: 60, 2: 30, 9: 10}, 10, 0.0) == {1: 6, 2: 3, 9: 1}
    assert allotted({1: 60, 2: 30, 9: 10}, 10, 0.9) == {1: 6, 2: 3, 9: 1}


def test_the_phase_decides_who_gives_a_part_of_one() -> None:
    """5 and 5 of 10, for 3: the first cut is at 1.5."""
    assert allotted({1: 5, 2: 5}, 3, 0.0) == {1: 1, 2: 2}
    assert allotted({1: 5, 2: 5}, 3, 0.5) == {1: 2, 2: 1}


def test_a_file_that_is_no_larger_than_the_sample_is_taken_whole() -> None:
    assert allotted({1: 2, 5: 1}, 3, 0.7) == {1: 2, 5: 1}


def test_the_largest_difference_by_hand() -> None:
    """Shares up to 1, 2 and 3 turns: 0.5, 0.75, 1 of the whole, 0.25, 0.75, 1 of the part."""
    assert largest_difference({1: 2, 2: 1, 3: 1}, {1: 1, 2: 2, 3: 1}) == (0.25, 1)
    assert largest_difference({1: 2, 4: 2}, {1: 1, 4: 1}) == (0.0, 1)


@given(COUNTS, st.integers(1, 200), st.floats(0, 1, exclude_max=True))
def test_every_stratum_can_give_its_share_and_the_mix_is_off_by_less_than_one_session(
    counts: dict[int, int], size: int, phase: float
) -> None:
    shares = allotted(counts, size, phase)
    assert sum(shares.values()) == min(size, sum(counts.values()))
    assert all(0 <= shares[turns] <= counts[turns] for turns in counts)
    assert largest_difference(counts, shares)[0] <= 1 / size + 1e-9


def sample(turns: list[int], size: int, seed: int) -> list[Place]:
    sampler = Sampler(size, seed=seed)
    for line, number in enumerate(turns, start=1):
        sampler.add(number, Place(offset=100 * line, length=100, line=line))
    return sampler.chosen()


def test_the_same_seed_draws_the_same_sessions_another_one_others() -> None:
    turns = [1 + line % 7 for line in range(1000)]
    assert sample(turns, 50, 1) == sample(turns, 50, 1)
    assert sample(turns, 50, 1) != sample(turns, 50, 2)


def test_the_sample_has_each_session_once_in_the_files_order_and_keeps_the_shares() -> None:
    turns = [1] * 600 + [3] * 300 + [8] * 100
    drawn = [place.line for place in sample(turns, 20, 1)]
    assert drawn == sorted(set(drawn))
    assert Counter(turns[line - 1] for line in drawn) == {1: 12, 3: 6, 8: 2}


def test_every_session_is_as_likely_as_any_other() -> None:
    """Of 10 sessions 3 are drawn 2,000 times: each 600 times, give or take 5 deviations of 20.5."""
    turns = [1, 1, 1, 1, 2, 2, 2, 5, 5, 9]
    drawn = Counter(place.line for seed in range(2000) for place in sample(turns, 3, seed))
    assert sum(drawn.values()) == 6000
    assert all(drawn[line] == pytest.approx(600, abs=103) for line in range(1, 11))
