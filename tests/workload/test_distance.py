"""Distances of two samples, against scipy's and by hand."""

from __future__ import annotations

import warnings
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp, kstwobign, wasserstein_distance

from profiler.workload.distance import (
    Sample,
    Verdict,
    compare,
    critical_distance,
    earth_movers_distance,
)

VALUES = st.lists(st.integers(0, 60), min_size=1, max_size=80)


def sample(values, independent=None):
    return Sample(counts=Counter(values), independent=independent or len(values))


@given(ours=VALUES, theirs=VALUES)
def test_both_distances_are_scipys(ours, theirs):
    found = compare(sample(ours), sample(theirs))
    with warnings.catch_warnings(action="ignore"):  # of its p-value, which is not used
        scipys = ks_2samp(ours, theirs, method="asymp")
    assert found.distance == pytest.approx(scipys.statistic, abs=1e-12)
    assert found.moved == pytest.approx(wasserstein_distance(ours, theirs), abs=1e-9)


@given(ours=VALUES, theirs=VALUES)
def test_distances_are_the_same_from_both_sides_and_nothing_from_itself(ours, theirs):
    there, back = compare(sample(ours), sample(theirs)), compare(sample(theirs), sample(ours))
    assert (there.distance, there.critical) == (back.distance, back.critical)
    assert there.moved == pytest.approx(back.moved)
    assert compare(sample(ours), sample(ours)).distance == 0
    assert compare(sample(ours), sample(ours)).moved == 0


@pytest.mark.parametrize(("n", "m"), [(100, 100), (50, 4000), (200, 10**6)])
def test_the_critical_distance_is_the_limit_distributions(n, m):
    """The one-term formula leaves out terms of the series that are below a millionth here."""
    scipys = kstwobign.isf(0.05) / (n * m / (n + m)) ** 0.5
    assert critical_distance(n, m) == pytest.approx(scipys, rel=1e-5)


def test_the_critical_distance_by_the_table():
    """1.358 * sqrt((n + m) / (n m)), as tables have it (5 %): 200 and 200 give 0.1358."""
    assert critical_distance(200, 200) == pytest.approx(0.1358, abs=5e-5)
    assert critical_distance(1, 1) == 1


def test_one_sample_that_is_the_other_moved_by_seven_is_seven_away():
    assert earth_movers_distance(Counter([1, 5, 5]), Counter([8, 12, 12])) == pytest.approx(7)


@pytest.mark.parametrize(
    ("ours", "theirs", "verdict"),
    [
        # distance 0.5, critical 0.0607 (1.3581 * sqrt(2/1000))
        ([0] * 500 + [1] * 500, [1] * 1000, Verdict.DIFFERENT),
        # distance 0.08
        ([0] * 80 + [1] * 920, [1] * 1000, Verdict.CLOSE),
        # distance 0.03
        ([0] * 30 + [1] * 970, [1] * 1000, Verdict.ALIKE),
        # distance 0.2, critical 0.607
        ([0] * 2 + [1] * 8, [1] * 10, Verdict.INCONCLUSIVE),
        # distance 1
        ([0] * 10, [1] * 10, Verdict.DIFFERENT),
    ],
)
def test_a_verdict_says_whether_it_is_chance_and_whether_it_matters(ours, theirs, verdict):
    assert compare(sample(ours), sample(theirs)).verdict is verdict


def test_values_that_are_alike_within_sessions_count_as_the_sessions():
    many = [0] * 300 + [1] * 700
    few = compare(sample(many, independent=20), sample([1] * 1000, independent=20))
    assert few.verdict is Verdict.INCONCLUSIVE
    assert compare(sample(many), sample([1] * 1000)).verdict is Verdict.DIFFERENT


def test_quantiles_are_values_that_occur():
    found = sample([1, 1, 2, 9])
    assert [found.quantile(share) for share in (0.0, 0.5, 0.75, 0.76, 1.0)] == [1, 1, 2, 9, 9]
    assert found.mean == 3.25
