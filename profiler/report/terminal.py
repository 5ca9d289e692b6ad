"""A profile on a terminal: what a person reads in ten seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from profiler.report.summary import UNSTABLE, Summary, summarise

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.console import Console, RenderableType

    from profiler.profile.model import WorkloadProfile
    from profiler.report.observations import Section

_VERDICT_STYLES = {"trusted": "green", "driver_limited": "red", "inconclusive": "yellow"}


def profile_table(profile: WorkloadProfile) -> RenderableType:
    """Return facts, table and notes, for any rich console. No markup in names is interpreted."""
    summary = summarise(profile)
    return Group(
        Text(summary.title, style="bold"),
        _facts(summary),
        _table(summary),
        *(_lines(section) for section in summary.sections),
        *(Text(note, style="dim") for note in summary.notes),
    )


def print_profile(console: Console, profile: WorkloadProfile, paths: Sequence[Path]) -> None:
    """Print a profile and where its files are. Nothing is cut off at 80 columns."""
    console.print(profile_table(profile))
    if paths:
        console.print()
    for path in paths:
        # Unwrapped, so that it can be copied.
        console.print(Text(str(path)), soft_wrap=True)


def _facts(summary: Summary) -> Table:
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    for name, text in summary.facts:
        style = ""
        if name == "verdict":
            style = _VERDICT_STYLES[summary.verdict]
        elif name == "partial" or (name == "errors" and text != "none"):
            style = "yellow"
        facts.add_row(name, Text(text, style=style))
    return facts


def _table(summary: Summary) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    table.add_column("", overflow="fold")
    table.add_column("mean ±95 % CI", justify="right", no_wrap=True)
    table.add_column("p95 [95 % CI]", justify="right", no_wrap=True)
    table.add_column("source", style="dim", overflow="fold")
    for place, group in enumerate(summary.groups):
        if place:
            table.add_row()
        table.add_row(Text(group.title, style="bold"))
        for row in group.rows:
            label = Text("  " * (row.indent + 1) + row.label)
            if row.indent:
                label.stylize("dim")
            table.add_row(label, _cell(row.mean), _cell(row.p95), Text(row.source))
    return table


def _lines(section: Section) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for line in section.lines:
        grid.add_row(" -", Text(line))
    return Group(Text(section.title, style="bold"), grid, Text())


def _cell(text: str) -> Text:
    return Text(text, style="yellow" if text.startswith(UNSTABLE) else "")
