"""How often a limit is hit: against closed forms, and against windows filled by plain sampling."""

from __future__ import annotations

import numpy as np
import pytest

from profiler.planner.limit_fit import Counting
from profiler.planner.limit_risk import CallSample, Risk, risk
from profiler.planner.limits import rejected_fraction, window_exceedance

REQUESTS, INPUT, OUTPUT, TOTAL = (
    "requests_per_minute",
    "input_tokens_per_minute",
    "output_tokens_per_minute",
    "tokens_per_minute",
)
ALL = Counting(cached_input_counts=True, output_debit_tokens=None, source="openai")


def sample(
    interaction: list[int], start_s: list[float], interactions: int | None = None, **columns: list
) -> CallSample:
    calls = len(interaction)
    given = {
        "attempts": [1.0] * calls,
        "input_tokens": [100.0] * calls,
        "cached_input_tokens": [0.0] * calls,
        "output_tokens": [10.0] * calls,
        **columns,
    }
    return CallSample(
        interactions=interactions or max(interaction) + 1,
        interaction=np.array(interaction),
        start_s=np.array(start_s),
        **{name: np.array(values, dtype=float) for name, values in given.items()},
    )


def asked(calls: CallSample, kind: str, demand: float, allowed: float, **options) -> Risk:
    return risk(
        kind=kind,
        sample=calls,
        demand_per_minute=demand,
        allowed_per_minute=allowed,
        **{"how": ALL, "window_s": 60.0, "burstiness": 1.0, "seed": 1, **options},
    )


ONE_CALL = sample([0, 1, 2], [0.0, 0.1, 0.3])


@pytest.mark.parametrize("window_s", [1.0, 10.0, 60.0])
@pytest.mark.parametrize("demand", [540.0, 600.0, 660.0])
def test_one_call_each_is_a_poisson_count(window_s, demand):
    found = asked(ONE_CALL, REQUESTS, demand, 600.0, window_s=window_s)
    exceeded = window_exceedance(demand, 600.0, window_s)
    assert found.window_exceedance == pytest.approx(exceeded, rel=1e-9)
    rejected = rejected_fraction(demand, 600.0, window_s)
    assert found.rejected_fraction == pytest.approx(rejected, rel=1e-7)


@pytest.mark.parametrize(("window_s", "fano"), [(60.0, 5.0), (1.0, 1 + 4 / 60)])
def test_bursts_weigh_by_how_much_of_a_minute_the_window_is(window_s, fano):
    # The index is that of a minute: a rate that changes from minute to minute adds (5 - 1) x its
    # length in minutes to the variance of a shorter window's count, over its mean.
    found = asked(ONE_CALL, REQUESTS, 540.0, 600.0, window_s=window_s, burstiness=5.0)
    exceeded = window_exceedance(540.0, 600.0, window_s, fano)
    assert found.window_exceedance == pytest.approx(exceeded, rel=1e-9)


def test_time_is_limited_from_the_last_admitted_request_on():
    # Of a window of one second that admits 2: the time after the second arrival, E[(1 - T2)+] with
    # T2 gamma(2, rate 3): the integral of P(N(u) >= 2) = 1 - e^-3u (1 + 3u) over u from 0 to 1,
    # which is 1 - (1 - e^-3)/3 - (1 - 4 e^-3)/3.
    found = asked(ONE_CALL, REQUESTS, 180.0, 120.0, window_s=1.0)
    exact = 1 - (1 - np.exp(-3)) / 3 - (1 - 4 * np.exp(-3)) / 3
    assert found.limited_time == pytest.approx(exact, rel=1e-6)


def test_a_window_too_short_for_one_request_refuses_all():
    found = asked(ONE_CALL, REQUESTS, 60.0, 30.0, window_s=1.0)
    assert found == Risk(window_exceedance=1.0, rejected_fraction=1.0, limited_time=1.0)


def test_a_limit_of_what_no_call_takes_is_never_hit():
    none = sample([0, 1], [0.0, 0.0], output_tokens=[0.0, 0.0])
    found = asked(none, OUTPUT, 1.0, 1.0)
    assert found == Risk(window_exceedance=0.0, rejected_fraction=0.0, limited_time=0.0)


def test_calls_in_a_row_are_counted_as_windows_that_get_them_do():
    """Against a plain simulation: arrivals, an interaction drawn for each, its calls by second."""
    calls = sample(
        [0, 0, 0, 1, 2, 2],
        [0.0, 0.6, 1.2, 0.0, 0.0, 2.5],
        interactions=4,  # one of them makes no call
        input_tokens=[300.0, 500.0, 700.0, 100.0, 200.0, 900.0],
    )
    per_s, windows = 4.0, 200_000
    rng = np.random.default_rng(3)
    count = rng.poisson(per_s * windows)
    begun, drawn = rng.random(count) * windows, rng.integers(0, 4, count)
    taken = {REQUESTS: np.zeros(windows), INPUT: np.zeros(windows)}
    for place, who in enumerate(calls.interaction):
        second = ((begun[drawn == who] + calls.start_s[place]) % windows).astype(int)
        taken[REQUESTS] += np.bincount(second, minlength=windows)
        taken[INPUT] += calls.input_tokens[place] * np.bincount(second, minlength=windows)
    # Where windows' edges lie is drawn, too, for each sampled interaction: several seeds of many.
    many = repeated(calls, 1000)
    for kind, allowed, mean in ((REQUESTS, 600.0, 6.0), (INPUT, 240_000.0, 2700.0)):
        beyond = np.maximum(taken[kind] - allowed / 60, 0)
        seeds = [asked(many, kind, mean * 60, allowed, window_s=1.0, seed=n) for n in range(8)]
        agree([each.window_exceedance for each in seeds], batches(beyond > 0))
        asked_for = taken[kind].sum() / windows
        agree([each.rejected_fraction for each in seeds], batches(beyond) / asked_for)


def batches(values: np.ndarray) -> np.ndarray:
    """Return means of 1,000 windows each: neighbours share interactions, batches hardly do."""
    means: np.ndarray = values.reshape(-1, 1000).mean(axis=1)
    return means


def agree(found: list[float], simulated: np.ndarray) -> None:
    """Hold two means of independent values to four standard errors of their difference."""
    both = (np.array(found), simulated)
    error = np.sqrt(sum(values.var(ddof=1) / len(values) for values in both))
    assert abs(both[0].mean() - both[1].mean()) < 4 * error


def repeated(calls: CallSample, times: int) -> CallSample:
    shifts = np.repeat(np.arange(times), len(calls.interaction)) * calls.interactions
    columns = ("start_s", "attempts", "input_tokens", "cached_input_tokens", "output_tokens")
    return CallSample(
        interactions=calls.interactions * times,
        interaction=np.tile(calls.interaction, times) + shifts,
        **{name: np.tile(getattr(calls, name), times) for name in columns},
    )


def test_what_a_call_takes_of_each_limit():
    calls = sample([0], [0.0], attempts=[2.0], cached_input_tokens=[40.0])
    generated = {REQUESTS: 2, INPUT: 200, OUTPUT: 20, TOTAL: 220}
    assert {kind: calls.amounts(kind, ALL)[0] for kind in generated} == generated
    anthropic = Counting(cached_input_counts=False, output_debit_tokens=64, source="anthropic")
    debited = {REQUESTS: 2, INPUT: 120, OUTPUT: 128, TOTAL: 248}
    assert {kind: calls.amounts(kind, anthropic)[0] for kind in debited} == debited
