"""What Prometheus tells becomes means with intervals, shares and trends."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import linregress, t

from profiler.planner.production import (
    MONTH_S,
    Reading,
    actual_of,
    growth_of,
    reaches,
    trend_of,
)

DAY_S = 86_400.0


def test_a_mean_is_all_parts_over_all_wholes_not_a_mean_of_means():
    found = actual_of(Reading(parts=[10, 90], wholes=[10, 30]))
    assert found is not None
    assert found.mean == 100 / 40
    assert found.mean_ci95 is None, "two stretches tell too little of the spread"


def test_stretches_of_equal_size_have_the_interval_of_student_t():
    means = [2.0, 2.4, 1.8, 2.2, 2.1, 1.9]
    found = actual_of(Reading(parts=[100 * each for each in means], wholes=[100] * 6))
    mean = sum(means) / 6
    spread = math.sqrt(sum((each - mean) ** 2 for each in means) / 5)
    half = t(5).ppf(0.975) * spread / math.sqrt(6)
    assert found is not None
    assert found.mean_ci95 == pytest.approx((mean - half, mean + half))


def test_nothing_that_happened_is_nothing_known():
    assert actual_of(Reading(parts=[0, 0], wholes=[0, 0])) is None


def test_percentiles_lie_within_their_bucket_as_histogram_quantile_has_them():
    """95 of 100: 15 of the 20 between 1 and 2."""
    buckets = [(1.0, 80.0), (2.0, 100.0), (math.inf, 100.0)]
    found = actual_of(Reading(parts=[70], wholes=[100], buckets=buckets))
    assert found is not None
    assert found.p95 == pytest.approx(1.75)
    assert found.edges == (1.0, 2.0)
    assert found.at_most is not None
    assert found.at_most(1.0) == 0.8


def test_a_percentile_beyond_the_last_bucket_is_not_known():
    buckets = [(1.0, 80.0), (math.inf, 100.0)]
    found = actual_of(Reading(parts=[70], wholes=[100], buckets=buckets))
    assert found is not None
    assert found.p95 is None


def test_values_of_one_session_count_for_less():
    found = actual_of(Reading(parts=[70], wholes=[100]), design_effect=4.0)
    assert found is not None
    assert found.size == 25


def test_weeks_that_grow_evenly_have_that_growth_exactly():
    weeks = [(7 * DAY_S * n, 1000 * 1.1 ** (7 * DAY_S * n / MONTH_S)) for n in range(8)]
    found = growth_of(weeks)
    assert found is not None
    assert found.per_month == pytest.approx(0.1)


def test_three_weeks_are_too_few_for_a_growth():
    assert growth_of([(0, 1.0), (1, 2.0), (2, 3.0)]) is None


@given(st.lists(st.floats(0.1, 1e6), min_size=4, max_size=20))
def test_the_slope_and_its_interval_are_those_of_a_regression_of_logarithms(values):
    assume(len(set(values)) > 1)  # of a constant, scipy has no error of the slope
    points = [(float(at) * DAY_S, value) for at, value in enumerate(values)]
    found = trend_of(points)
    theirs = linregress([at for at, _ in points], [math.log(value) for _, value in points])
    assert found is not None
    half = t(len(values) - 2).ppf(0.975) * theirs.stderr
    assert found.slope_per_s == pytest.approx(theirs.slope, rel=1e-6, abs=1e-15)
    assert found.interval[1] - found.slope_per_s == pytest.approx(half, rel=1e-4, abs=1e-12)


def test_what_doubles_every_ten_days_is_at_eight_times_after_thirty():
    points = [(10 * DAY_S * n, 2.0**n) for n in range(5)]
    trend = trend_of(points)
    assert trend is not None
    likely, _, _ = reaches(trend, 8 * 16.0)
    assert likely == pytest.approx(40 * DAY_S + 30 * DAY_S)


def test_what_falls_never_gets_there():
    trend = trend_of([(float(n), 0.5**n) for n in range(5)])
    assert trend is not None
    assert reaches(trend, 10.0)[0] is None
