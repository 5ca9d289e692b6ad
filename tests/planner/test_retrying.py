"""What a model's clients see: calls at the times of the sampled interactions, against limits."""

from __future__ import annotations

import numpy as np
import pytest

from profiler.planner.attempts import Retrying
from profiler.planner.limit_fit import Counting
from profiler.planner.limit_risk import CallSample
from profiler.planner.limits import bucket_rejection
from profiler.planner.retrying import REQUESTS, call_times, simulate_calls

HOW = Counting(cached_input_counts=True, output_debit_tokens=None, source="openai")


def sample(interaction: list[int], start_s: list[float], interactions: int) -> CallSample:
    ones = np.ones(len(interaction))
    return CallSample(
        interactions=interactions,
        interaction=np.array(interaction),
        start_s=np.array(start_s),
        attempts=3 * ones,  # retries as measured: not made again here
        input_tokens=100 * ones,
        cached_input_tokens=0 * ones,
        output_tokens=10 * ones,
    )


ONE_CALL = sample([0, 1, 2], [0.0, 0.4, 0.2], 3)
MIXED = sample([0, 0, 0, 2], [0.0, 0.5, 1.0, 0.25], 3)
"""Three calls, none, and one: 4 / 3 an interaction."""


@pytest.mark.parametrize("burstiness", [1.0, 8.0])
def test_calls_come_at_the_rate_of_interactions_times_calls(burstiness):
    rng = np.random.default_rng(5)
    times = call_times(MIXED, interactions_per_s=6.0, calls=200_000, burstiness=burstiness, rng=rng)
    assert (np.diff(times) >= 0).all()
    # Counts of minutes: their mean is 6 x 60 x 4/3 = 480, its error that of the batches.
    counts = np.bincount((times // 60).astype(int))[1:-1]
    error = counts.std(ddof=1) / np.sqrt(len(counts))
    assert abs(counts.mean() - 480) < 4 * error
    # Variance / mean of compound counts: E[K^2] / E[K] = (9 + 0 + 1) / 4, and what bursts add,
    # (index - 1) E[K]; interactions of seconds do not reach over many minutes.
    index = 10 / 4 + (burstiness - 1) * 4 / 3
    assert counts.var(ddof=1) / counts.mean() == pytest.approx(index, rel=0.25)


def test_the_calls_of_an_interaction_keep_their_gaps():
    rng = np.random.default_rng(6)
    sparse = sample([0, 0], [0.0, 0.5], 1)
    times = call_times(sparse, interactions_per_s=1e-4, calls=2000, burstiness=1.0, rng=rng)
    gaps = np.diff(times)[::2]
    assert np.median(gaps) == pytest.approx(0.5)


def limited(calls: CallSample, per_s: float, **options):
    settings = {"retrying": Retrying(retries=0), "is_window": False, "window_s": 1.0}
    return simulate_calls(
        calls,
        {REQUESTS: 1200.0},
        HOW,
        interactions_per_s=per_s,
        burstiness=1.0,
        seed=1,
        **{**settings, **options},
    )


@pytest.mark.parametrize("load", [0.9, 1.1])
def test_one_call_each_is_refused_as_often_as_the_bucket_s_closed_form_says(load):
    # Arrivals that are shifted independently are Poisson still (displacement).
    found = limited(ONE_CALL, 20 * load)
    exact = bucket_rejection(1200 * load, 1200, 20)
    rejected = found.together.rejected
    half = (rejected.high - rejected.low) / 2
    assert abs(rejected.value - exact) < 1.5 * half  # three standard errors of a 95 % interval
    assert found.attempts_per_call.value == 1  # measured attempts are not made again
    assert found.failed_calls.value == pytest.approx(rejected.value)


def test_calls_that_come_in_rows_are_refused_more_often():
    together = limited(sample([0, 0, 0, 0], [0.0, 0.01, 0.02, 0.03], 1), 4.5).together.rejected
    alone = limited(ONE_CALL, 18.0).together.rejected
    assert together.low > alone.high


def test_retries_raise_what_is_refused_and_most_of_them_come_through():
    once, thrice = (limited(ONE_CALL, 19.0, retrying=Retrying(retries=n)) for n in (0, 2))
    assert thrice.together.rejected.low > once.together.rejected.high
    assert thrice.attempts_per_call.low > 1
    # Each call ends once, so all attempts but one of each are retries after a refusal.
    refused = thrice.together.rejected.value * thrice.attempts_per_call.value
    retried = thrice.attempts_per_call.value - 1
    assert refused - retried == pytest.approx(thrice.failed_calls.value, abs=1e-3)


def test_a_token_limit_that_is_wider_than_the_requests_adds_nothing():
    # 110 tokens a call: 1,200 requests a minute are 132,000 tokens, of 10 times as many.
    settings = {"interactions_per_s": 22.0, "burstiness": 1.0, "seed": 1}
    found = simulate_calls(
        ONE_CALL,
        {REQUESTS: 1200.0, "tokens_per_minute": 1_320_000.0},
        HOW,
        retrying=Retrying(retries=0),
        is_window=False,
        window_s=1.0,
        **settings,
    )
    assert found.limits["tokens_per_minute"].rejected.value == 0
    assert found.together.rejected.value == limited(ONE_CALL, 22.0).together.rejected.value
