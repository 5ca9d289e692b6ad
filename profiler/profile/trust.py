"""Whether what was measured is the agent, or the harness that measured it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from profiler.profile.model import DispatchDelay, LoopLag, Trust
from profiler.profile.sample import SCALES, sample_of_distribution

if TYPE_CHECKING:
    from collections.abc import Iterable

    from profiler.measure.records import DriverSample
    from profiler.profile.distribution import Distribution

FEWEST_SUCCESSES = 30
"""Below it no number deserves an interpretation, whatever its interval."""

DISPATCH_DELAY_LIMIT_S = 0.005
DISPATCH_DELAY_SHARE = 0.01
"""Sending later than this, or this share of the median latency, distorts what is measured."""

LAG_LIMIT_S = 0.05
FEWEST_SAMPLES = 5
"""Seconds that must have been watched before lag or CPU can condemn a run: one may be a hiccup."""

SATURATED_CPU_SHARE = 0.95

_NS_PER_S = 1_000_000_000


def loop_lag_of(samples: Iterable[DriverSample]) -> LoopLag:
    """Sum up how the harness watched itself, over the whole run."""
    seen = list(samples)
    pauses = [s.gc_pause_max_ns for s in seen if s.gc_pause_max_ns is not None]
    return LoopLag(
        samples=len(seen),
        max_s=max(s.loop_lag_max_ns for s in seen) / _NS_PER_S if seen else None,
        lagging=sum(s.loop_lag_max_ns > LAG_LIMIT_S * _NS_PER_S for s in seen),
        saturated=sum(s.cpu_share >= SATURATED_CPU_SHARE for s in seen),
        max_cpu_share=max(float(s.cpu_share) for s in seen) if seen else None,
        gc_max_s=max(pauses) / _NS_PER_S if pauses else None,
    )


def add_loop_lags(lags: Iterable[LoopLag]) -> LoopLag:
    """Merge: counts add, maxima stay maxima."""
    every = list(lags)
    worst = [lag.max_s for lag in every if lag.max_s is not None]
    busiest = [lag.max_cpu_share for lag in every if lag.max_cpu_share is not None]
    return LoopLag(
        samples=sum(lag.samples for lag in every),
        max_s=max(worst, default=None),
        lagging=sum(lag.lagging for lag in every),
        saturated=sum(lag.saturated for lag in every),
        max_cpu_share=max(busiest, default=None),
        gc_max_s=max((lag.gc_max_s for lag in every if lag.gc_max_s is not None), default=None),
    )


def trust_of(succeeded: int, interaction: dict[str, Distribution], lag: LoopLag) -> Trust:
    """Judge a run by its number of successes, its dispatch delay and its harness's own load.

    `driver_limited` outweighs `inconclusive`: more interactions would not help. Whether the numbers
    are precise enough is another question, answered by each distribution's `stable`.
    """
    delay = _dispatch_delay(interaction.get("dispatch_delay"))
    limited = _driver_limits(delay, interaction.get("latency"), lag)
    reasons = list(limited)
    if succeeded < FEWEST_SUCCESSES:
        reasons.append(f"only {succeeded} succeeded, at least {FEWEST_SUCCESSES} are needed")
    return Trust(
        verdict="driver_limited" if limited else "inconclusive" if reasons else "trusted",
        reasons=tuple(reasons),
        dispatch_delay=delay,
        loop_lag=lag,
    )


def _dispatch_delay(distribution: Distribution | None) -> DispatchDelay | None:
    """Take the percentiles from the histogram: of this run, whatever the sample's size."""
    if distribution is None:
        return None
    sample = sample_of_distribution(distribution)
    median, p99 = (sample.histogram.percentile(percent) for percent in (50, 99))
    if median is None or p99 is None:
        return None
    per_unit = SCALES[sample.unit].per_unit
    return DispatchDelay(
        median_s=min(median, sample.largest) / per_unit,
        p99_s=min(p99, sample.largest) / per_unit,
        max_s=distribution.max,
    )


def _driver_limits(
    delay: DispatchDelay | None, latency: Distribution | None, lag: LoopLag
) -> list[str]:
    reasons: list[str] = []
    median_s = 0.0 if latency is None or latency.p50 is None else latency.p50
    limit_s = max(DISPATCH_DELAY_LIMIT_S, DISPATCH_DELAY_SHARE * median_s)
    if delay is not None and delay.p99_s > limit_s:
        reasons.append(
            f"interactions were sent late: p99 {delay.p99_s * 1000:.1f} ms "
            f"after their intended start, {limit_s * 1000:.1f} ms is the most"
        )
    if lag.samples < FEWEST_SAMPLES:
        return reasons
    if 2 * lag.saturated > lag.samples:
        reasons.append(f"the harness's CPU was full in {lag.saturated} of {lag.samples} seconds")
    if 2 * lag.lagging > lag.samples:
        reasons.append(
            f"the harness's event loop stood still for over {LAG_LIMIT_S * 1000:.0f} ms "
            f"in {lag.lagging} of {lag.samples} seconds"
        )
    return reasons
