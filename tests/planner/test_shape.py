"""The population stability index: a textbook's sum, and what chance makes of it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from profiler.planner.shape import stability

LARGE = 1e9
DECILES = [k / 10 for k in range(1, 10)]


def test_the_index_is_the_sum_over_bins():
    """Half and half became a quarter and three: (.25-.5) ln(.25/.5) + (.75-.5) ln(.75/.5)."""
    found = stability([0.5], [0.25], planned_size=LARGE, actual_size=LARGE)
    assert found is not None
    assert found.psi == pytest.approx(-0.25 * math.log(0.5) + 0.25 * math.log(1.5), rel=1e-6)
    assert found.is_other


def test_small_samples_have_a_large_index_by_chance():
    """Ten deciles, 100 values on both sides: chi-squared with 9 degrees, times 1/100 + 1/100."""
    found = stability(DECILES, DECILES, planned_size=100, actual_size=100)
    assert found is not None
    assert found.by_chance == pytest.approx(chi2(9).ppf(0.95) * 0.02, rel=0.01)
    assert not found.is_other


def test_samples_of_one_distribution_stay_below_what_chance_makes_in_about_95_of_100():
    rng = np.random.default_rng(1)
    below = 0
    for _ in range(400):
        one, other = (np.sort(rng.random(300)) for _ in range(2))
        edges = [float(np.quantile(one, k)) for k in DECILES]
        shares = [np.searchsorted(sample, edges, side="right") / 300 for sample in (one, other)]
        found = stability(shares[0], shares[1], planned_size=300, actual_size=300)
        assert found is not None
        below += found.psi <= found.by_chance
    # Deciles are taken of one sample itself, so that its own noise is not in the bins.
    assert 0.92 <= below / 400 <= 1.0


def test_bins_that_the_plan_leaves_empty_are_joined_with_the_one_before():
    found = stability([0.5, 0.5], [0.5, 0.6], planned_size=LARGE, actual_size=LARGE)
    same = stability([0.5], [0.6], planned_size=LARGE, actual_size=LARGE)
    assert found is not None
    assert same is not None
    assert found.psi == pytest.approx(same.psi)


@pytest.mark.parametrize(("planned", "actual"), [([], []), ([0.0], [0.5]), ([1.0], [0.5])])
def test_one_bin_has_no_index(planned, actual):
    assert stability(planned, actual, planned_size=100, actual_size=100) is None


def test_a_sample_worth_nothing_has_no_index():
    assert stability([0.5], [0.5], planned_size=0, actual_size=100) is None


rising = st.lists(st.floats(0, 1), min_size=3, max_size=3).map(sorted)


@given(rising, rising)
def test_the_index_is_never_negative(planned, actual):
    found = stability(planned, actual, planned_size=100, actual_size=50)
    assert found is None or found.psi >= -1e-12
