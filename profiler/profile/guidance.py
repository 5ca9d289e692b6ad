"""How many interactions the key numbers need before they can be used."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from profiler.profile.distribution import MEAN_TOLERANCE, P95_TOLERANCE

if TYPE_CHECKING:
    from profiler.profile.distribution import Distribution
    from profiler.profile.model import WorkloadProfile

_KEY_MEANS = ("latency", "llm_calls", "input_tokens")
_FEWEST_FOR_P95 = 72
_ROUND_TO_DIGITS = 2


def interactions_needed(profile: WorkloadProfile) -> int | None:
    """Return about how many interactions would make the key numbers stable, rounded up.

    These are the means of latency, LLM calls and input tokens, and the p95 of latency. None if it
    cannot be told: nothing succeeded, or one session only. The number measured if all are stable.
    """
    measured = profile.sample.interactions
    latency = profile.interaction.get("latency")
    if latency is None or latency.mean_ci95 is None:
        return None
    metrics = profile.interaction
    means = [_mean_factor(metrics[name]) for name in _KEY_MEANS if name in metrics]
    factor = max(_p95_factor(latency), *means)
    if math.isinf(factor):
        return None
    return measured if factor <= 1 else _round_up(measured * factor)


def _mean_factor(distribution: Distribution) -> float:
    """Return how many times the sample must be had for the mean to be stable.

    An interval narrows with the square root of the sample: a width divided by r takes r^2 as much.
    """
    if distribution.stable.mean:
        return 0.0
    return _factor(distribution.mean, distribution.mean_ci95, MEAN_TOLERANCE)


def _p95_factor(distribution: Distribution) -> float:
    if distribution.p95_ci95 is None:
        # Values of one session being alike, at least 72; more cannot be told.
        return max(1.01, _FEWEST_FOR_P95 / distribution.count)
    if distribution.stable.p95:
        return 0.0
    return _factor(distribution.p95, distribution.p95_ci95, P95_TOLERANCE)


def _factor(center: float | None, interval: tuple[float, float] | None, tolerance: float) -> float:
    if interval is None or not center:
        return math.inf
    return ((interval[1] - interval[0]) / 2 / (tolerance * abs(center))) ** 2


def _round_up(number: float) -> int:
    """Round up to two digits: it is an estimate."""
    step: int = 10 ** max(0, math.floor(math.log10(number)) - _ROUND_TO_DIGITS + 1)
    return math.ceil(number / step) * step
