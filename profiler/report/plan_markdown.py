"""A plan as Markdown (GitHub's dialect): what one reads before money is spent."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, assert_never

from profiler.report.markdown import bullets, escape
from profiler.report.plan_blocks import Items, Sums, Table, Words
from profiler.report.plan_capacity import queue, state, workers
from profiler.report.plan_cost import costs, run_cost
from profiler.report.plan_demand import arithmetic
from profiler.report.plan_limits import limits
from profiler.report.plan_rollout import rollout
from profiler.report.plan_sources import sources, warnings
from profiler.report.plan_stack import stack
from profiler.report.plan_swings import swings
from profiler.report.plan_verdict import doubts, verdict
from profiler.report.quantities import printable

if TYPE_CHECKING:
    from profiler.planner.plan import Plan
    from profiler.report.plan_blocks import Block, Part, Row

_BACKTICKS = re.compile("`+")


def plan_markdown(plan: Plan, *, command: str | None = None) -> str:
    """Return a plan as Markdown; `command` is what makes it again. Names are escaped."""
    parts = [
        verdict(plan),
        arithmetic(plan),
        *limits(plan),
        workers(plan),
        queue(plan),
        state(plan),
        *costs(plan),
        *stack(plan),
        *rollout(plan),
        *swings(plan),
        run_cost(plan),
        warnings(plan),
        sources(plan, command),
    ]
    blocks = [f"# Plan {escape(printable(plan.name))}"]
    blocks += [f"> **Warning.** {escape(text)}" for text in doubts(plan)]
    for found in parts:
        if found.blocks:
            blocks += _part(found)
    return "\n\n".join(blocks) + "\n"


def _part(found: Part) -> list[str]:
    return [f"{'#' * found.level} {escape(found.title)}", *map(_block, found.blocks)]


def _block(block: Block) -> str:
    match block:
        case Words(text):
            return escape(text)
        case Items(lines):
            return "\n".join(bullets(lines))
        case Sums(lines):
            return _fenced(lines)
        case Table():
            return _table(block)
        case _:
            assert_never(block)


def _fenced(lines: tuple[str, ...]) -> str:
    """Return lines as they are, behind a fence that none of them can close."""
    longest = max((len(run) for line in lines for run in _BACKTICKS.findall(line)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join([f"{fence}text", *lines, fence])


def _table(table: Table) -> str:
    aligned = ["---"] + [
        "---" if place in table.of_text else "--:" for place in range(1, len(table.header))
    ]
    lines = [_line([escape(name) for name in table.header]), f"|{'|'.join(aligned)}|"]
    lines += [_line(_cells(row)) for row in table.rows]
    return "\n".join(lines)


def _cells(row: Row) -> list[str]:
    label = "&emsp;" * row.depth + escape(row.label)
    return [label, *(f"**{escape(c)}**" if row.is_sum else escape(c) for c in row.cells)]


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
