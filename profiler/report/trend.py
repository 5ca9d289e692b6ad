"""A trend as text: one line for each number, with the runs where it changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from profiler.report.comparison_words import label, step, value
from profiler.report.markdown import bullets, escape
from profiler.report.observations import Section
from profiler.report.quantities import plural, printable
from profiler.report.terminal import section_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from profiler.comparison.trend import Series, Trend

_BARS = "▁▂▃▄▅▆▇█"
_MARK = "╎"


def sparkline(values: Sequence[float | None], changes: Sequence[int] = ()) -> str:
    """Return one bar for each value from the lowest to the highest; a space for None.

    A line stands before each of `changes`.
    """
    known = [each for each in values if each is not None]
    if not known:
        return ""
    low, high = min(known), max(known)
    width = high - low
    drawn = []
    for place, each in enumerate(values):
        if place in changes:
            drawn.append(_MARK)
        if each is None:
            drawn.append(" ")
            continue
        level = (each - low) / width if width else 0.5
        drawn.append(_BARS[min(int(level * len(_BARS)), len(_BARS) - 1)])
    return "".join(drawn)


def trend_report(trend: Trend) -> RenderableType:
    """Return the report, for any rich console."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for name, justify in (("", "left"), ("first", "right"), ("over runs", "left")):
        table.add_column(name, justify="right" if justify == "right" else "left", overflow="fold")
    for name in ("last", "change"):
        table.add_column(name, justify="right", overflow="fold")
    for series in trend.series:
        table.add_row(*(Text(cell) for cell in trend_cells(series)))
    lines = change_lines(trend)
    return Group(
        Text(trend_title(trend), style="bold"),
        *(Text(printable(text, 300), style="yellow") for text in trend.differs),
        table,
        section_lines(Section("Where it changed", tuple(lines))),
    )


def trend_markdown(trend: Trend) -> str:
    """Return the same as Markdown."""
    rows = [f"| {' | '.join(map(escape, trend_cells(series)))} |" for series in trend.series]
    table = ["| | first | over runs | last | change |", "|---|--:|---|--:|--:|", *rows]
    blocks = [f"# {escape(trend_title(trend))}"]
    if trend.differs:
        blocks.append("\n".join(bullets(trend.differs)))
    blocks += ["\n".join(table), "## Where it changed", "\n".join(bullets(change_lines(trend)))]
    return "\n\n".join(blocks) + "\n"


def change_lines(trend: Trend) -> list[str]:
    """Return each change: which number, from which run on, from what to what."""
    lines = [
        f"{label(series.metric, series.statistic)}: {said}"
        for series in trend.series
        for said in steps(trend, series)
    ]
    return lines or ["nowhere by more than chance"]


def steps(trend: Trend, series: Series) -> list[str]:
    """Return each change of one number in words, in the order of `series.changes`."""
    bounds = [0, *series.changes, len(series.points)]
    lines = []
    for before, at, after in zip(bounds, bounds[1:], bounds[2:], strict=False):
        old, new = level(series, before, at), level(series, at, after)
        run, started_at = trend.runs[at]
        lines.append(
            f"{value(old, series.unit)} → {value(new, series.unit)} "
            f"({step(old, new, series.unit)}) "
            f"from {printable(run)} on ({started_at[:10]})"
        )
    return lines


def level(series: Series, start: int, end: int) -> float:
    """Return the mean of all that the runs from `start` to before `end` counted."""
    points = [point for point in series.points[start:end] if point is not None]
    return sum(p.value * p.count for p in points) / sum(p.count for p in points)


def trend_title(trend: Trend) -> str:
    """Return whose trend it is."""
    return f"Trend of {printable(trend.workload)} over {plural(len(trend.runs), 'run')}"


def trend_cells(series: Series) -> tuple[str, str, str, str, str]:
    """Return a number's name, its first value, its sparkline, its last value and the change."""
    values = [None if point is None else point.value for point in series.points]
    known = [each for each in values if each is not None]
    first, last = known[0], known[-1]
    return (
        label(series.metric, series.statistic),
        value(first, series.unit),
        sparkline(values, series.changes),
        value(last, series.unit),
        step(first, last, series.unit),
    )
