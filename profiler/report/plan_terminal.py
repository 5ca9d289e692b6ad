"""A plan on a terminal: what binds, the answers by scale, the sums of the launch, warnings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from profiler.report.plan_demand import demand_lines, limit_sum
from profiler.report.plan_sources import warning_lines
from profiler.report.plan_verdict import doubts, short_answers, verdict_lines
from profiler.report.plan_words import factor, limit_unit
from profiler.report.quantities import NOTHING, printable

if TYPE_CHECKING:
    from rich.console import RenderableType

    from profiler.planner.plan import LimitAtScale, Plan, Scale
    from profiler.report import plan_blocks

_MOST_WARNINGS = 5
_MOST_LIMITS = 4


def plan_report(plan: Plan) -> RenderableType:
    """Return the short form, for any rich console. No markup in names is interpreted."""
    launch = plan.scales[0]
    return Group(
        *(Text(text, style="bold red") for text in doubts(plan)),
        Text(f"Plan {printable(plan.name)}", style="bold"),
        *(Text(line) for scale in plan.scales for line in verdict_lines(plan, scale)),
        _table(short_answers(plan)),
        Text(f"At {factor(launch.factor)}", style="bold"),
        *(_indented(line) for line in demand_lines(plan, launch)),
        *(_indented(line) for line in _limits(plan, launch)),
        *_warnings(plan),
        Text(f"{NOTHING}: not known; plan.md says why, and has every number's range.", style="dim"),
    )


def _indented(line: str) -> Padding:
    return Padding(Text(line), (0, 0, 0, 2))


def _table(found: plan_blocks.Table) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    first, *others = found.header
    table.add_column(Text(first), overflow="fold")
    for name in others:
        table.add_column(Text(name), justify="right", overflow="fold")
    for row in found.rows:
        table.add_row(Text(row.label), *(Text(cell) for cell in row.cells))
    return table


def _limits(plan: Plan, scale: Scale) -> list[str]:
    """Return the sums of the fullest limits."""
    fullest = sorted(scale.limits, key=lambda limit: -limit.utilization)
    lines = [f"{_name(limit)}: {limit_sum(plan, limit)}" for limit in fullest[:_MOST_LIMITS]]
    left = len(fullest) - _MOST_LIMITS
    return [*lines, f"… {left} more in plan.md"] if left > 0 else lines


def _name(limit: LimitAtScale) -> str:
    return f"{printable(limit.model)} {limit_unit(printable(limit.limit))}"


def _warnings(plan: Plan) -> list[Text]:
    lines = warning_lines(plan)
    if not lines:
        return []
    shown = [f" - {line}" for line in lines[:_MOST_WARNINGS]]
    left = len(lines) - _MOST_WARNINGS
    shown += [f" … {left} more in plan.md"] if left > 0 else []
    return [Text("Warnings", style="bold"), *(Text(line, style="yellow") for line in shown)]
