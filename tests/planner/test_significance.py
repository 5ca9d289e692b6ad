"""How few observations would let chance alone look like a change."""

from __future__ import annotations

import math

import pytest
from scipy import stats

from profiler.planner.significance import fewest_for_mean, fewest_for_p95
from tests.planner.monitoring.sample import sample_profile


def latency():
    return sample_profile().interaction["latency"]


def call_latency():
    return sample_profile().models["gpt-4o"]["latency"]


def over(distribution, threshold_s):
    """Values over a threshold, of the rows that the profile keeps: all of its interactions."""
    joint = sample_profile().joint
    column = joint.columns.index("latency_s")
    values = [row[column] for row in joint.rows if row[column] is not None]
    assert len(values) == distribution.count
    return sum(value > threshold_s for value in values), len(values)


def test_with_the_fewest_chance_is_rarer_than_one_in_a_thousand_and_with_fewer_it_is_not():
    """Binomial of SciPy, independent values, so before the design effect of 1.62."""
    threshold = 1.5 * latency().p95
    k, n = over(latency(), threshold)
    share = (k + 1) / (n + 2)
    independent = next(
        count
        for count in range(20, 10_000, 20)
        if stats.binom.sf(count // 20, count, share) <= 0.001
    )
    found = fewest_for_p95(latency(), threshold)
    assert independent < found < 2 * independent


def test_a_mean_needs_as_many_as_its_spread_asks_for():
    """(3.0902 x stddev / (threshold - mean))^2; calls of this profile are not alike in sessions."""
    found = sample_profile().interaction["history_tokens"]
    threshold = 1.5 * found.mean
    alone = (stats.norm.ppf(0.999) * found.stddev / (threshold - found.mean)) ** 2
    assert fewest_for_mean(found, threshold) >= math.ceil(alone)
    half_way = found.mean + (threshold - found.mean) / 2
    assert fewest_for_mean(found, half_way) == pytest.approx(
        4 * fewest_for_mean(found, threshold), abs=4
    )


def test_a_higher_threshold_never_needs_more():
    needed = [fewest_for_p95(latency(), factor * latency().p95) for factor in (1.3, 1.5, 2, 3)]
    assert needed == sorted(needed, reverse=True)


def test_a_threshold_at_the_p95_itself_is_chance_whatever_the_number():
    assert fewest_for_p95(call_latency(), 0.9 * call_latency().p95) is None
    assert fewest_for_mean(latency(), latency().mean) is None


def test_a_mean_hardly_above_the_measured_one_needs_too_many():
    assert fewest_for_mean(latency(), latency().mean * 1.0001) is None
