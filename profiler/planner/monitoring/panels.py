"""What is shown and recorded: each value with its expression, its baseline and its trigger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from profiler.planner import metric_names as names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from profiler.planner.plan import LimitAtScale, Plan, Scale
    from profiler.planner.triggers import Trigger

Row = Literal["rollout", "users", "llm", "tools", "state", "queue", "cost"]

ROWS: dict[Row, str] = {
    "rollout": "Rollout: what the next stage waits for",
    "users": "Users",
    "llm": "LLM",
    "tools": "Tools",
    "state": "State",
    "queue": "Queue and workers",
    "cost": "Cost",
}
"""In the order of the dashboard."""

_ROW_OF: dict[str, Row] = {
    names.INTERACTION_DURATION: "users",
    names.INTERACTIONS: "users",
    names.TIME_TO_FIRST_TOKEN: "users",
    names.ACTIVE_SESSIONS: "users",
    names.LLM_DURATION: "llm",
    names.LLM_TOKENS: "llm",
    names.LLM_ATTEMPTS: "llm",
    names.LLM_RATE_LIMITED: "llm",
    names.INTERACTION_LLM_CALLS: "llm",
    names.INTERACTION_TOKENS: "llm",
    names.LLM_COST: "cost",
    names.TOOL_DURATION: "tools",
    names.TOOL_ERRORS: "tools",
    names.STATE_OPERATIONS: "state",
    names.QUEUE_DEPTH: "queue",
    names.QUEUE_OLDEST: "queue",
    names.WORKERS: "queue",
    names.SLOTS_BUSY: "queue",
}
_HOURS_PER_MINUTE = 1 / 60
_BY_MODEL = "sum by (gen_ai_request_model)"
_PER_MINUTE_OF_LIMIT = {
    "requests_per_minute": (names.LLM_ATTEMPTS, ""),
    "input_tokens_per_minute": (f"{names.LLM_TOKENS}_sum", 'gen_ai_token_type="input"'),
    "output_tokens_per_minute": (f"{names.LLM_TOKENS}_sum", 'gen_ai_token_type="output"'),
    "tokens_per_minute": (f"{names.LLM_TOKENS}_sum", ""),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One value over time. `expression` is PromQL, recorded as `record`; `legend` names its series.

    `baseline` is in `unit`, and `baseline_says` where it is from. `trigger` is what watches it;
    `bound` a line of its own where nothing does, such as a provider's limit.
    """

    id: str
    row: Row
    title: str
    unit: str
    expression: str
    legend: str
    baseline: float | None
    baseline_says: str
    trigger: Trigger | None = None
    bound: float | None = None
    bound_says: str = ""

    @property
    def record(self) -> str:
        """Return the name of the series that the recording rule makes of the expression."""
        return record_name(self.id)


def record_name(identifier: str) -> str:
    """Return the recorded series of a panel or trigger."""
    return f"agent_profiler:{identifier}"


def panels(plan: Plan) -> list[Panel]:
    """Return all that the dashboard shows below its first line, by row, in the order shown."""
    launch = plan.scales[0]
    found = [*(_watched(trigger, launch) for trigger in plan.triggers), *_planned(launch)]
    order = list(ROWS)
    return sorted(found, key=lambda panel: order.index(panel.row))


def row_of(trigger: Trigger) -> Row:
    """Return where a trigger is shown: stages together, all else by its metric."""
    return "rollout" if trigger.stage is not None else _ROW_OF[trigger.metric]


def _watched(trigger: Trigger, launch: Scale) -> Panel:
    normal, says = _normal(trigger, launch)
    return Panel(
        id=trigger.id,
        row=row_of(trigger),
        title=trigger.title[:1].upper() + trigger.title[1:],
        unit=trigger.unit,
        expression=trigger.expression,
        legend="now",
        baseline=normal,
        baseline_says=says,
        trigger=trigger,
    )


def _normal(trigger: Trigger, launch: Scale) -> tuple[float | None, str]:
    """Return what a trigger's value normally is, where it is known, and who says so."""
    if trigger.baseline is not None:
        return trigger.baseline, "baseline"
    if trigger.metric == names.QUEUE_OLDEST:
        return launch.workers.wait_p95_s, "planned p95 of the wait"
    if trigger.metric == names.QUEUE_DEPTH:
        return launch.queue.depth_p95.value, "planned p95, peak at launch"
    if trigger.unit == "share":
        return 0.0, "nothing goes wrong"
    return None, ""


def _planned(launch: Scale) -> Iterator[Panel]:
    """Yield what no trigger watches, beside what the plan expects of it at the launch's peak."""
    yield from _of_users(launch)
    yield from _of_models(launch)
    yield from _of_state(launch)
    yield from _of_the_queue(launch)
    peak_usd = launch.cost.api / launch.demand.interactions_per_month
    yield Panel(
        id="llm_cost_per_hour",
        row="cost",
        title="API cost per hour, by model",
        unit="usd",
        expression=f"{_BY_MODEL} (increase({names.LLM_COST}[1h]))",
        legend="{{gen_ai_request_model}}",
        baseline=peak_usd * launch.demand.interactions_per_minute / _HOURS_PER_MINUTE,
        baseline_says="planned, peak at launch",
    )


