"""Changes around none at all, each with its interval: what lies beyond the line is a change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from profiler.report.charts.axis import Field, axis_around, written
from profiler.report.charts.svg import WIDTH, chart, line, point, text, whisker
from profiler.report.quantities import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup

_STEP = 34
_LEFT = 14
REAL, OTHER = 1, 0
"""The colours of what is more than chance, and of what is not known to be."""


@dataclass(frozen=True, slots=True)
class Effect:
    """A change: its name, its size as a share of the baseline, its interval, what is written."""

    name: str
    size: float
    interval: tuple[float, float] | None
    words: str
    is_real: bool


def changes(effects: Sequence[Effect], unit: str, *, title: str, says: str) -> Markup:
    """Draw a dot and an interval for each change, around zero."""
    field = Field(_STEP * max(len(effects), 1), left=_LEFT, top=4)
    ends = [end for each in effects for end in (each.interval or ())]
    scale = axis_around([0.0, *(each.size for each in effects), *ends], unit)
    marks = field.x_ticks([(scale.share(value), words) for value, words in scale.ticks])
    none = field.x(scale.share(0.0))
    marks.append(line(none, field.top, none, field.bottom, "r"))
    for place, each in enumerate(effects):
        y = field.top + place * _STEP
        marks.append(text(_LEFT + 4, y + 13, printable(each.name, 40), kind="n"))
        marks.append(text(WIDTH - 14, y + 13, printable(each.words, 32), kind="n", anchor="end"))
        if each.interval is not None:
            low, high = (field.x(scale.share(end)) for end in each.interval)
            marks.append(whisker(low, high, y + 24))
        spoken = f"{printable(each.name)}: {written(each.size, unit)}"
        series = REAL if each.is_real else OTHER
        marks.append(point(field.x(scale.share(each.size)), y + 24, series, spoken, seen=True))
    return chart(title, says, field.whole_height, marks)
