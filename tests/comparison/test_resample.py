"""Drawing sessions again gives the errors that formulas and SciPy's bootstrap give."""

from __future__ import annotations

import random

import numpy as np
import pytest
from scipy import stats

from profiler.comparison.resample import Column, Resampling
from profiler.comparison.sessions import Sessions

K = 80


def values(seed: int) -> list[float]:
    rng = random.Random(seed)
    return [rng.lognormvariate(0, 0.5) for _ in range(K)]


def apart() -> Sessions:
    return Sessions(
        baseline=tuple(range(K)), candidate=tuple(range(K, 2 * K)), count=2 * K, paired=False
    )


def together() -> Sessions:
    return Sessions(baseline=tuple(range(K)), candidate=tuple(range(K)), count=K, paired=True)


def test_the_mean_of_single_interactions_varies_by_its_standard_error():
    before, after = values(1), values(2)
    spread, reason = Resampling(apart(), draws=4000).spread(
        Column(values=before, sessions=range(K)),
        Column(values=after, sessions=range(K, 2 * K)),
        None,
    )
    assert reason is None
    assert spread is not None
    for found, sample in ((spread.baseline, before), (spread.candidate, after)):
        # 4,000 draws err by 1.1 % in the error, 2.2 % in its square: four of these.
        assert found == pytest.approx(stats.sem(sample) ** 2, rel=0.09)
    assert spread.covariance == 0.0


def test_whole_sessions_are_drawn_and_not_their_interactions():
    """Ten equal interactions a session tell no more than one does."""
    before, after = values(1), values(2)
    tenfold = [value for value in before for _ in range(10)]
    sessions = [session for session in range(K) for _ in range(10)]
    spread, _ = Resampling(apart(), draws=4000).spread(
        Column(values=tenfold, sessions=sessions),
        Column(values=after, sessions=range(K, 2 * K)),
        None,
    )
    assert spread is not None
    assert spread.baseline == pytest.approx(stats.sem(before) ** 2, rel=0.09)


def test_what_runs_of_the_same_sessions_share_cancels():
    before = values(1)
    after = [value + noise / 10 for value, noise in zip(before, values(2), strict=True)]
    spread, _ = Resampling(together(), draws=4000).spread(
        Column(values=before, sessions=range(K)), Column(values=after, sessions=range(K)), None
    )
    assert spread is not None
    of_difference = spread.baseline + spread.candidate - 2 * spread.covariance
    expected = stats.sem(np.subtract(after, before)) ** 2
    assert of_difference == pytest.approx(expected, rel=0.09)
    assert spread.degrees == K - 1


def test_a_percentile_varies_as_scipys_bootstrap_says():
    before, after = values(1), values(2)
    spread, _ = Resampling(apart(), draws=4000).spread(
        Column(values=before, sessions=range(K)),
        Column(values=after, sessions=range(K, 2 * K)),
        0.9,
    )
    assert spread is not None

    def nearest_rank(sample, axis):
        return np.quantile(sample, 0.9, axis=axis, method="inverted_cdf")

    drawn = stats.bootstrap(
        (before,), nearest_rank, n_resamples=4000, method="percentile", rng=np.random.default_rng(7)
    )
    # Both are of 4,000 draws; ours is that of a sample and not of a population: k / (k - 1).
    expected = drawn.standard_error**2 * K / (K - 1)
    assert spread.baseline == pytest.approx(expected, rel=0.12)


def test_five_sessions_tell_nothing():
    few = Sessions(baseline=(0, 1, 2, 3, 4), candidate=(5, 6, 7, 8, 9), count=10, paired=False)
    spread, reason = Resampling(few).spread(
        Column(values=[1.0] * 5, sessions=range(5)),
        Column(values=[2.0] * 5, sessions=range(5, 10)),
        None,
    )
    assert spread is None
    assert reason == "5 sessions have it: 6 are needed"
