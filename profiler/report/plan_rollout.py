"""The rollout of a plan: stages with what leads to them, and all thresholds that are watched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from profiler.report.plan_blocks import Items, Part, Row, Table, Words, part
from profiler.report.plan_words import money, nothing, number, stated
from profiler.report.quantities import NOTHING, printable

if TYPE_CHECKING:
    from profiler.planner.plan import Plan
    from profiler.planner.rollout_plan import RolloutPlan, StageCost, StageForecast, StagePlan
    from profiler.planner.triggers import Trigger

_WIDEST = 300


def rollout(plan: Plan) -> list[Part]:
    """Return the stages, what each changes, those left out, and every threshold of the plan."""
    found = plan.rollout
    watched = part("What is watched", _WATCHED, _triggers(plan), Items(_unwatched(plan)), level=3)
    if found is None:
        return [watched]
    return [
        part("Rollout", Words(_growth(found)), _stages(found), Items(_notes(found))),
        *(_stage(stage) for stage in found.stages),
        part("Stages left out", Items(_left_out(found)), level=3),
        watched,
    ]


_WATCHED = Words(
    "Every threshold once: alerts, panels and stages take it from here. Queue depth is what waits, "
    "never what is being worked on."
)


def _growth(found: RolloutPlan) -> str:
    if found.growth_per_month is None:
        return f"Launch on {found.start}. {found.notes[0] if found.notes else ''}".strip()
    low, likely, high = found.growth_per_month
    grows = stated(likely) if low == high else f"{stated(likely)} ({stated(low)} to {stated(high)})"
    return f"Launch on {found.start}; users grow by {grows} a month."


def _notes(found: RolloutPlan) -> tuple[str, ...]:
    return () if found.growth_per_month is None else found.notes


def _stages(found: RolloutPlan) -> Table:
    header = (
        *("stage", "forecast", "begin by", "workers", "users it carries", "what binds"),
        *("from users", "cost of a month"),
    )
    rows = tuple(
        Row(
            f"{stage.number} {printable(stage.name)}" + (" (start)" if stage.starts_here else ""),
            (
                "launch" if stage.forecast is None else _dates(stage.forecast),
                NOTHING if stage.forecast is None else stage.forecast.start_by or NOTHING,
                _from_to(f"{stage.workers[0]:,}", f"{stage.workers[1]:,}"),
                _carried(stage),
                NOTHING if stage.capacity is None else printable(stage.capacity.binds),
                number(stage.cost_at_begin.users),
                _from_to(money(stage.cost_at_begin.total), money(stage.cost_at_end.total)),
            ),
        )
        for stage in found.stages
    )
    return Table(header, rows, of_text=frozenset({1, 2, 5}))


def _carried(stage: StagePlan) -> str:
    return nothing("not known") if stage.capacity is None else f"{stage.capacity.users:,}"


def _from_to(first: str, last: str) -> str:
    return first if first == last else f"{first} to {last}"


def _dates(found: StageForecast) -> str:
    likely = found.likely if found.likely is not None else nothing("no date")
    if found.early is None and found.late is None:
        return likely
    return f"{likely} ({found.early or 'open'} to {found.late or 'open'})"


def _stage(stage: StagePlan) -> Part:
    trigger, forecast = stage.trigger, stage.forecast
    lines = []
    if trigger is not None and forecast is not None:
        title = printable(trigger.title, _WIDEST)
        lines.append(f"trigger: {title}; over {trigger.window}, for {trigger.hold}")
        lines.append(
            f"fires at {number(forecast.users)} users, "
            f"{number(forecast.interactions_per_minute)} interactions/min"
            + "".join(
                f"; {printable(way)}: "
                + (nothing("not within the demand") if users is None else number(users))
                for way, users in forecast.users_by_enforcement.items()
            )
        )
    lines += [f"changes: {printable(change, _WIDEST)}" for change in stage.changes]
    lines.append(_capacity(stage))
    lines += [f"costs {_bill(cost)}" for cost in _costs(stage)]
    lines.append(f"lead time: {stage.lead_time_days} days")
    if stage.way_back is not None:
        lines.append(f"way back: {printable(stage.way_back, _WIDEST)}")
    notes = [*stage.notes, *([forecast.note] if forecast is not None and forecast.note else [])]
    lines += [f"note: {printable(note, _WIDEST)}" for note in notes]
    return part(f"Stage {stage.number}: {printable(stage.name)}", Items(tuple(lines)), level=3)


def _capacity(stage: StagePlan) -> str:
    found = stage.capacity
    if found is None:
        return f"carries: {nothing('nothing that is known binds')}"
    when = "" if found.reached_on is None else f", reached on {found.reached_on}"
    return (
        f"carries {found.users:,} users, {number(found.interactions_per_minute)} interactions/min: "
        f"{printable(found.binds)}{when}"
    )


def _costs(stage: StagePlan) -> list[StageCost]:
    begin, end = stage.cost_at_begin, stage.cost_at_end
    return [begin] if begin == end else [begin, end]


def _bill(cost: StageCost) -> str:
    lines = ", ".join(f"{printable(name)} {money(usd)}" for name, usd in cost.lines.items())
    note = "" if cost.note is None else f" ({printable(cost.note)})"
    return (
        f"{money(cost.total)} a month at {number(cost.users)} users: API {money(cost.api)}, "
        f"infrastructure {money(cost.infrastructure)} ({lines}), operations "
        f"{money(cost.operations)}{note}"
    )


def _left_out(found: RolloutPlan) -> tuple[str, ...]:
    return tuple(
        f"{stage.number} {printable(stage.name)}: {printable(stage.reason, _WIDEST)}"
        for stage in found.left_out
    )


def condition(trigger: Trigger) -> str:
    """Write a trigger's condition with its unit: `agent_queue_depth > 25`."""
    units = {"s": " s", "tokens": " tokens", "usd": " USD"}
    value = stated(trigger.threshold) if trigger.unit == "share" else f"{trigger.threshold:.4g}"
    return f"{trigger.metric} {trigger.comparison} {value}{units.get(trigger.unit, '')}"


def _triggers(plan: Plan) -> Table:
    rows = tuple(
        Row(
            printable(each.title, _WIDEST),
            (
                condition(each),
                each.window,
                each.hold,
                each.severity,
                printable(each.source, _WIDEST),
            ),
        )
        for each in plan.triggers
    )
    header = ("what it says", "condition", "over", "for", "severity", "threshold from")
    return Table(header, rows, of_text=frozenset(range(1, 6)))


def _unwatched(plan: Plan) -> tuple[str, ...]:
    return tuple(f"not watched: {printable(text, _WIDEST)}" for text in plan.unwatched)
