"""The stages of a plan on a time line: those for which a date is forecast."""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from typing import TYPE_CHECKING

from profiler.report.charts.schedule import Stage, schedule
from profiler.report.page.model import Chart
from profiler.report.plan_words import money
from profiler.report.quantities import printable

if TYPE_CHECKING:
    from profiler.planner.plan import Plan
    from profiler.planner.rollout_plan import RolloutPlan, StagePlan

_DAYS_PER_MONTH = 365.25 / 12
_ROOM = 1.15
"""A last stage whose end is not known is drawn a seventh of the time line beyond its begin."""


def stage_chart(plan: Plan) -> tuple[Chart, ...]:
    """Return from when to when each stage lasts, by the likely growth; nothing without a date."""
    found = plan.rollout
    if found is None or found.growth_per_month is None:
        return ()
    dated = [(begin, each) for each in found.stages if (begin := _begin(found, each)) is not None]
    if not dated:
        return ()
    begins = [begin for begin, _ in dated]
    last = max(_last(found, dated[-1][1]) or 0.0, begins[-1] * _ROOM, begins[-1] + 1)
    stages = [
        _stage(found, each, begin, end)
        for (begin, each), (_, end) in zip(dated, pairwise([*begins, last]), strict=True)
    ]
    title = "Stages on a time line"
    says = "; ".join(f"{each.name} from month {each.start_month:.3g} on" for each in stages)
    svg = schedule(stages, title=title, says=says)
    return (Chart(title, svg, note=_note(found, len(dated))),)


def _note(found: RolloutPlan, dated: int) -> str:
    note = (
        f"Months from the launch on {found.start}, by the likely growth; thin lines: when a stage "
        "may begin, in 90 % of the draws. At the right, the cost of a month at its begin and end."
    )
    left = len(found.stages) - dated
    return f"{note} No date can be forecast of {left} more." if left else note


def _stage(found: RolloutPlan, each: StagePlan, begin: float, end: float) -> Stage:
    forecast, may_start = each.forecast, None
    if forecast is not None and (forecast.early is not None or forecast.late is not None):
        early, late = _month(found, forecast.early), _month(found, forecast.late)
        # An open end goes as far as the stage is drawn.
        may_start = (begin if early is None else early, end if late is None else late)
    first, last = each.cost_at_begin.total, each.cost_at_end.total
    words = money(first) if first == last else f"{money(first)} to {money(last)}"
    return Stage(f"{each.number} {printable(each.name, 30)}", begin, end, words, may_start)


def _begin(found: RolloutPlan, each: StagePlan) -> float | None:
    if each.forecast is None:
        return 0.0
    return _month(found, each.forecast.likely)


def _last(found: RolloutPlan, each: StagePlan) -> float | None:
    return None if each.capacity is None else _month(found, each.capacity.reached_on)


def _month(found: RolloutPlan, day: str | None) -> float | None:
    """Return how many months after the launch a day is, not below 0."""
    if day is None:
        return None
    days = (date.fromisoformat(day) - date.fromisoformat(found.start)).days
    return max(0.0, days / _DAYS_PER_MONTH)