def _of_users(launch: Scale) -> Iterator[Panel]:
    yield Panel(
        id="interactions_per_minute",
        row="users",
        title="Interactions per minute, by outcome",
        unit="count",
        expression=f"60 * sum by (outcome) (rate({names.INTERACTIONS}[5m]))",
        legend="{{outcome}}",
        baseline=launch.demand.interactions_per_minute,
        baseline_says="planned, peak at launch",
    )
    yield Panel(
        id="active_sessions",
        row="users",
        title="Sessions of the last half hour",
        unit="count",
        expression=f"sum({names.ACTIVE_SESSIONS})",
        legend="sessions",
        baseline=launch.state.hot_sessions,
        baseline_says="planned, peak at launch",
    )
    yield Panel(
        id="answer_latency_p50",
        row="users",
        title="Half of the answers are quicker than this",
        unit="s",
        expression=(
            f"histogram_quantile(0.5, sum by (le) (rate({names.INTERACTION_DURATION}_bucket[10m])))"
        ),
        legend="p50",
        baseline=launch.workers.answer_latency_p50_s.value,
        baseline_says="planned, peak at launch",
    )


def _of_models(launch: Scale) -> Iterator[Panel]:
    limited, all_of_them = names.LLM_RATE_LIMITED, names.LLM_ATTEMPTS
    attempts = f"{_BY_MODEL} (rate({all_of_them}[5m]))"
    rejected = [each.rejected_attempts.value for each in launch.retries]
    yield Panel(
        id="rate_limited_share",
        row="llm",
        title="Share of attempts that a limit rejects, by model",
        unit="share",
        expression=f"({_BY_MODEL} (rate({limited}[5m])) or 0 * {attempts}) / {attempts}",
        legend="{{gen_ai_request_model}}",
        baseline=max(rejected, default=None),
        baseline_says="planned, peak at launch",
    )
    for limit in launch.limits:
        if limit.limit in _PER_MINUTE_OF_LIMIT:
            yield _of_limit(limit)


def _of_limit(limit: LimitAtScale) -> Panel:
    counter, matcher = _PER_MINUTE_OF_LIMIT[limit.limit]
    model = limit.model.replace("\\", "\\\\").replace('"', '\\"')
    selected = ",".join(filter(None, (f'gen_ai_request_model="{model}"', matcher)))
    what = limit.limit.replace("_", " ")
    return Panel(
        id=identifier(f"{limit.limit} of {limit.model}"),
        row="llm",
        title=f"{what[:1].upper()}{what[1:]} of {limit.model}",
        unit="count",
        expression=f"60 * sum(rate({counter}{{{selected}}}[1m]))",
        legend=limit.model,
        baseline=limit.demand,
        baseline_says="planned, peak at launch",
        bound=limit.allowed,
        bound_says="the provider's limit",
    )


def _of_state(launch: Scale) -> Iterator[Panel]:
    for operation, planned in (
        ("read", launch.state.reads_per_s),
        ("write", launch.state.writes_per_s),
    ):
        if planned is None:
            continue
        yield Panel(
            id=f"state_{operation}s_per_second",
            row="state",
            title=f"State {operation}s per second, by store",
            unit="count",
            expression=(
                f'sum by (store) (rate({names.STATE_OPERATIONS}{{operation="{operation}"}}[5m]))'
            ),
            legend="{{store}}",
            baseline=planned,
            baseline_says="planned, peak at launch",
        )


def _of_the_queue(launch: Scale) -> Iterator[Panel]:
    workers, queue = launch.workers, launch.queue
    yield Panel(
        id="queue_depth",
        row="queue",
        title="Interactions that wait for a worker",
        unit="count",
        expression=f"sum({names.QUEUE_DEPTH})",
        legend="waiting",
        baseline=queue.depth_p95.value,
        baseline_says="planned p95, peak at launch",
        bound=float(queue.threshold),
        bound_says="5 x workers of the plan",
    )
    yield Panel(
        id="queue_oldest_age",
        row="queue",
        title="How long the oldest has waited",
        unit="s",
        expression=f"max({names.QUEUE_OLDEST})",
        legend="oldest",
        baseline=workers.wait_p95_s,
        baseline_says="planned p95 of the wait, peak at launch",
    )
    yield Panel(
        id="workers",
        row="queue",
        title="Workers",
        unit="count",
        expression=f"sum({names.WORKERS})",
        legend="workers",
        baseline=float(workers.count),
        baseline_says="planned, peak at launch",
    )
    yield Panel(
        id="slots_busy_share",
        row="queue",
        title="Share of the workers' slots in use",
        unit="share",
        expression=f"sum({names.SLOTS_BUSY}) / (sum({names.WORKERS}) * {workers.slots})",
        legend="in use",
        baseline=workers.utilization,
        baseline_says="planned, peak at launch",
    )


def identifier(text: str) -> str:
    """Return a text as a name for series and files: small letters, digits and `_`."""
    letters = "".join(c if c.isascii() and c.isalnum() else "_" for c in text.lower())
    return "_".join(filter(None, letters.split("_")))
