"""Curves of percentiles on HdrHistogram's scale: as wide for 90 to 99 % as for 99 to 99.9 %."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from profiler.report.charts.axis import Field, axis, written
from profiler.report.charts.svg import chart, path, point

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup

_HEIGHT = 220
_POINTS = 60
_TICKS = ((0.0, "0 %"), (0.5, "50 %"), (0.75, "75 %"), (0.9, "90 %"), (0.95, "95 %"))
_NAMED = (0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 0.9999)


@dataclass(frozen=True, slots=True)
class Curve:
    """A series of (share at or below, value), the shares rising and below 1."""

    name: str
    points: tuple[tuple[float, float], ...]


def place(share: float) -> float:
    """Return where a percentile stands: log10(1 / (1 - p)), so 0.9 at 1 and 0.99 at 2."""
    return -math.log10(1 - share)


def shares(count: int) -> list[float]:
    """Return the percentiles to show of `count` values, as shares.

    Evenly spread on the scale, from 0 to the last that a single value lies beyond, 1 - 1/count;
    those that people know by name are among them.
    """
    last = 1 - 1 / max(count, 2)
    even = [1 - 10 ** -(place(last) * n / _POINTS) for n in range(_POINTS)]
    return sorted({0.0, last, *even, *(share for share in _NAMED if share <= last)})


def percentiles(curves: Sequence[Curve], unit: str, *, title: str, says: str) -> Markup:
    """Draw curves over percentiles; nothing is drawn of a curve without points."""
    field = Field(_HEIGHT, x_name="percentile, log scale")
    every = [point for curve in curves for point in curve.points]
    widest = max((place(share) for share, _ in every), default=1.0) or 1.0
    scale = axis([value for _, value in every], unit)
    ticks = [(place(share) / widest, words) for share, words in _ticks(widest)]
    marks = [*field.y_ticks(scale), *field.x_ticks(ticks)]
    for number, curve in enumerate(curves):
        places = [
            (field.x(place(share) / widest), field.y(scale.share(value)))
            for share, value in curve.points
        ]
        marks.append(path(places, number))
        marks += [
            point(x, y, number, f"{curve.name}, p{share * 100:.4g}: {written(value, unit)}")
            for (x, y), (share, value) in zip(places, curve.points, strict=True)
        ]
    return chart(title, says, field.whole_height, marks)


def _ticks(widest: float) -> list[tuple[float, str]]:
    """Return the ticks that there is room for: 75 and 95 % on a short scale only."""
    nines = [(1 - 10.0**-n, f"{100 - 100 * 10.0**-n:.10g} %") for n in range(2, 9)]
    is_long = widest > 3.2  # noqa: PLR2004 - beyond 99.9 % the texts would meet
    few = [tick for tick in _TICKS if not is_long or tick[0] not in (0.75, 0.95)]
    return [tick for tick in (*few, *nines) if place(tick[0]) <= widest + 1e-9]
