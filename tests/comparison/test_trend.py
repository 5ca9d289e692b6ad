"""Over many runs: where a number changed, and where it only wavered."""

from __future__ import annotations

import random

import pytest

from profiler.comparison.trend import Point, change_points, trend_of
from profiler.errors import ProfileError
from tests.comparison.runs import profile_of

SESSIONS = [[1, 2], [2, 1], [1, 1], [3, 1], [2, 2], [1, 2], [1, 1], [2, 1], [1, 3], [2, 2]]


def points(*values: float, error: float = 0.1) -> list[Point]:
    return [Point(value=v, variance=error**2, count=200, sessions=50) for v in values]


def test_a_step_is_found_where_it_is():
    steady = [1.02, 0.97, 1.05, 1.0, 0.98, 1.03]
    assert list(change_points(points(*steady, *(v + 1 for v in steady)))) == [6]


def test_two_steps_are_found():
    steady = [1.02, 0.97, 1.05, 1.0, 0.98, 1.03]
    values = [*steady, *(v + 1 for v in steady), *steady]
    assert sorted(change_points(points(*values))) == [6, 12]


def test_noise_has_no_steps():
    """Of 200 series of 12 runs without a change, those with a change point are at most 5 %."""
    rng = random.Random(1)
    alarms = sum(
        any(True for _ in change_points(points(*(rng.gauss(1, 0.1) for _ in range(12)))))
        for _ in range(200)
    )
    assert alarms <= 10


def test_runs_that_waver_beyond_their_own_errors_have_no_steps():
    """Errors within a run of 0.01; from run to run 0.3. At most 5 % have a step."""
    rng = random.Random(2)
    series = [points(*(rng.gauss(1, 0.3) for _ in range(12)), error=0.01) for _ in range(200)]
    assert sum(any(True for _ in change_points(each)) for each in series) <= 10


def test_a_step_stands_out_from_runs_that_waver():
    """Six standard deviations of what runs waver by."""
    rng = random.Random(3)
    values = [rng.gauss(1 if place < 6 else 2.8, 0.3) for place in range(12)]
    assert list(change_points(points(*values, error=0.01))) == [6]


def test_runs_are_taken_in_the_order_of_their_start():
    early, late = 1_700_000_000 * 10**9, 1_700_100_000 * 10**9
    before = profile_of(SESSIONS, run_id="early", started_wall_ns=early)
    after = profile_of(SESSIONS, run_id="late", started_wall_ns=late)
    trend = trend_of([after, before])
    assert [run for run, _ in trend.runs] == ["early", "late"]
    calls = next(s for s in trend.series if s.metric == "interaction.llm_calls")
    assert [p.value for p in calls.points if p is not None] == [1.6, 1.6]
    assert calls.changes == ()


def test_failures_have_a_trend_of_their_own():
    """From the fourth run on 20 of 100 interactions fail."""
    runs = [
        profile_of([[1]] * 100, run_id=f"r{i}", failed=failed, started_wall_ns=i * 10**9)
        for i, failed in enumerate((0, 0, 0, 20, 20, 20), start=1)
    ]
    errors = next(s for s in trend_of(runs).series if s.metric == "error_rate")
    assert [p.value for p in errors.points if p is not None] == [0, 0, 0, 0.2, 0.2, 0.2]
    assert (errors.changes, errors.unit) == ((3,), "share")


def test_a_failure_that_is_as_rare_as_runs_are_small_is_no_change():
    """Four of 900 fail, all in the large run; that 300 others show none has a chance of 20 %."""
    runs = [
        profile_of([[1]] * size, run_id=f"r{i}", failed=failed, started_wall_ns=i * 10**9)
        for i, (size, failed) in enumerate(((150, 0), (150, 0), (600, 4)), start=1)
    ]
    errors = next(s for s in trend_of(runs).series if s.metric == "error_rate")
    assert errors.changes == ()


def test_one_run_is_no_trend():
    with pytest.raises(ProfileError, match="one profile is no trend"):
        trend_of([profile_of(SESSIONS)])
