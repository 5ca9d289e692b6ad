"""The trigger of a stage as production watches it: metric, PromQL, one threshold."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from profiler.planner import metric_names as names
from profiler.planner import promql
from profiler.planner.triggers import Trigger

if TYPE_CHECKING:
    from profiler.planner.stages import Stage, StageTrigger

_OF_P95 = 60
_RULE_OF_THREE = 3
_DAY_S, _HOUR_S, _MINUTE_S = 86_400, 3600, 60


def stage_trigger(
    number: int, stage: Stage, workers: int | None, at_launch: float | None
) -> Trigger:
    """Return the trigger of a stage, which has one, while there are so many workers.

    `workers` None: their number changes, and depth is watched per worker. `at_launch` is what the
    plan expects the metric to be then, per worker for a queue.
    """
    asked = stage.trigger
    assert asked is not None  # noqa: S101 - the caller asks of stages that have one
    by_count = asked.metric == "queue_depth_per_worker" and workers is not None
    each = workers if by_count and workers is not None else 1
    title, metric, expression, unit = _watched(asked, workers)
    samples, least = _samples(asked)
    return Trigger(
        id=f"stage_{number}_{asked.metric}",
        title=f"stage {number}, {stage.name}: {title}",
        metric=metric,
        expression=expression,
        comparison=">",
        threshold=asked.above * each,
        unit=unit,
        window=prometheus_duration(asked.window),
        hold=prometheus_duration(asked.hold),
        severity="ticket",
        stage=number,
        source=f"rollout.stages: {asked.metric} above {asked.above:g}"
        + (f", {each} workers" if by_count else ""),
        baseline=None if at_launch is None or math.isinf(at_launch) else at_launch * each,
        samples=samples,
        least_samples=least,
    )


def _watched(asked: StageTrigger, workers: int | None) -> tuple[str, str, str, str]:
    """Return title, metric, expression and unit."""
    window = prometheus_duration(asked.window)
    match asked.metric:
        case "queue_depth_per_worker" if workers is not None:
            title = f"more interactions wait than {asked.above:g} x {workers} workers"
            return title, names.QUEUE_DEPTH, promql.held(names.QUEUE_DEPTH, window), "count"
        case "queue_depth_per_worker":
            title = f"more interactions wait than {asked.above:g} x workers"
            return title, names.QUEUE_DEPTH, promql.depth_per_worker(window), "ratio"
        case "rate_limited_share":
            title = f"a model's limits are hit more than {asked.above * 100:g} % of the time"
            refused, sent = names.LLM_RATE_LIMITED, names.LLM_ATTEMPTS
            by_model = promql.largest_ratio(refused, sent, window, "gen_ai_request_model")
            return title, refused, by_model, "share"
        case "answer_latency_p95":
            title = f"5 of 100 answers take longer than {asked.above:g} s"
            metric = names.INTERACTION_DURATION
            return title, metric, promql.percentile(metric, window, 0.95), "s"
        case "active_sessions":
            title = f"more than {asked.above:g} sessions are active"
            return title, names.ACTIVE_SESSIONS, promql.held(names.ACTIVE_SESSIONS, window), "count"


def _samples(asked: StageTrigger) -> tuple[str | None, int | None]:
    """Return of how many observations the value is made, and how many there have to be."""
    window = prometheus_duration(asked.window)
    if asked.metric == "rate_limited_share":
        # with fewer, a true share this large may show nothing at all (rule of three)
        return promql.counted(names.LLM_ATTEMPTS, window), math.ceil(_RULE_OF_THREE / asked.above)
    if asked.metric == "answer_latency_p95":
        return promql.observed(names.INTERACTION_DURATION, window), _OF_P95
    return None, None


def prometheus_duration(seconds: float) -> str:
    """Write whole seconds as Prometheus reads them, in the largest unit that fits: `90s`, `10m`."""
    whole = round(seconds)
    for size, unit in ((_DAY_S, "d"), (_HOUR_S, "h"), (_MINUTE_S, "m")):
        if whole % size == 0:
            return f"{whole // size}{unit}"
    return f"{whole}s"
