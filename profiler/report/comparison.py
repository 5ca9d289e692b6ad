"""A comparison on a terminal: the verdict, what changed, the gates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from profiler.report import comparison_words as words
from profiler.report.observations import Section
from profiler.report.quantities import printable
from profiler.report.terminal import facts_grid, section_lines

if TYPE_CHECKING:
    from rich.console import RenderableType

    from profiler.comparison.model import Comparison

_STYLES = {"pass": "green", "fail": "bold red", "inconclusive": "yellow"}
_MOST_CHANGES = 12


def comparison_report(comparison: Comparison) -> RenderableType:
    """Return the report, for any rich console. No markup in names is interpreted."""
    changes = words.change_lines(comparison)
    left = len(changes) - _MOST_CHANGES
    if left > 0:
        changes = [*changes[:_MOST_CHANGES], f"… {left} more in comparison.json (--json)"]
    blocks: list[RenderableType] = [
        Text(words.title(comparison), style="bold"),
        facts_grid(
            [*words.facts(comparison), ("verdict", words.verdict_line(comparison))],
            {"verdict": _STYLES[comparison.verdict], "differs": "yellow"},
        ),
        Text(),
        section_lines(Section("What changed", tuple(changes))),
        _differences(comparison),
        _gates(comparison),
    ]
    if comparison.plan is not None:
        name = f"In the plan {printable(comparison.plan.name)}"
        blocks.append(section_lines(Section(name, tuple(words.meaning_lines(comparison.plan)))))
    return Group(*blocks)


def _differences(comparison: Comparison) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    table.add_column("", overflow="fold")
    for name in ("baseline", "candidate", "change [95 % CI]"):
        table.add_column(name, justify="right", overflow="fold")
    table.add_column("real")
    for row in words.difference_rows(comparison):
        style = "bold" if row.real == "yes" else "dim" if row.real == "?" else ""
        cells = (row.label, row.baseline, row.candidate, row.change, row.real)
        table.add_row(*(Text(text, style=style) for text in cells))
    return table


def _gates(comparison: Comparison) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    # Names are what a gates file wants: not broken in two.
    table.add_column("gate", no_wrap=True)
    for name in ("rule", "", "seen [90 % CI]"):
        table.add_column(name, overflow="fold")
    for gate in comparison.gates:
        table.add_row(
            Text(words.gate_name(gate)),
            Text(words.gate_rule(gate)),
            Text(gate.verdict, style=_STYLES[gate.verdict]),
            Text(words.gate_reason(gate)),
        )
    return table
