"""What a model's clients see at the peak: its limits together, simulated with measured calls."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from profiler.planner.arrivals import arrival_times
from profiler.planner.simulate_limits import SimulatedLimit, simulate_limits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from profiler.planner.attempts import Retrying
    from profiler.planner.estimates import Floats
    from profiler.planner.limit_fit import Counting
    from profiler.planner.limit_risk import CallSample
    from profiler.planner.simulate_limits import LimitSimulation

REQUESTS = "requests_per_minute"
LEAST_CALLS, MOST_CALLS = 40_000, 120_000
_WINDOWS = 6
"""Windows that a run is long at the least; what a full bucket lets pass at first is warm-up."""
_FEWEST = 400
_WARMUP = 0.4


def call_times(
    sample: CallSample,
    *,
    interactions_per_s: float,
    calls: int,
    burstiness: float,
    rng: np.random.Generator,
) -> Floats:
    """Return when so many calls start, in seconds from 0 on, in order.

    Interactions arrive (Poisson, or in bursts), each is one of the sample's, drawn with
    replacement, and its calls follow as they did when it was measured.
    """
    first = np.searchsorted(sample.interaction, np.arange(sample.interactions), side="left")
    number = np.bincount(sample.interaction, minlength=sample.interactions)
    per_interaction = number.mean()
    count = max(_FEWEST, int(calls / per_interaction))
    arrivals = arrival_times(rng, rate_per_s=interactions_per_s, count=count, fano=burstiness)
    drawn = rng.integers(0, sample.interactions, count)
    times = np.repeat(arrivals, number[drawn])
    each = number[drawn]
    within = np.arange(len(times)) - np.repeat(np.cumsum(each) - each, each)
    offsets = sample.start_s[np.repeat(first[drawn], each) + within]
    return np.sort(times + offsets)


def simulate_calls(
    sample: CallSample,
    allowed_per_minute: Mapping[str, float],
    how: Counting,
    *,
    interactions_per_s: float,
    burstiness: float,
    retrying: Retrying,
    is_window: bool,
    window_s: float,
    seed: int,
) -> LimitSimulation:
    """Simulate one model's calls against all its limits per minute, of one way to enforce them.

    `sample` has to be in the order of `interaction`. Measured failed attempts are not made again:
    what limits reject is simulated, not what they rejected when the agent was measured.
    """
    rng = np.random.default_rng((seed, 11))
    calls_per_s = interactions_per_s * len(sample.interaction) / sample.interactions
    wanted = int(calls_per_s * window_s * _WINDOWS)
    times = call_times(
        sample,
        interactions_per_s=interactions_per_s,
        calls=min(MOST_CALLS, max(LEAST_CALLS, wanted)),
        burstiness=burstiness,
        rng=rng,
    )
    single = _without_retries(sample)
    limits = [
        SimulatedLimit(
            name=kind,
            per_minute=allowed,
            counts="requests" if kind == REQUESTS else kind,
            is_window=is_window,
            window_s=window_s,
        )
        for kind, allowed in allowed_per_minute.items()
    ]
    requests = {kind: single.amounts(kind, how) for kind in allowed_per_minute if kind != REQUESTS}
    return simulate_limits(
        limits=limits,
        arrivals_s=times,
        requests=requests or None,
        retrying=retrying,
        warmup_share=_WARMUP,
        seed=seed,
    )


def _without_retries(sample: CallSample) -> CallSample:
    return replace(sample, attempts=np.ones_like(sample.attempts))
