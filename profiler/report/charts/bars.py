"""Bars that lie, each under its name: names may be long, and screens narrow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from profiler.report.charts.axis import Field, axis, written
from profiler.report.charts.svg import WIDTH, bar, chart, line, text, whisker
from profiler.report.quantities import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from markupsafe import Markup

_STEP, _THICK = 34, 12
_LEFT = 14
_LONGEST = 44
"""Characters of a name that fit beside a value."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A name, its parts from the left, what is written at the right, and an interval of the sum."""

    name: str
    parts: tuple[float, ...]
    words: str
    interval: tuple[float, float] | None = None


def bars(
    found: Sequence[Bar],
    names: Sequence[str],
    unit: str,
    *,
    title: str,
    says: str,
    reference: float | None = None,
) -> Markup:
    """Draw bars; `names` are those of their parts. `reference` is a value marked across all."""
    field = Field(_STEP * max(len(found), 1), left=_LEFT, top=4)
    sums = [sum(each.parts) for each in found]
    ends = [end for each in found if each.interval for end in each.interval]
    scale = axis([*sums, *ends, *([] if reference is None else [reference])], unit)
    ticks = [(scale.share(value), words) for value, words in scale.ticks]
    marks = field.x_ticks(ticks)
    if reference is not None:
        at = field.x(scale.share(reference))
        marks.append(line(at, field.top, at, field.bottom, "r"))
    for place, each in enumerate(found):
        y = field.top + place * _STEP
        marks.append(text(_LEFT + 4, y + 13, printable(each.name, _LONGEST), kind="n"))
        marks.append(text(WIDTH - 14, y + 13, each.words, kind="n", anchor="end"))
        x = field.x(scale.share(0.0))
        for number, (name, value) in enumerate(zip(names, each.parts, strict=True)):
            width = (scale.share(value) - scale.share(0.0)) * field.width
            spoken = f"{printable(each.name)}, {name}: {written(value, unit)}"
            if value:
                marks.append(bar(x, y + 18, width, _THICK, series=number, says=spoken))
            x += width
        marks += _interval(each, field, scale.share, y)
    return chart(title, says, field.whole_height, marks)


def _interval(each: Bar, field: Field, share: Callable[[float], float], y: float) -> list[Markup]:
    if each.interval is None:
        return []
    low, high = (field.x(min(max(share(end), 0.0), 1.0)) for end in each.interval)
    return [whisker(low, high, y + 18 + _THICK / 2)]
