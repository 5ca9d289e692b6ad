"""A profile on a terminal: what a person reads in ten seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.console import Group
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from profiler.report.summary import UNSTABLE, Summary, summarise

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

    from profiler.profile.model import WorkloadProfile
    from profiler.report.observations import Section

_VERDICT_STYLES = {"trusted": "green", "driver_limited": "red", "inconclusive": "yellow"}
_LEAST_NAME, _ENDLESS = 18, 10_000
_OF_FAILURES = frozenset({"errors", "failed"})


def profile_table(profile: WorkloadProfile) -> RenderableType:
    """Return facts, table and notes, for any rich console. No markup in names is interpreted."""
    summary = summarise(profile)
    return Group(
        Text(summary.title, style="bold"),
        _facts(summary),
        _Fitting(summary),
        *(section_lines(section) for section in summary.sections),
        *(Text(note, style="dim") for note in summary.notes),
    )


def print_profile(console: Console, profile: WorkloadProfile, paths: Sequence[Path]) -> None:
    """Print a profile and where its files are. Nothing is cut off at 80 columns."""
    print_report(console, profile_table(profile), paths)


def print_report(console: Console, report: RenderableType, paths: Sequence[Path]) -> None:
    """Print a report and where its files are."""
    console.print(report)
    if paths:
        console.print()
    for path in paths:
        # Unwrapped, so that it can be copied.
        console.print(Text(str(path)), soft_wrap=True)


def _facts(summary: Summary) -> Table:
    return facts_grid(summary.facts, {"verdict": _VERDICT_STYLES[summary.verdict]})


def facts_grid(facts: Iterable[tuple[str, str]], styles: Mapping[str, str]) -> Table:
    """Return names and texts side by side; `styles` by name, beside those that are always so."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, text in facts:
        style = styles.get(name, "")
        if name == "partial" or (name in _OF_FAILURES and text != "none"):
            style = "yellow"
        grid.add_row(name, Text(text, style=style))
    return grid


class _Fitting:
    """The table of numbers; on a narrow terminal without sources, then without the p95's interval.

    Names and numbers that are broken letter by letter can be read by nobody.
    """

    def __init__(self, summary: Summary) -> None:
        self._summary = summary

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        drawn = [
            _table(self._summary, with_sources=sources, with_intervals=intervals)
            for sources, intervals in ((True, True), (False, True), (False, False))
        ]
        fitting = [table for table in drawn if _name_room(table, console, options) >= _LEAST_NAME]
        yield fitting[0] if fitting else drawn[-1]
        if not fitting or fitting[0] is not drawn[0]:
            yield Text("Wider terminals, and profile.md, have sources and all intervals.", "dim")


def _name_room(table: Table, console: Console, options: ConsoleOptions) -> int:
    """Return how many columns are left for the names, where the numbers take what they need."""
    names = max(
        (len(cell.plain) for cell in table.columns[0].cells if isinstance(cell, Text)), default=0
    )
    wanted = Measurement.get(console, options.update(max_width=_ENDLESS), table).maximum
    return options.max_width - (wanted - names)


def _table(summary: Summary, *, with_sources: bool, with_intervals: bool) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    table.add_column("", overflow="fold")
    table.add_column("mean ±95 % CI", justify="right", no_wrap=True)
    table.add_column("p95 [95 % CI]" if with_intervals else "p95", justify="right", no_wrap=True)
    if with_sources:
        table.add_column("source", style="dim", overflow="fold")
    for place, group in enumerate(summary.groups):
        if place:
            table.add_row()
        table.add_row(Text(group.title, style="bold"))
        for row in group.rows:
            label = Text("  " * (row.indent + 1) + row.label)
            if row.indent:
                label.stylize("dim")
            p95 = row.p95 if with_intervals else row.p95.partition(" [")[0]
            cells = (label, cell(row.mean), cell(p95))
            table.add_row(*cells, *([Text(row.source)] if with_sources else ()))
    return table


def section_lines(section: Section) -> RenderableType:
    """Return a section's lines under its heading."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for line in section.lines:
        grid.add_row(" -", Text(line))
    return Group(Text(section.title, style="bold"), grid, Text())


def cell(text: str) -> Text:
    """Return a number as it stands in a table."""
    return Text(text, style="yellow" if text.startswith(UNSTABLE) else "")
