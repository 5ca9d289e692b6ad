"""Charts of a plan: limits and costs by scale, and what moves the cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from profiler.report.charts.axis import SHARE, USD
from profiler.report.charts.bars import Bar, bars
from profiler.report.charts.columns import Column, columns
from profiler.report.charts.tornado import Swing, tornado
from profiler.report.page.model import Chart
from profiler.report.plan_words import factor, limit_unit, money, number, utilization
from profiler.report.quantities import printable

if TYPE_CHECKING:
    from profiler.planner.plan import LimitAtScale, Plan, Scale

_MOST_LIMITS = 4
_MOST_SWINGS = 12
_COSTS = ("API", "infrastructure", "operations")


def limit_chart(plan: Plan) -> tuple[Chart, ...]:
    """Return how full the fullest limits are at each scale, against their whole."""
    found = [
        Bar(
            f"{factor(scale.factor)} · {printable(limit.model, 20)} {limit_unit(limit.limit)}",
            (limit.utilization,),
            f"{number(limit.demand)} of {number(limit.allowed)} · {utilization(limit.utilization)}",
            limit.ranges90.get("utilization"),
        )
        for scale in plan.scales
        for limit in _fullest(scale)
    ]
    if not found:
        return ()
    title = "Demand at the peak against limits"
    says = ", ".join(f"{each.name} {each.words}" for each in found)
    svg = bars(found, ("used",), SHARE, title=title, says=says, reference=1.0)
    note = "The dashed line is the limit; thin lines are the ranges of 90 % of the draws."
    return (Chart(title, svg, note=note),)


def _fullest(scale: Scale) -> list[LimitAtScale]:
    return sorted(scale.limits, key=lambda limit: -limit.utilization)[:_MOST_LIMITS]


def cost_chart(plan: Plan) -> tuple[Chart, ...]:
    """Return a month's cost at each scale, by what is paid for."""
    found = [
        Column(factor(s.factor), (s.cost.api, s.cost.infrastructure, s.cost.operations))
        for s in plan.scales
    ]
    title = "Cost of a month"
    says = ", ".join(f"{factor(s.factor)} {money(s.cost.total)}" for s in plan.scales)
    svg = columns(found, _COSTS, USD, title=title, says=says, x_name="growth factor")
    return (Chart(title, svg, _COSTS, f"Totals: {says}."),)


def swing_chart(plan: Plan) -> tuple[Chart, ...]:
    """Return what each input does to the month's cost, the widest swings first."""
    if not plan.sensitivities:
        return ()
    launch = plan.scales[0]
    widest = plan.sensitivities[:_MOST_SWINGS]
    title = f"What moves the month's cost at {factor(launch.factor)}"
    swings = [Swing(printable(each.input), *each.cost_total) for each in widest]
    says = ", ".join(f"{s.name} {money(s.at_low)} to {money(s.at_high)}" for s in swings[:5])
    svg = tornado(swings, launch.cost.total, USD, title=title, says=says)
    note = f"The dashed line is the plan's own total, {money(launch.cost.total)}."
    return (Chart(title, svg, ("input at its low end", "at its high end"), note),)
