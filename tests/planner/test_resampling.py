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
    """Of three sessions two are drawn, each counting 3 / 2."""
    tokens = np.array([1.0, 2, 10, 100, 200, 300])
    sums = session_sums(SESSION, {"count": np.ones(6), "tokens": tokens})
    each = [(2, 3), (1, 10), (3, 600)]
    pairs = {(1.5 * (a[0] + b[0]), 1.5 * (a[1] + b[1])) for a in each for b in each}
    rng = np.random.default_rng(3)
    found = {(drawn["count"], drawn["tokens"]) for drawn in (sums.drawn(rng) for _ in range(200))}
    assert found == pairs


def test_one_session_alone_tells_of_no_variance():
    sums = session_sums(np.zeros(4, dtype=np.int64), {"tokens": np.arange(4.0)})
    assert sums.drawn(np.random.default_rng(1)) == {"tokens": 6}


def test_the_spread_of_a_mean_is_that_of_independent_sessions():
    """100 sessions of one interaction, variance 9: the mean's standard error is 3 / 10 = 0.3."""
    values = np.random.default_rng(7).normal(50, 3, 100)
    values = (values - values.mean()) / values.std(ddof=1) * 3 + 50
    sums = session_sums(np.arange(100), {"value": values})
    rng = np.random.default_rng(11)
    means = [sums.drawn(rng)["value"] / 100 for _ in range(4000)]
    assert np.std(means) == pytest.approx(0.3, rel=0.05)
    assert np.mean(means) == pytest.approx(50, abs=0.02)


def test_the_same_seed_draws_the_same():
    sums = session_sums(SESSION, {"tokens": np.arange(6.0)})
    first, second = (sums.drawn(np.random.default_rng(5)) for _ in range(2))
    assert first == second
