"""A target that falls behind shows in the slope of latency."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import linregress, t

from profiler.measure.journal import read_journal
from profiler.measure.records import Outcome, Phase
from profiler.profile.drift import drift_in, drift_of
from tests.profile.journals import MS, interaction, write


def queue(rate_per_s: float, capacity_per_s: float, count: int) -> tuple[list[float], list[float]]:
    """Starts and latencies of a D/D/1 queue, by Lindley's recursion."""
    starts, latencies, free_s = [], [], 0.0
    for number in range(count):
        start_s = number / rate_per_s
        free_s = max(start_s, free_s) + 1 / capacity_per_s
        starts.append(start_s)
        latencies.append(free_s - start_s)
    return starts, latencies


@given(st.floats(1.05, 3.0))
def test_the_slope_of_an_overloaded_queue_is_its_overload(overload: float):
    drift = drift_of(*queue(10 * overload, 10, 200))
    assert drift is not None
    assert drift.slope == pytest.approx(overload - 1, rel=1e-6)
    assert drift.completed_share == pytest.approx(1 / overload)
    assert drift.falls_behind


@given(st.floats(0.1, 0.99))
def test_a_queue_that_keeps_up_has_no_slope(load: float):
    drift = drift_of(*queue(10 * load, 10, 200))
    assert drift is not None
    assert drift.slope == pytest.approx(0, abs=1e-9)
    assert drift.completed_share == pytest.approx(1)
    assert not drift.falls_behind


def test_slope_and_interval_are_those_of_a_regression_through_batch_means():
    starts = [float(i) for i in range(100)]
    latencies = [0.03 * i + (1 if i % 20 < 10 else 0) for i in range(100)]
    drift = drift_of(starts[::-1], latencies[::-1])
    # Ten batches of ten: their means are at 4.5, 14.5, ..., and alternate by 1.
    means = [0.03 * (10 * b + 4.5) + (1 if b % 2 == 0 else 0) for b in range(10)]
    expected = linregress([10 * b + 4.5 for b in range(10)], means)
    half = t.ppf(0.975, 8) * expected.stderr
    assert drift is not None
    assert drift.slope == pytest.approx(expected.slope)
    assert drift.slope_ci95 == pytest.approx((expected.slope - half, expected.slope + half))
    assert not drift.falls_behind  # the noise could have made it


def test_too_few_interactions_and_a_single_instant_say_nothing():
    assert drift_of([float(i) for i in range(49)], [1.0] * 49) is None
    assert drift_of([0.0] * 60, [1.0] * 60) is None


def test_a_journal_counts_from_intended_starts_of_what_was_measured_and_succeeded(tmp_path: Path):
    records = [
        interaction(
            f"t{i}", intended_start_ns=i * 100 * MS, send_ns=i * 100 * MS + 1, end_ns=i * 150 * MS
        )
        for i in range(100)
    ]
    records.append(interaction("w", phase=Phase.WARMUP, intended_start_ns=0, end_ns=9**12))
    records.append(interaction("f", outcome=Outcome.TIMEOUT, intended_start_ns=0, end_ns=9**12))
    run_dir = write(tmp_path, *records)
    drift = drift_in(read_journal(run_dir))
    assert drift is not None
    assert drift.slope == pytest.approx(0.5)


def test_closed_loop_and_an_empty_journal_have_no_drift(tmp_path: Path):
    closed = write(tmp_path, *(interaction(f"t{i}", send_ns=i) for i in range(100)))
    assert drift_in(read_journal(closed)) is None
    assert drift_in(read_journal(write(tmp_path))) is None
