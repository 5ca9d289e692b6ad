"""Every threshold of a plan, once: what alerts watch, panels show and the rollout waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from profiler.planner import metric_names as names
from profiler.planner import promql
from profiler.planner.baselines import DEARER, HOLD, OF_MEAN, WINDOW, Unwatched, baselines
from profiler.planner.service_levels import service_levels
from profiler.planner.triggers import Trigger
from profiler.planner.workers import DEEP

if TYPE_CHECKING:
    from collections.abc import Iterable

    from profiler.planner.demand import Demand
    from profiler.planner.measured import Measured
    from profiler.planner.plan import Scale

_MINUTES_PER_MONTH = 30 * 24 * 60


def build_triggers(
    measured: Measured, demand: Demand, launch: Scale, stages: Iterable[Trigger] = ()
) -> tuple[Trigger, ...]:
    """Return the triggers of stages, of the service level and of the profile's baselines.

    `launch` is the plan's first scale. Names are unique.
    """
    of_stages = tuple(stages)
    average = launch.demand.interactions_per_month / _MINUTES_PER_MONTH
    found = [
        *of_stages,
        *_queue(of_stages),
        *service_levels(
            demand,
            llm_calls=launch.demand.llm_calls_per_interaction,
            answer_p95_s=launch.workers.answer_latency_p95_s.value,
        ),
        *(each for each in baselines(measured, average) if isinstance(each, Trigger)),
        *_cost(launch),
    ]
    return tuple(_unique(found))


def unwatched(measured: Measured) -> tuple[str, ...]:
    """Return which metrics of the profile have no trigger, and why."""
    return tuple(str(each) for each in baselines(measured) if isinstance(each, Unwatched))


def _queue(stages: Iterable[Trigger]) -> Iterable[Trigger]:
    """Yield a trigger on the queue where no stage waits for one: workers may scale too late."""
    if any(each.metric == names.QUEUE_DEPTH for each in stages):
        return
    yield Trigger(
        id="queue_depth_per_worker",
        title=f"more interactions wait than {DEEP} x workers",
        metric=names.QUEUE_DEPTH,
        expression=promql.depth_per_worker("10m"),
        comparison=">",
        threshold=float(DEEP),
        unit="ratio",
        window="10m",
        hold=HOLD,
        severity="ticket",
        source=f"the plan calls a queue deep from {DEEP} x workers on",
    )


def _cost(launch: Scale) -> Iterable[Trigger]:
    each = launch.cost.api / launch.demand.interactions_per_month
    if each == 0:
        return
    yield Trigger(
        id="baseline_api_cost_per_interaction",
        title="an interaction costs more",
        metric=names.LLM_COST,
        expression=promql.ratio(names.LLM_COST, names.INTERACTIONS, WINDOW),
        comparison=">",
        threshold=DEARER * each,
        unit="usd",
        window=WINDOW,
        hold=HOLD,
        severity="ticket",
        source=f"25 % above the plan's API cost of an interaction, ${each:.4g}",
        baseline=each,
        samples=promql.counted(names.INTERACTIONS, WINDOW),
        least_samples=OF_MEAN,
    )


def _unique(found: Iterable[Trigger]) -> Iterable[Trigger]:
    """Tell names apart by a number that are the same in letters and digits."""
    seen: dict[str, int] = {}
    for each in found:
        seen[each.id] = count = seen.get(each.id, 0) + 1
        yield each if count == 1 else each.model_copy(update={"id": f"{each.id}_{count}"})
