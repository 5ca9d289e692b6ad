"""Attempts against a limit are those of one call after the other, however they are added up."""

from __future__ import annotations

import numpy as np
import pytest

from profiler.planner.attempts import RunningLimit, run_attempts

PER_S, WINDOW_S, CAPACITY = 100.0, 1.0, 200.0


def one_by_one(times, needs, *, is_window):
    """What each call finds refused and leaves, straight from the limit's own rules."""
    left, at_s, number = CAPACITY, 0.0, 0.0
    for time_s, need in zip(times, needs, strict=True):
        if is_window:
            left = CAPACITY if time_s // WINDOW_S != number else left
            number = time_s // WINDOW_S
        else:
            left = min(CAPACITY, left + (time_s - at_s) * PER_S)
            at_s = time_s
        refused = need > left
        left -= 0.0 if refused else need
        yield refused, left


@pytest.mark.parametrize("is_window", [False, True])
@pytest.mark.parametrize("load", [0.2, 2.5, 6.0])
def test_sums_before_the_first_refusal_are_what_one_call_after_the_other_leaves(load, is_window):
    rng = np.random.default_rng(4)
    needs = rng.lognormal(1.0, 0.8, 3000)
    times = np.cumsum(rng.exponential(needs.mean() / (PER_S * load), 3000))
    limit = RunningLimit(per_s=PER_S, capacity=CAPACITY, window_s=WINDOW_S if is_window else None)
    found = run_attempts(times, [needs], [limit], None, rng)
    refused, left = np.array(list(one_by_one(times, needs, is_window=is_window))).T
    assert found.refused.tolist() == refused.tolist()
    assert found.left[0] == pytest.approx(left, abs=1e-6)
    assert found.calls.tolist() == list(range(3000))
    assert refused.any() == (load > 1)  # so that each half of the way is taken
