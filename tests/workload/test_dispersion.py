"""The index of dispersion, against scipy, numpy and hand calculation."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from profiler.workload.dispersion import Dispersion, Windows, by_minute, dispersion_of

S = 1_000_000_000


def test_it_is_variance_over_mean() -> None:
    counts = [3, 0, 2, 7, 1, 1, 0, 4, 2, 5]
    found = dispersion_of(counts)
    assert found.index == pytest.approx(np.var(counts, ddof=1) / np.mean(counts))
    assert (found.windows, found.total, found.most) == (10, 25, 7)
    assert dispersion_of([4] * 10).index == 0


def test_too_few_windows_and_empty_ones_have_none_and_say_why() -> None:
    assert dispersion_of([1, 2]).index is None
    assert dispersion_of([1, 2]).lacking == "2 whole windows, 10 are needed"
    assert dispersion_of([1]).lacking == "1 whole window, 10 are needed"
    assert Dispersion().index is None
    assert dispersion_of([0] * 20).lacking == "nothing came in any of the windows"


@pytest.mark.parametrize("windows", [10, 30, 100, 1000])
def test_the_range_of_a_poisson_process_is_that_of_chi_squared(windows: int) -> None:
    freedom = windows - 1
    expected = stats.chi2.ppf((0.025, 0.975), freedom) / freedom
    assert dispersion_of([1] * windows).poisson_range95 == pytest.approx(expected, rel=0.01)


def test_poisson_counts_are_in_the_range_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    inside = 0
    for _ in range(400):
        found = dispersion_of([int(n) for n in rng.poisson(5, 60)])
        low, high = found.poisson_range95
        assert found.index is not None
        inside += low <= found.index <= high
    assert 0.92 <= inside / 400 <= 0.98


def test_parts_add_up_to_the_whole() -> None:
    counts = [random.Random(2).randrange(9) for _ in range(40)]
    assert dispersion_of(counts[:13]) + dispersion_of(counts[13:]) == dispersion_of(counts)


def test_minutes_are_whole() -> None:
    assert by_minute([1] * 59) == []
    assert by_minute([1] * 60 + [2] * 60 + [9] * 59) == [60, 120]


def test_a_stream_is_counted_as_a_list_is() -> None:
    """Windows of 1 s from the first arrival on; the one that the last arrival is in is not over."""
    windows = Windows(S)
    for at_s in (0, 0.2, 0.999, 1, 4.5, 4.6, 5.0):
        windows.add(round(at_s * S))
    assert windows.dispersion == dispersion_of([3, 1, 0, 0, 2])


@given(st.lists(st.integers(0, 20 * S), min_size=1).map(sorted), st.integers(1, 9))
def test_arrivals_may_be_taken_many_at_a_time(offsets_ns: list[int], size: int) -> None:
    single, many = Windows(S), Windows(S)
    for offset_ns in offsets_ns:
        single.add(offset_ns)
    for begin in range(0, len(offsets_ns), size):
        many.add_all(offsets_ns[begin : begin + size])
    assert many.dispersion == single.dispersion
