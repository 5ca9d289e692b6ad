"""Simulated limits are the closed forms where those hold, and the mock's own decisions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from profiler.mock.limits import RateLimiter
from profiler.planner import limits as closed
from profiler.planner.attempts import Retrying, RunningLimit, run_attempts
from profiler.planner.compound import window_sum
from profiler.planner.estimates import Estimate
from profiler.planner.simulate_limits import SimulatedLimit, simulate_limits

TOKENS = np.rint(np.random.default_rng(7).lognormal(7, 1, 2000))


def holds(estimate: Estimate | None, truth: float) -> bool:
    """The 95 % interval, half again as wide (99.7 %): with fixed seeds it holds or it is wrong."""
    assert estimate is not None
    return abs(estimate.value - truth) <= 1.5 * (estimate.high - estimate.value)


@pytest.mark.parametrize("fano", [1.0, 4.0])
def test_a_window_of_requests_is_its_closed_form(fano):
    limit = SimulatedLimit(name="rpm", per_minute=100, is_window=True)
    found = simulate_limits(limits=[limit], rate_per_minute=95, fano=fano, seed=2).limits["rpm"]
    assert holds(found.rejected, closed.rejected_fraction(95, 100, fano=fano))
    assert holds(found.limited_time, closed.limited_time_share(95, 100, fano=fano))
    assert holds(found.exceeded_windows, closed.window_exceedance(95, 100, fano=fano))


def test_a_bucket_of_requests_is_its_closed_form():
    limit = SimulatedLimit(name="rpm", per_minute=60, window_s=10)
    found = simulate_limits(limits=[limit], rate_per_minute=55, seed=2)
    assert holds(found.together.rejected, closed.bucket_rejection(55, 60, 10))
    assert holds(found.together.limited_time, closed.bucket_rejection(55, 60, 10))
    assert holds(found.failed_calls, closed.bucket_rejection(55, 60, 10))
    assert found.attempts_per_call.value == 1.0


def test_a_window_of_tokens_is_passed_as_often_as_the_sum_says():
    # What is refused makes room, but the first refusal is where the sum passes the limit.
    limit = SimulatedLimit(name="tpm", per_minute=180_000, counts="total", is_window=True)
    found = simulate_limits(
        limits=[limit], rate_per_minute=90, requests={"total": TOKENS}, seed=2
    ).limits["tpm"]
    tokens = window_sum(90, TOKENS)
    assert holds(found.exceeded_windows, tokens.exceedance(180_000))
    assert found.rejected.value < tokens.excess_share(180_000)  # large ones go, small ones fit


def test_retries_in_an_overload_settle_at_the_fluids_point():
    found = simulate_limits(
        limits=[SimulatedLimit(name="rpm", per_minute=600, window_s=1)],
        rate_per_minute=1200,
        retrying=Retrying(retries=2, honours_retry_after=False, base_s=20, longest_s=200, jitter=1),
        calls=60_000,
    )
    p, attempts = closed.retry_fixed_point(1200, 600, 2)
    assert found.together.rejected.value == pytest.approx(p, rel=0.01)
    assert found.attempts_per_minute.value == pytest.approx(attempts, rel=0.02)
    assert found.failed_calls.value == pytest.approx(closed.failed_after_retries(p, 2), rel=0.02)


def test_who_waits_as_told_gets_through_where_there_is_room():
    limit = SimulatedLimit(name="rpm", per_minute=60, window_s=2)
    shared = {"limits": [limit], "rate_per_minute": 40.0, "calls": 20_000}
    impatient = simulate_limits(**shared)
    patient = simulate_limits(**shared, retrying=Retrying(retries=8))
    assert impatient.failed_calls.value > 0.05
    assert patient.failed_calls.value < 0.01
    assert patient.attempts_per_call.value > 1


@pytest.mark.parametrize("tpm", [20_000.0, 8_000.0])
def test_every_decision_is_the_mocks(tpm):
    rng = np.random.default_rng(5)
    times = np.sort(rng.integers(0, 600 * 10**9, 1500)) / 1e9
    tokens = TOKENS[rng.integers(0, len(TOKENS), len(times))]
    now_ns = 0
    limiter = RateLimiter(rpm=120, tpm=tpm, window_s=30, clock=lambda: now_ns)
    verdicts = []
    for time_s, needed in zip(times, tokens, strict=True):
        now_ns = round(time_s * 1e9)
        verdicts.append(limiter.admit(int(needed), "m"))
    running = [
        RunningLimit(per_s=value / 60, capacity=value / 2, window_s=None) for value in (120, tpm)
    ]
    amounts = [np.ones(len(times)), tokens]
    attempts = run_attempts(times, amounts, running, None, rng)
    assert 0.1 < attempts.refused.mean() < 0.9
    assert attempts.refused.tolist() == [float(not verdict.admitted) for verdict in verdicts]
    told_ms = [int(v.headers["retry-after-ms"]) for v in verdicts if not v.admitted]
    own_ms = [max(1, math.ceil(wait_s * 1000)) for wait_s in attempts.told_s[attempts.refused > 0]]
    assert np.abs(np.array(told_ms) - own_ms).max() <= 1  # rounding up of what differs by 1e-9


def test_two_limits_take_from_both_or_neither():
    # One request of 10 tokens at 0 s, then 100 at 1 s: too many, and no request is taken for it.
    running = [
        RunningLimit(per_s=0.001, capacity=2, window_s=None),
        RunningLimit(per_s=0.001, capacity=50, window_s=None),
    ]
    times = np.array([0.0, 1.0, 2.0])
    amounts = [np.ones(3), np.array([10.0, 100.0, 10.0])]
    found = run_attempts(times, amounts, running, None, np.random.default_rng(1))
    assert found.refused.tolist() == [0, 1, 0]
    assert found.lacked.tolist() == [[0, 0, 0], [0, 1, 0]]
    assert found.left[0].tolist() == pytest.approx([1, 1.001, 0.002])


def test_a_request_larger_than_the_bucket_is_refused_even_when_it_is_full():
    running = [RunningLimit(per_s=1.0, capacity=50.0, window_s=None)]
    found = run_attempts(
        np.array([0.0, 100.0]), [np.array([60.0, 60.0])], running, None, np.random.default_rng(1)
    )
    assert found.refused.tolist() == [1, 1]
    spans = np.array([100.0, 7.0])
    limited_s = running[0].limited_s(found.times, found.left[0], np.full(2, 60.0), spans)
    assert limited_s.tolist() == [100.0, 7.0]


def test_a_window_forgets_at_its_end_and_tells_to_wait_for_it():
    running = [RunningLimit(per_s=0.1, capacity=1.0, window_s=10.0)]
    times = np.array([1.0, 4.0, 10.0, 19.0])
    found = run_attempts(times, [np.ones(4)], running, None, np.random.default_rng(1))
    assert found.refused.tolist() == [0, 1, 0, 1]
    assert found.told_s[[1, 3]].tolist() == [6.0, 1.0]
    spans = np.array([3.0, 6.0, 9.0, 0.0])
    limited_s = running[0].limited_s(times, found.left[0], np.ones(4), spans)
    assert limited_s.tolist() == [3.0, 6.0, 9.0, 0.0]


def test_a_backoff_doubles_up_to_its_longest_and_shortens_by_chance():
    client = Retrying(base_s=0.5, multiplier=2, longest_s=3, jitter=0.25)
    assert [client.backoff_s(n, 0.0) for n in range(4)] == [0.5, 1.0, 2.0, 3.0]
    assert client.backoff_s(1, 1.0) == 0.75


def test_equal_seeds_give_equal_results_and_others_do_not():
    limit = SimulatedLimit(name="rpm", per_minute=60, window_s=5)
    found = [
        simulate_limits(
            limits=[limit], rate_per_minute=58, retrying=Retrying(), calls=3000, seed=seed
        )
        for seed in (1, 1, 2)
    ]
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"limits": []}, "at least one limit"),
        ({"rate_per_minute": None}, "give either"),
        ({"requests": {"other": [1]}}, "no column total"),
        ({"requests": {"total": []}}, "total has to hold"),
        ({"fano": 0.1}, "fano is 0.1"),
        ({"calls": 5}, "calls is 5"),
        ({"warmup_share": -1}, "warmup_share is -1"),
    ],
)
def test_what_is_outside_the_domain_is_named(changed, said):
    limit = SimulatedLimit(name="tpm", per_minute=100, counts="total")
    arguments = {"limits": [limit], "rate_per_minute": 1, "requests": {"total": [1]}, **changed}
    with pytest.raises(ValueError, match=said):
        simulate_limits(**arguments)
    with pytest.raises(ValueError, match="per_minute is 0"):
        SimulatedLimit(name="rpm", per_minute=0)
    with pytest.raises(ValueError, match="jitter is 2"):
        Retrying(jitter=2)
