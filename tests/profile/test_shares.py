"""Intervals of shares, against scipy's."""

from __future__ import annotations

import pytest
from scipy.stats import binomtest

from profiler.profile.shares import clustered_share_interval, fewest_trials, share_interval
from profiler.profile.statistics import ClusterSums, cluster_sums


@pytest.mark.parametrize(("hits", "trials"), [(0, 200), (1, 200), (37, 120), (5, 5), (0, 1)])
def test_the_interval_is_the_exact_one_of_clopper_and_pearson(hits: int, trials: int):
    exact = binomtest(hits, trials).proportion_ci(0.95, method="exact")
    assert share_interval(hits, trials) == pytest.approx((exact.low, exact.high), abs=1e-9)


def test_nothing_tried_gives_no_interval():
    assert share_interval(0, 0) is None


@pytest.mark.parametrize(("share", "fewest"), [(0.01, 368), (0.05, 72), (0.5, 6)])
def test_no_hit_in_the_fewest_trials_is_just_enough(share: float, fewest: int):
    assert fewest_trials(share) == fewest
    enough, too_few = share_interval(0, fewest), share_interval(0, fewest - 1)
    assert enough is not None
    assert too_few is not None
    assert enough[1] < share <= too_few[1]


def test_sessions_of_one_value_give_the_exact_interval():
    sums = cluster_sums([1] * 100, [1] * 90 + [0] * 10)
    exact = binomtest(90, 100).proportion_ci(0.95, method="exact")
    assert clustered_share_interval(sums) == pytest.approx((exact.low, exact.high))


def test_sessions_whose_values_are_all_alike_are_worth_half_as_much():
    # 50 sessions of 2, all good or all bad. By hand: design effect 50*99*50 / (49*50*50) = 2.0204,
    # penalty (t_99 / t_49)^2 = (1.98422 / 2.00958)^2 = 0.97492; 100 / 2.0204 * 0.97492 = 48.25.
    sums = cluster_sums([2] * 50, [2] * 25 + [0] * 25)
    exact = binomtest(24, 48).proportion_ci(0.95, method="exact")
    assert clustered_share_interval(sums) == pytest.approx((exact.low, exact.high))


def test_one_session_has_no_interval():
    assert clustered_share_interval(cluster_sums([7], [3])) is None
    assert clustered_share_interval(ClusterSums()) is None
