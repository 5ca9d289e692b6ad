"""How often a limit is hit before the average reaches it: three numbers, for each window length.

What a window brings is a compound sum: interactions arrive at random (Poisson, or in bursts), and
each puts a measured fragment of its calls into the window (`fragments`). Where only requests come
and each interaction makes one, this is the plain Poisson count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from profiler.planner.compound import window_sum
from profiler.planner.demand import LIMIT_KINDS
from profiler.planner.fragments import fragments
from profiler.planner.limits import admitted_per_window

if TYPE_CHECKING:
    import numpy.typing as npt

    from profiler.planner.estimates import Floats
    from profiler.planner.limit_fit import Counting

REQUESTS, INPUT, OUTPUT, TOTAL = LIMIT_KINDS
_MINUTE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSample:
    """Sampled calls that one model serves: which interaction made each, when, and its tokens.

    `start_s` counts from the interaction's start; `attempts` are HTTP requests. `interactions` is
    the size of the sample, those without a call included.
    """

    interactions: int
    interaction: npt.NDArray[np.int64]
    start_s: Floats
    attempts: Floats
    input_tokens: Floats
    cached_input_tokens: Floats
    output_tokens: Floats

    def amounts(self, kind: str, how: Counting) -> Floats:
        """Return what each call takes of a limit, its failed attempts included."""
        inputs, outputs = self.input_tokens, self.output_tokens
        if not how.cached_input_counts:
            inputs = inputs - self.cached_input_tokens
        if how.output_debit_tokens is not None:
            outputs = np.full_like(outputs, how.output_debit_tokens)
        match kind:
            case "requests_per_minute":
                return self.attempts
            case "input_tokens_per_minute":
                return self.attempts * inputs
            case "output_tokens_per_minute":
                return self.attempts * outputs
            case _:
                return self.attempts * (inputs + outputs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Risk:
    """Chances of one limit in windows of one length. Shares from 0 to 1, without retries.

    `window_exceedance`: the probability that one window's demand is over what it admits.
    `rejected_fraction`: the share of what is asked (requests, or tokens) that is over it.
    `limited_time`: the share of time after a window's limit is used up.
    """

    window_exceedance: float
    rejected_fraction: float
    limited_time: float


def risk(
    *,
    kind: str,
    sample: CallSample,
    how: Counting,
    demand_per_minute: float,
    allowed_per_minute: float,
    window_s: float,
    burstiness: float,
    seed: int,
) -> Risk:
    """Return the chances of one limit.

    `burstiness` is the index of dispersion of interactions per minute, whose rate is taken to
    change from minute to minute: within a shorter window its part shrinks with the window.
    """
    rng = np.random.default_rng((seed, 7))
    cut = fragments(
        interaction=sample.interaction,
        start_s=sample.start_s,
        amounts={kind: sample.amounts(kind, how)},
        interactions=sample.interactions,
        window_s=window_s,
        rng=rng,
    )
    sizes = cut.amounts[kind]
    mean = float(sizes.mean()) if len(sizes) else 0.0
    if mean == 0:
        return Risk(window_exceedance=0.0, rejected_fraction=0.0, limited_time=0.0)
    within = min(1.0, window_s / _MINUTE_S)
    fano = 1 + (burstiness - 1) * within * cut.per_interaction
    brought = window_sum(demand_per_minute / mean, sizes, window_s=window_s, fano=fano)
    admitted = used_up = allowed_per_minute * window_s / _MINUTE_S
    if kind == REQUESTS:
        admitted = float(admitted_per_window(allowed_per_minute, window_s))
        if admitted == 0:
            return Risk(window_exceedance=1.0, rejected_fraction=1.0, limited_time=1.0)
        used_up = admitted - 1  # with the last whole request the limit is used up, not after it
    return Risk(
        window_exceedance=brought.exceedance(admitted),
        rejected_fraction=brought.excess_share(admitted),
        limited_time=brought.limited_time_share(used_up),
    )
