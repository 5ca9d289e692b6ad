"""Sessions drawn again: totals kept, spread as theory has it."""

from __future__ import annotations

import numpy as np
import pytest

from profiler.planner.resampling import session_sums

SESSION = np.array([0, 0, 1, 2, 2, 2])


def test_the_sample_as_it_is_keeps_its_totals():
    sums = session_sums(SESSION, {"count": np.ones(6), "tokens": np.arange(6.0)})
    assert sums.totals() == {"count": 6, "tokens": 15}


def test_sessions_are_drawn_whole():
    sums = session_sums(
        SESSION, {"count": np.ones(6), "tokens": np.array([1.0, 2, 10, 100, 200, 300])}
    )
    per_session = {(2, 3), (1, 10), (3, 600)}
    rng = np.random.default_rng(3)
    combined = {
        (sum(a for a, _ in three), sum(b for _, b in three))
        for three in [(x, y, z) for x in per_session for y in per_session for z in per_session]
    }
    for _ in range(50):
        drawn = sums.drawn(rng)
        assert (drawn["count"], drawn["tokens"]) in combined


def test_the_spread_of_a_mean_is_that_of_independent_sessions():
    """100 sessions of one interaction, variance 9: the mean's standard error is 3 / 10 = 0.3."""
    values = np.random.default_rng(7).normal(50, 3, 100)
    values = (values - values.mean()) / values.std() * 3 + 50
    sums = session_sums(np.arange(100), {"value": values})
    rng = np.random.default_rng(11)
    means = [sums.drawn(rng)["value"] / 100 for _ in range(4000)]
    assert np.std(means) == pytest.approx(0.3, rel=0.05)
    assert np.mean(means) == pytest.approx(50, abs=0.02)


def test_the_same_seed_draws_the_same():
    sums = session_sums(SESSION, {"tokens": np.arange(6.0)})
    first, second = (sums.drawn(np.random.default_rng(5)) for _ in range(2))
    assert first == second
