"""Intervals are those of the textbook where it applies, and hold what they promise elsewhere."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from profiler.profile.statistics import (
    ClusterSums,
    cluster_sums,
    design_effect,
    effective_size,
    is_narrow,
    mean_interval,
    order_ranks,
    quantile_ranks,
    sample_stddev,
)


def sums_of(sessions: list[list[int]]) -> ClusterSums:
    return cluster_sums([len(s) for s in sessions], [sum(s) for s in sessions])


def test_sums_are_exact_integers_of_any_size():
    huge = 10**17
    assert cluster_sums([2, 0, 1], [huge, 0, 5]) == ClusterSums(
        sessions=2, sum_n=3, sum_s=huge + 5, sum_nn=5, sum_ss=10**34 + 25, sum_ns=2 * huge + 5
    )


def test_the_mean_of_single_values_has_the_textbook_t_interval():
    values = [3, 5, 4, 9, 1]
    expected = stats.t.interval(0.95, 4, loc=4.4, scale=stats.sem(values))
    assert mean_interval(sums_of([[v] for v in values])) == pytest.approx(expected)


def test_sessions_of_equal_size_have_the_t_interval_of_their_means():
    sessions = [[1, 3], [4, 8], [5, 5], [2, 10]]
    means = [2, 6, 5, 6]
    expected = stats.t.interval(0.95, 3, loc=4.75, scale=stats.sem(means))
    assert mean_interval(sums_of(sessions)) == pytest.approx(expected)


def test_sessions_of_unequal_size_follow_the_ratio_estimator_by_hand():
    # n = 1, 3; s = 2, 12; m = 14/4 = 3.5; deviations 2-3.5 = -1.5 and 12-10.5 = 1.5.
    # var = 2/1 * (2.25 + 2.25) / 16 = 0.5625, its root 0.75; t with 1 degree at 97.5 %: 12.7062.
    low, high = mean_interval(sums_of([[2], [3, 4, 5]])) or (0, 0)
    assert low == pytest.approx(3.5 - 12.706205 * 0.75, abs=1e-5)
    assert high == pytest.approx(3.5 + 12.706205 * 0.75, abs=1e-5)


def test_one_session_has_no_interval_of_its_mean():
    assert mean_interval(sums_of([[1, 2, 3, 4]])) is None


def test_no_spread_gives_an_interval_without_width():
    assert mean_interval(sums_of([[7, 7], [7]])) == (7, 7)


def test_the_standard_deviation_is_that_of_a_sample():
    values = [2, 4, 4, 4, 5, 5, 7, 9]
    found = sample_stddev(8, sum(values), sum(v * v for v in values))
    assert found == pytest.approx(float(np.std(values, ddof=1)))
    assert sample_stddev(1, 5, 25) is None


def test_single_values_have_a_design_effect_of_exactly_one():
    indicator = cluster_sums([1] * 100, [1] * 95 + [0] * 5)
    assert design_effect(indicator) == 1
    assert effective_size(indicator) == 100


def test_sessions_wholly_on_one_side_are_worth_as_many_values_as_there_are_sessions():
    # 20 sessions of 10: all of a session's values below the quantile, or none. p = 0.95.
    indicator = cluster_sums([10] * 20, [10] * 19 + [0])
    # k/(k-1) * sum(dev^2)/n^2: 20/19 * (19*0.25 + 90.25)/200^2 = 0.0025; srs 0.0475/199.
    assert design_effect(indicator) == pytest.approx(0.0025 / (0.0475 / 199))
    penalty = (stats.t.ppf(0.975, 199) / stats.t.ppf(0.975, 19)) ** 2
    worth = 200 / (0.0025 / (0.0475 / 199)) * penalty
    assert effective_size(indicator) == math.floor(worth) == 16


@pytest.mark.parametrize("totals", [[5, 5], [0, 0]])
def test_without_values_on_both_sides_the_design_effect_is_taken_as_one(totals: list[int]):
    assert design_effect(cluster_sums([5, 5], totals)) == 1


def test_a_single_session_is_worth_nothing_for_an_interval():
    assert effective_size(cluster_sums([500], [475])) == 0
    assert quantile_ranks(cluster_sums([500], [475]), 0.95) is None


@pytest.mark.parametrize(("n", "quantile"), [(72, 0.95), (100, 0.95), (1000, 0.95), (368, 0.99)])
def test_ranks_are_the_narrowest_with_at_most_two_and_a_half_percent_on_each_side(
    n: int, quantile: float
):
    lower, upper = order_ranks(n, quantile) or (0, 0)
    below = stats.binom(n, quantile)
    # P(x_(l) > q) = P(B < l), P(x_(u) <= q) = P(B >= u)
    assert below.cdf(lower - 1) <= 0.025 < below.cdf(lower)
    assert below.sf(upper - 1) <= 0.025 < below.sf(upper - 2)


def test_the_p95_of_100_values_lies_between_the_90th_and_the_largest():
    # By hand: 0.95^100 = 0.6 % above the 100th; P(B < 90) = 1.1 %, P(B < 91) = 2.8 %.
    assert order_ranks(100, 0.95) == (90, 100)


def test_72_values_are_the_least_for_a_p95_and_368_for_a_p99():
    # 0.95^71 = 2.62 %, 0.95^72 = 2.49 %; 0.99^367 = 2.501 %, 0.99^368 = 2.476 %.
    assert order_ranks(71, 0.95) is None
    assert order_ranks(72, 0.95) is not None
    assert order_ranks(367, 0.99) is None
    assert order_ranks(368, 0.99) is not None


def test_a_quantile_too_low_for_the_sample_has_no_interval_either():
    assert order_ranks(10, 0.01) is None
    assert order_ranks(20, 0.05) is None


def test_clustered_ranks_are_wider_than_those_of_independent_values():
    together = quantile_ranks(cluster_sums([10] * 200, [10] * 190 + [0] * 10), 0.95)
    alone = quantile_ranks(cluster_sums([1] * 2000, [1] * 1900 + [0] * 100), 0.95)
    assert together is not None
    assert alone == order_ranks(2000, 0.95)
    assert together[0] < alone[0] < alone[1] < together[1] <= 2000


def simulated_sessions(rng: np.random.Generator, replications: int, sessions: int, turns: int):
    """Skewed latencies whose sessions differ: lognormal, half of the variance between sessions."""
    between = rng.normal(0, 0.5, (replications, sessions, 1))
    within = rng.normal(0, 0.5, (replications, sessions, turns))
    return np.rint(1e6 * np.exp(between + within)).astype(np.int64)


@pytest.mark.parametrize(("sessions", "turns"), [(300, 1), (150, 5)])
def test_intervals_cover_the_truth_as_often_as_they_promise(sessions: int, turns: int):
    replications = 1500
    sigma_squared = 0.5
    true_mean = 1e6 * math.exp(sigma_squared / 2)
    true_p95 = 1e6 * math.exp(stats.norm.ppf(0.95) * math.sqrt(sigma_squared))
    data = simulated_sessions(np.random.default_rng(7), replications, sessions, turns)
    means = p95s = 0
    for sample in data:
        sizes, totals = [turns] * sessions, sample.sum(axis=1).tolist()
        low, high = mean_interval(cluster_sums(sizes, totals)) or (0, 0)
        means += low <= true_mean <= high
        ordered = np.sort(sample, axis=None)
        p95 = ordered[math.ceil(0.95 * ordered.size) - 1]
        below = (sample <= p95).sum(axis=1).tolist()
        ranks = quantile_ranks(cluster_sums(sizes, below), 0.95)
        assert ranks is not None
        p95s += bool(ordered[ranks[0] - 1] <= true_p95 <= ordered[ranks[1] - 1])
    assert 0.92 <= means / replications <= 0.98
    assert 0.92 <= p95s / replications <= 0.98


def test_narrow_is_half_the_width_against_the_size_of_the_number():
    assert is_narrow(100, (95, 105), 0.05)
    assert not is_narrow(100, (94, 105), 0.05)
    assert is_narrow(0, (0, 0), 0.05)
    assert not is_narrow(0, (-1, 1), 0.05)
