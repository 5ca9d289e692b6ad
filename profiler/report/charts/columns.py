"""Columns side by side, each a stack of parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from profiler.report.charts.axis import Field, axis, written
from profiler.report.charts.svg import bar, chart

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from markupsafe import Markup

    from profiler.report.charts.axis import Axis

_HEIGHT = 190
_SHARE_OF_STEP = 0.74
_MOST_LABELS = 16


@dataclass(frozen=True, slots=True)
class Column:
    """What stands under a column, its parts from below, and what is to be said beside each."""

    label: str
    parts: tuple[float, ...]
    note: str = ""


def columns(
    found: Sequence[Column],
    names: Sequence[str],
    unit: str,
    *,
    title: str,
    says: str,
    x_name: str = "",
    is_whole: bool = False,
) -> Markup:
    """Draw columns; `names` are those of the parts, which all columns have in the same order."""
    field = Field(_HEIGHT, x_name=x_name)
    scale = axis([sum(column.parts) for column in found], unit, is_whole=is_whole)
    step = 1 / max(len(found), 1)
    every = -(-len(found) // _MOST_LABELS)
    labels = [
        ((place + 0.5) * step, column.label)
        for place, column in enumerate(found)
        if place % every == 0
    ]
    marks = [*field.y_ticks(scale), *field.x_ticks(labels, grid=False)]
    for place, column in enumerate(found):
        x = field.x((place + (1 - _SHARE_OF_STEP) / 2) * step)
        width = step * _SHARE_OF_STEP * field.width
        marks += [
            bar(x, field.y(top), width, field.y(bottom) - field.y(top), series=number, says=says)
            for number, bottom, top, says in _stack(column, names, unit, scale)
        ]
    return chart(title, says, field.whole_height, marks)


def _stack(
    column: Column, names: Sequence[str], unit: str, scale: Axis
) -> Iterator[tuple[int, float, float, str]]:
    """Yield each part's number, its ends as shares of the height, and what it says."""
    below = 0.0
    for number, (name, value) in enumerate(zip(names, column.parts, strict=True)):
        if value:
            spoken = f"{column.label}, {name}: {written(value, unit)}{column.note}"
            yield number, scale.share(below), scale.share(below + value), spoken
        below += value
