"""What a model's limits reject goes to its fallback: a load on that one's limits."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from profiler.planner.arithmetic import ModelLoad
from profiler.planner.limit_fit import fits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from profiler.planner.arithmetic import PeakLoad
    from profiler.planner.demand import Demand
    from profiler.planner.inputs import Numbers


def with_fallbacks(
    demand: Demand,
    numbers: Numbers,
    peak: PeakLoad,
    *,
    providers: Mapping[str, str | None],
    latency_s: Mapping[str, float],
) -> PeakLoad:
    """Return the peak with each fallback's load raised by what it takes over.

    Of a model whose fullest limit is used to u > 1, the share 1 - 1/u of the calls is taken over: a
    fluid, without chance. Its own load stays as it is: all its calls are still asked of it first.
    Fallbacks of fallbacks follow.
    """
    waiting = [name for name, model in demand.models.items() if model.fallback is not None]
    targets = {demand.models[name].fallback for name in waiting}
    # A model comes after those that fall back on it; there are no circles.
    ordered: list[str] = []
    while waiting:
        ready = [name for name in waiting if name not in targets or _is_fed(name, ordered, demand)]
        ordered += ready
        waiting = [name for name in waiting if name not in ready]
    for name in ordered:
        found = fits(demand, numbers, peak, providers=providers, latency_s=latency_s)
        used = max((fit.utilization for fit in found if fit.model == name), default=0.0)
        fallback = demand.models[name].fallback
        if used > 1 and fallback is not None:
            peak = _taken_over(peak, name, fallback, 1 - 1 / used)
    return peak


def _is_fed(name: str, done: list[str], demand: Demand) -> bool:
    """Say whether all that fall back on a model have been dealt with."""
    sources = [other for other, model in demand.models.items() if model.fallback == name]
    return all(source in done for source in sources)


def _taken_over(peak: PeakLoad, source: str, target: str, share: float) -> PeakLoad:
    rejected = peak.models[source]
    before = peak.models.get(target)
    parts = {
        name: (0.0 if before is None else getattr(before, name)) + getattr(rejected, name) * share
        for name in (
            "calls_per_minute",
            "attempts_per_minute",
            "input_tokens_per_minute",
            "cached_input_tokens_per_minute",
            "output_tokens_per_minute",
        )
    }
    return replace(peak, models={**peak.models, target: ModelLoad(**parts)})
