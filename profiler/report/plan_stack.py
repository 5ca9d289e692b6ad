"""The stack of a plan: what to take for each part, how near its limits, what would change it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from profiler.report.plan_blocks import Items, Part, Row, Table, Words, part
from profiler.report.plan_words import factor, money, nothing, number, utilization
from profiler.report.quantities import NOTHING, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from profiler.planner.plan import Plan
    from profiler.planner.stack_model import StackChoice, StackMargin, StackPart

_MOST = 400
"""Characters of a sentence."""


def stack(plan: Plan) -> list[Part]:
    """Return the choices at a glance, then each part: verdict, what overturns it, who lost why."""
    if not plan.stack:
        return []
    launch = factor(plan.scales[0].factor)
    intro = Words(
        "Candidates are eliminated by what they cannot carry or do, then ranked by what a month "
        "costs with people's hours at your team's skills. Throughput rarely decides at such rates."
    )
    return [
        part("Stack", intro, _overview(plan, launch)),
        *(_part(found, launch) for found in plan.stack),
    ]


def _overview(plan: Plan, launch: str) -> Table:
    header = (f"at {launch}", "take", "a month", "hours", "your skill", "fullest limit", "later")
    rows = tuple(Row(_title(found), _summary(found)) for found in plan.stack)
    return Table(header, rows, frozenset({1, 4, 5, 6}))


def _title(found: StackPart) -> str:
    return printable(found.part.replace("_", " "))


def _summary(found: StackPart) -> tuple[str, ...]:
    first = found.scales[0]
    if found.name is None or first.usd_per_month is None:
        return (nothing("nothing can do it"), NOTHING, NOTHING, NOTHING, NOTHING, _later(found))
    return (
        f"{printable(found.name)} ({_run_by(found)})",
        money(first.usd_per_month),
        NOTHING if first.hours is None else number(first.hours),
        f"{printable(found.level or '')} ({printable(found.skill or '')})",
        nothing("no limit is known") if found.margin is None else _margin(found.margin),
        _later(found),
    )


def _run_by(found: StackPart) -> str:
    return "managed" if found.run_by == "managed" else "self-run"


def _margin(margin: StackMargin) -> str:
    quota = ", a quota" if margin.adjustable else ""
    used = f"{utilization(margin.share)} at {factor(margin.factor)}"
    return f"{used}: {printable(margin.quantity)}{quota}"


def _later(found: StackPart) -> str:
    return "; ".join(printable(text) for text in found.changes) or "the same"


def _part(found: StackPart, launch: str) -> Part:
    title = _title(found)
    name = "nothing can do it" if found.name is None else printable(found.name)
    required = ", ".join(printable(each) for each in found.requires)
    unknown = ", ".join(printable(each) for each in found.not_known)
    return part(
        f"{title[:1].upper()}{title[1:]}: {name}",
        Words(printable(found.verdict, _MOST)),
        Words(f"Required: {required}." if required else ""),
        Words(f"Not known, so neither limited nor billed here: {unknown}." if unknown else ""),
        Words("What would change it:" if found.overturned_by else ""),
        Items(tuple(printable(text, _MOST) for text in found.overturned_by)),
        *_losers(found, launch),
        Items(tuple(_quotas(found))),
        level=3,
    )


def _losers(found: StackPart, launch: str) -> Iterator[Table]:
    """Yield who lost at the launch, and at each later scale where it is another story."""
    told: set[tuple[str, str]] = set()
    for place, choice in enumerate(found.scales):
        at = launch if place == 0 else factor(choice.factor)
        rows = tuple(_rows(choice, told, is_first=place == 0))
        if rows:
            yield Table((f"not taken at {at}", "a month", "why"), rows, frozenset({2}))


def _rows(choice: StackChoice, told: set[tuple[str, str]], *, is_first: bool) -> Iterator[Row]:
    for loser in choice.losers:
        new = (loser.key, "out" if loser.eliminated else str(choice.winner))
        if is_first or new not in told:
            cells = (money(loser.usd_per_month), printable(loser.reason, _MOST))
            yield Row(printable(loser.name), cells)
        told.add(new)


def _quotas(found: StackPart) -> Iterator[str]:
    for choice in found.scales:
        for text in choice.quotas:
            yield f"ask for more before {factor(choice.factor)}: {printable(text, _MOST)}"
