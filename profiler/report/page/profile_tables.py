"""Tables of a profile: every metric, and where two observers were compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from profiler.profile.model import named_distributions
from profiler.report.page.model import Cell, Grid
from profiler.report.quantities import (
    mean_with_interval,
    percent,
    printable,
    quantity,
    value_with_interval,
    whole,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from profiler.profile.distribution import Distribution
    from profiler.profile.model import Reconciliation, WorkloadProfile

_MOST_ROWS = 400
_METRICS = (
    *("metric", "count", "mean ±95 % CI", "p50", "p95 [95 % CI]", "p99", "max"),
    *("source", "method", "observed"),
)
_COMPARED = ("metric", "observers", "compared", "differing", "mean difference", "likely cause")


def metrics_table(profile: WorkloadProfile) -> Grid:
    """Return every metric with its intervals, who observed it, and of how many interactions."""
    every = named_distributions(profile)
    left = len(every) - _MOST_ROWS
    return Grid(
        _METRICS,
        tuple(_row(name, each) for name, each in every[:_MOST_ROWS]),
        of_text=frozenset({0, 7, 8}),
        note=f"{left} more in profile.json." if left > 0 else "",
    )


def _row(name: str, each: Distribution) -> tuple[Cell, ...]:
    unit = each.unit
    return (
        Cell(printable(name, 80)),
        Cell(whole(each.count), each.count),
        Cell(mean_with_interval(each.mean, each.mean_ci95, unit), each.mean),
        Cell(quantity(each.p50, unit), each.p50),
        Cell(value_with_interval(each.p95, each.p95_ci95, unit), each.p95),
        Cell(quantity(each.p99, unit), each.p99),
        Cell(quantity(each.max, unit), each.max),
        Cell(printable(each.source)),
        Cell(each.method),
        Cell(percent(each.coverage), each.coverage),
    )


def reconciliation_table(rows: Sequence[Reconciliation]) -> Grid:
    """Return the comparisons of observers, those that differ first."""
    found = sorted(rows, key=lambda row: (-row.differing / row.compared, row.metric))
    return Grid(
        _COMPARED,
        tuple(_compared(row) for row in found[:_MOST_ROWS]),
        of_text=frozenset({0, 1, 5}),
        note="" if found else "No metric was seen by two observers.",
    )


def _compared(row: Reconciliation) -> tuple[Cell, ...]:
    other = row.metric if row.against is None else row.against
    metric = row.metric if other == row.metric else f"{row.metric} against {other}"
    if row.store is not None:
        metric = f"{metric} ({printable(row.store, 30)})"
    unit = "interactions" if row.scope == "interaction" else "whole runs"
    return (
        Cell(metric),
        Cell(f"{row.observer_a} against {row.observer_b}"),
        Cell(f"{whole(row.compared)} {unit}", row.compared),
        Cell(percent(row.differing / row.compared), row.differing / row.compared),
        Cell(quantity(row.mean_difference, row.unit), row.mean_difference),
        Cell("" if row.cause is None else printable(row.cause, 200)),
    )
