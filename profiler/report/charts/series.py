"""Lines over time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from profiler.report.charts.axis import Field, axis, written
from profiler.report.charts.svg import chart, path, point
from profiler.report.quantities import quantity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from markupsafe import Markup

_HEIGHT = 160


@dataclass(frozen=True, slots=True)
class Series:
    """Values at times in seconds, rising; None is a gap, not a zero."""

    name: str
    points: tuple[tuple[float, float | None], ...]


def over_time(series: Sequence[Series], unit: str, *, title: str, says: str) -> Markup:
    """Draw a line for each series over the seconds since the run's first start."""
    field = Field(_HEIGHT, x_name="time since the first start")
    times = [at_s for each in series for at_s, _ in each.points]
    values = [value for each in series for _, value in each.points if value is not None]
    across, scale = axis(times, "s", most=6), axis(values, unit, most=4)
    width = across.share(max(times, default=0.0)) or 1.0  # to the last point, not the last tick
    ticks = [(across.share(at) / width, words) for at, words in across.ticks]
    marks = [
        *field.y_ticks(scale),
        *field.x_ticks([tick for tick in ticks if tick[0] <= 1]),
    ]
    for number, each in enumerate(series):
        for run in _unbroken(each.points):
            places = [
                (field.x(across.share(at) / width), field.y(scale.share(value)))
                for at, value in run
            ]
            if len(places) > 1:
                marks.append(path(places, number))
            for (x, y), (at, value) in zip(places, run, strict=True):
                says_it = f"{each.name}, {quantity(at, 's')}: {written(value, unit)}"
                marks.append(point(x, y, number, says_it, seen=len(run) == 1))
    return chart(title, says, field.whole_height, marks)


def _unbroken(points: Sequence[tuple[float, float | None]]) -> Iterator[list[tuple[float, float]]]:
    """Yield the stretches between gaps."""
    found: list[tuple[float, float]] = []
    for at_s, value in points:
        if value is not None:
            found.append((at_s, value))
        elif found:
            yield found
            found = []
    if found:
        yield found
