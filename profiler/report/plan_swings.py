"""What moves a plan: its sensitivities as a chart of bars, and changes that one could make."""

from __future__ import annotations

from typing import TYPE_CHECKING

from profiler.report.plan_blocks import Part, Row, Sums, Table, Words, part
from profiler.report.plan_words import between, factor, money, nothing, number, utilization, whole
from profiler.report.quantities import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from profiler.planner.plan import Plan, Sensitivity, WhatIf

_HALF = 20
"""Columns of the widest bar on either side of the plan's own total."""
_NO_LIMIT = nothing("no limit")


def swings(plan: Plan) -> list[Part]:
    """Return sensitivities, widest first, and what-ifs; both at the launch scale."""
    launch = plan.scales[0]
    total = launch.cost.total
    words = Words(
        f"Each input alone at its low and its high end, all others at their likely value, at "
        f"{factor(launch.factor)}. Bars are the month's cost; | is the plan's, {money(total)}."
    )
    found = []
    if plan.sensitivities:
        bars = Sums(tuple(tornado(plan.sensitivities, total)))
        found.append(part("What moves the cost", words, bars, _details(plan.sensitivities)))
    if plan.what_ifs:
        found.append(part("What if", _what_ifs(plan.what_ifs)))
    return found


def tornado(found: Sequence[Sensitivity], total: float) -> list[str]:
    """Draw a bar a line from the lower cost to the higher, around the plan's total."""
    names = [printable(each.input, 48) for each in found]
    width = max(map(len, names), default=0)
    reach = max((abs(end - total) for each in found for end in each.cost_total), default=0.0)
    lines = []
    for name, each in zip(names, found, strict=True):
        low, high = sorted(each.cost_total)
        left = _cells(total - low, reach)
        right = _cells(high - total, reach)
        bar = f"{'▇' * left:>{_HALF}}|{'▇' * right:<{_HALF}}"
        lines.append(f"{name:<{width}}  {bar}  {between((low, high), money)}")
    return lines


def _cells(amount: float, reach: float) -> int:
    return max(0, round(amount / reach * _HALF)) if reach else 0


def _details(found: Sequence[Sensitivity]) -> Table:
    header = ("input", "low", "high", "ends from", "cost at low", "cost at high", "swing")
    return Table(
        (*header, "limit used, low to high", "workers, low to high"),
        tuple(
            Row(
                printable(each.input, 80),
                (
                    number(each.low),
                    number(each.high),
                    printable(each.ends, 80),
                    *map(money, each.cost_total),
                    money(each.swing_usd),
                    _NO_LIMIT
                    if each.binding_utilization is None
                    else between(each.binding_utilization, utilization),
                    between(each.workers, whole),
                ),
            )
            for each in found
        ),
        frozenset({3}),
    )


def _what_ifs(found: Sequence[WhatIf]) -> Table:
    header = ("change", "cost per month", "difference", "limit used", "users that fit", "note")
    return Table(
        header,
        tuple(
            Row(
                printable(each.change, 160),
                (
                    money(each.cost_total),
                    ("+" if each.cost_change > 0 else "") + money(each.cost_change),
                    _NO_LIMIT
                    if each.binding_utilization is None
                    else utilization(each.binding_utilization),
                    _NO_LIMIT if each.max_users is None else f"{each.max_users:,}",
                    "" if each.note is None else printable(each.note, 300),
                ),
            )
            for each in found
        ),
        frozenset({5}),
    )
