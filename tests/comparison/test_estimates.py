"""Differences, ratios and tests of two numbers: as SciPy has them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from profiler.comparison.estimates import Pair, Spread, Test, adjusted, varying, welch_degrees

BEFORE = [3.1, 2.7, 4.4, 3.8, 2.9, 3.3, 4.1, 2.2, 3.0, 3.6]
AFTER = [3.9, 4.8, 3.5, 5.2, 4.4, 4.9, 3.1, 5.0, 4.6, 4.2]


def independent() -> Pair:
    """Two samples, their means' variances by hand: s^2 / n."""
    variances = [float(np.var(values, ddof=1)) / len(values) for values in (BEFORE, AFTER)]
    return Pair(
        baseline=float(np.mean(BEFORE)),
        candidate=float(np.mean(AFTER)),
        spread=Spread(
            baseline=variances[0],
            candidate=variances[1],
            covariance=0.0,
            degrees=welch_degrees([(variances[0], 9), (variances[1], 9)]),
        ),
    )


def paired() -> Pair:
    covariance = np.cov(BEFORE, AFTER) / len(BEFORE)
    return Pair(
        baseline=float(np.mean(BEFORE)),
        candidate=float(np.mean(AFTER)),
        spread=Spread(
            baseline=float(covariance[0, 0]),
            candidate=float(covariance[1, 1]),
            covariance=float(covariance[0, 1]),
            degrees=9,
        ),
    )


def test_independent_means_are_tested_by_welch():
    expected = stats.ttest_ind(AFTER, BEFORE, equal_var=False)
    assert independent().p_value() == pytest.approx(expected.pvalue, rel=1e-9)
    spread = independent().spread
    assert spread is not None
    assert spread.degrees == pytest.approx(expected.df)


def test_pairs_are_tested_as_their_differences():
    expected = stats.ttest_rel(AFTER, BEFORE)
    assert paired().p_value() == pytest.approx(expected.pvalue, rel=1e-9)
    interval = expected.confidence_interval(0.95)
    assert paired().difference_interval() == pytest.approx((interval.low, interval.high))


def test_a_ratio_is_in_its_interval_until_a_test_rules_it_out():
    """Fieller: at each end, candidate - ratio x baseline is just significant, by SciPy's t."""
    interval = independent().relative_interval()
    assert interval is not None
    pair = independent()
    spread = pair.spread
    assert spread is not None
    for end in interval:
        ratio = 1 + end
        error = np.sqrt(spread.candidate + ratio**2 * spread.baseline)
        t = abs(pair.candidate - ratio * pair.baseline) / error
        # The quantile is of whole degrees of freedom, rounded down.
        assert 2 * stats.t.sf(t, int(spread.degrees)) == pytest.approx(0.05)


def test_what_one_sample_did_not_see_varies_as_both_together_say():
    """17 of 3,000 and 0 of 391: the pooled rate's variance is 17/3391 x (1/3000 + 1/391)."""
    seen = 17 / 3000**2
    expected = 17 / 3391 * (1 / 3000 + 1 / 391)
    assert sum(varying((seen, 0.0), (False, True), (3000, 391))) == pytest.approx(expected)
    assert varying((0.0, seen), (True, False), (391, 3000))[1] == seen
    # 0.137 by the pooled test; an exact one (Fisher's, two-sided) says 0.25.
    error = np.sqrt(sum(varying((seen, 0.0), (False, True), (3000, 391))))
    exact = stats.fisher_exact([[17, 2983], [0, 391]]).pvalue
    assert 0.1 < 2 * stats.norm.sf(17 / 3000 / error) < exact


def test_samples_that_both_saw_something_or_are_as_large_keep_their_variances():
    assert varying((0.5, 0.2), (False, False), (300, 30)) == (0.5, 0.2)
    assert varying((0.0, 0.0), (True, True), (300, 30)) == (0.0, 0.0)
    assert varying((0.5, 0.0), (False, True), (300, 300)) == (0.5, 0.0)
    assert varying((0.0, 0.5), (True, False), (300, 30)) == (0.0, 0.5)


def test_a_baseline_that_may_be_zero_has_no_ratio():
    spread = Spread(baseline=1.0, candidate=0.01, covariance=0.0, degrees=20)
    pair = Pair(baseline=1.0, candidate=5.0, spread=spread)  # one standard error from zero
    assert pair.relative_interval() is None
    assert pair.relative == 4.0


def test_what_does_not_vary_is_certain():
    still = Spread(baseline=0.0, candidate=0.0, covariance=0.0, degrees=9)
    moved, same = (Pair(baseline=1.0, candidate=c, spread=still) for c in (2.0, 1.0))
    assert (moved.p_value(), same.p_value()) == (0.0, 1.0)
    assert moved.difference_interval() == (1.0, 1.0)
    # Two runs that did the very same vary together: nothing is left of their difference.
    alike = Spread(baseline=0.1, candidate=0.1, covariance=0.1, degrees=9)
    assert Pair(baseline=3.0, candidate=3.5, spread=alike).difference_interval() == (0.5, 0.5)


def test_without_a_spread_nothing_is_told():
    pair = Pair(baseline=1.0, candidate=2.0, spread=None)
    assert pair.p_value() is None
    assert pair.difference_interval() is None
    assert pair.relative_interval() is None
    assert pair.exceeds(1.0) is None
    assert pair.candidate_exceeds(1.0) is None


def test_how_much_more_would_decide():
    """An excess of 1 error is significant at t = 1.729 (19 degrees, 95 %) with 1.729^2 as many."""
    test = Test(excess=1.0, error=1.0, degrees=19)
    assert test.sample_factor(0.95) == pytest.approx(float(stats.t.ppf(0.95, 19)) ** 2)
    assert Test(excess=0.0, error=1.0, degrees=19).sample_factor(0.95) is None


def test_being_on_a_bound_keeps_it():
    assert Test(excess=0.0, error=0.0, degrees=5).is_kept(0.05)
    assert not Test(excess=0.0, error=1.0, degrees=5).is_kept(0.05)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60))
def test_the_false_discovery_rate_is_held_as_scipy_does(p_values):
    assert adjusted(p_values) == pytest.approx(stats.false_discovery_control(p_values))
