"""A trend as a page: one line chart for each number, with the runs where it changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from profiler import __version__
from profiler.report.charts.runs import Run, over_runs
from profiler.report.comparison_words import label, step, value
from profiler.report.page.model import Cell, Chart, Charts, Grid, KeyFigure, Page, Section
from profiler.report.plan_blocks import Items
from profiler.report.quantities import NOTHING, plural, printable
from profiler.report.trend import change_lines, steps, trend_cells, trend_title

if TYPE_CHECKING:
    from profiler.comparison.trend import Series, Trend

_FIGURES = 5
_LONGEST_NAME = 80
_ABOUT = (
    "A number is said to have changed where the runs before and after differ by more than runs "
    "vary from one to the next, at an error of 5 % over all numbers and places. Vertical axes are "
    "around the values and need not begin at 0."
)


def trend_page(trend: Trend) -> Page:
    """Return the page of a trend."""
    changed = [series for series in trend.series if series.changes]
    first, last = trend.runs[0], trend.runs[-1]
    return Page(
        title=trend_title(trend),
        subtitle=f"{printable(first[0], _LONGEST_NAME)} ({first[1][:10]}) to "
        f"{printable(last[0], _LONGEST_NAME)} ({last[1][:10]})",
        verdict=_verdict(len(changed), len(trend.series)),
        tone="warn" if changed else "good",
        doubts=tuple(f"Measured differently: {printable(text, 300)}" for text in trend.differs),
        figures=tuple(_figure(series) for series in trend.series[:_FIGURES]),
        sections=(
            Section("Where it changed", (Items(tuple(change_lines(trend))),)),
            Section("Charts", (Charts(tuple(_chart(trend, series) for series in trend.series)),)),
            Section("Numbers", (_numbers(trend),)),
            Section("Runs", (_runs(trend),)),
        ),
        footer=f"Made by agent-profiler {__version__}. {_ABOUT}",
    )


def _verdict(changed: int, every: int) -> str:
    if not changed:
        return f"None of {plural(every, 'number')} changed by more than chance"
    return f"{changed} of {plural(every, 'number')} changed by more than chance"


def _figure(series: Series) -> KeyFigure:
    name, first, _, last, change = trend_cells(series)
    since = f"{first} in the first run" + ("" if change == NOTHING else f", {change}")
    return KeyFigure(name.removesuffix(" per interaction"), last, since)


def _chart(trend: Trend, series: Series) -> Chart:
    said = steps(trend, series)
    name, first, _, last, change = trend_cells(series)
    says = f"From {first} in the first run to {last} in the last ({change})"
    labels = _labels([started_at for _, started_at in trend.runs])
    runs = [
        Run(
            label=short,
            name=f"{printable(run, _LONGEST_NAME)}, {started_at[:16].replace('T', ' ')}",
            value=None if found is None else found.value,
            interval=None if found is None else found.ci95,
        )
        for short, (run, started_at), found in zip(labels, trend.runs, series.points, strict=True)
    ]
    text = "; ".join((says, *said))
    svg = over_runs(
        runs, dict(zip(series.changes, said, strict=True)), series.unit, title=name, says=text
    )
    legend = ("a run, with its 95 % interval", "the first of a new level")
    return Chart(name, svg, legend if said else (), "; ".join(said) or "no change beyond chance")


def _labels(started_at: list[str]) -> list[str]:
    """Return what stands under each run: month and day, or the time where all are of one day."""
    if len({text[:10] for text in started_at}) == 1:
        return [text[11:16] for text in started_at]
    return [text[5:10] for text in started_at]


def _numbers(trend: Trend) -> Grid:
    return Grid(
        ("metric", "first", "last", "change", "places where it changed"),
        tuple(_row(series) for series in trend.series),
    )


def _row(series: Series) -> tuple[Cell, ...]:
    name, _, _, _, change = trend_cells(series)
    known = [point.value for point in series.points if point is not None]
    moved = known[-1] - known[0]
    by = 1.0 if series.unit == "share" else known[0]
    return (
        Cell(name),
        Cell(value(known[0], series.unit), known[0]),
        Cell(value(known[-1], series.unit), known[-1]),
        Cell(change, moved / by if by else None),
        Cell(str(len(series.changes)), len(series.changes)),
    )


def _runs(trend: Trend) -> Grid:
    """Return every value: what the charts show, for those who read or copy numbers."""
    names = [label(series.metric, series.statistic) for series in trend.series]
    return Grid(
        ("run", "started", *names),
        tuple(
            (
                Cell(printable(run, _LONGEST_NAME)),
                Cell(started_at[:16].replace("T", " ")),
                *(_value(series, place) for series in trend.series),
            )
            for place, (run, started_at) in enumerate(trend.runs)
        ),
        of_text=frozenset({0, 1}),
    )


def _value(series: Series, place: int) -> Cell:
    point = series.points[place]
    if point is None:
        return Cell(NOTHING)
    mark = "" if place not in series.changes else f" ({_step(series, place)})"
    return Cell(f"{value(point.value, series.unit)}{mark}", point.value)


def _step(series: Series, place: int) -> str:
    before = next(
        (point.value for point in reversed(series.points[:place]) if point is not None), None
    )
    point = series.points[place]
    if point is None or before is None:
        return NOTHING
    return step(before, point.value, series.unit)
