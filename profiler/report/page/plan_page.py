"""A plan as a page: what binds and what it costs first, then charts, then its whole report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from profiler.report.page.model import Charts, KeyFigure, Page, Section
from profiler.report.page.plan_charts import cost_chart, limit_chart, swing_chart
from profiler.report.page.stage_chart import stage_chart
from profiler.report.plan_blocks import Sums
from profiler.report.plan_markdown import plan_parts
from profiler.report.plan_verdict import doubts, verdict_lines
from profiler.report.plan_words import factor, money, number, range_of, seconds, utilization, whole
from profiler.report.quantities import NOTHING, plural, printable, quantity

if TYPE_CHECKING:
    from profiler.planner.plan import Plan, Scale
    from profiler.report.page.model import Tone
    from profiler.report.plan_blocks import Part


def plan_page(plan: Plan) -> Page:
    """Return the page of a plan."""
    launch = plan.scales[0]
    charts = (
        *limit_chart(plan),
        *cost_chart(plan),
        *stage_chart(plan),
        *swing_chart(plan),
    )
    demand = f"{number(launch.demand.users)} users at the peak of {factor(launch.factor)}"
    return Page(
        title=f"Plan {printable(plan.name)}",
        subtitle=f"{demand} · {plural(plan.inputs.profile.interactions, 'interaction')} measured",
        verdict=" ".join(verdict_lines(plan, launch)),
        tone=_tone(launch),
        doubts=tuple(doubts(plan)),
        figures=_figures(launch),
        sections=(
            Section("At a glance", (Charts(charts),)),
            *map(_section, plan_parts(plan, None)),
        ),
        footer=f"Made by agent-profiler {printable(plan.tool_version)} from profile "
        f"{printable(plan.inputs.profile.id, 120)}. (a to b): 90 % of the draws.",
    )


def _tone(launch: Scale) -> Tone:
    binding = launch.binding
    if (binding is not None and binding.utilization > 1) or not launch.workers.meets_targets:
        return "bad"
    if binding is not None and launch.demand.users > binding.max_users_within_headroom:
        return "warn"
    return "plain" if binding is None else "good"


def _figures(launch: Scale) -> tuple[KeyFigure, ...]:
    cost, binding = launch.cost, launch.binding
    fits = NOTHING if binding is None else f"{binding.max_users:,}"
    used = (
        "no limit is stated"
        if binding is None
        else f"{utilization(binding.utilization)} of it used"
    )
    return (
        KeyFigure("total per month", money(cost.total), _range(range_of(cost, "total", money))),
        KeyFigure("per interaction", money(cost.per_interaction), f"API {money(cost.api)} a month"),
        KeyFigure("LLM calls/min at the peak", number(launch.demand.llm_calls_per_minute)),
        KeyFigure("users that fit", fits, used),
        KeyFigure("workers", f"{launch.workers.count:,}", _workers(launch)),
        KeyFigure(
            "answer p95",
            quantity(launch.workers.answer_latency_p95_s.value, "s"),
            _range(range_of(launch.workers, "answer_latency_p95_s", seconds)),
        ),
    )


def _workers(launch: Scale) -> str:
    found = launch.workers
    slots = f"{plural(found.slots, 'slot')} each" if found.slots > 1 else ""
    missed = "" if found.meets_targets else "target missed"
    return ", ".join(filter(None, (_range(range_of(found, "count", whole)), slots, missed)))


def _range(words: str) -> str:
    """Take a range out of its brackets."""
    return words.strip(" ()")


def _section(part: Part) -> Section:
    """Return a part of the report; bars of characters are left out, where there are charts."""
    is_drawn = part.title == "What moves the cost"
    blocks = [block for block in part.blocks if not (is_drawn and isinstance(block, Sums))]
    return Section(part.title, tuple(blocks), part.level)
