"""What each input moves, around the value that all likely inputs give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from profiler.report.charts.axis import Field, axis_around, written
from profiler.report.charts.svg import WIDTH, bar, chart, line, text
from profiler.report.quantities import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup

_STEP, _THICK = 34, 12
_LEFT = 14
_LOW, _HIGH = 0, 1


@dataclass(frozen=True, slots=True)
class Swing:
    """An input, and what comes out at its low end and at its high end."""

    name: str
    at_low: float
    at_high: float


def tornado(swings: Sequence[Swing], middle: float, unit: str, *, title: str, says: str) -> Markup:
    """Draw swings in their order, around `middle`. The axis need not begin at zero."""
    field = Field(_STEP * max(len(swings), 1), left=_LEFT, top=4)
    scale = axis_around([middle, *(end for s in swings for end in (s.at_low, s.at_high))], unit)
    marks = field.x_ticks([(scale.share(value), words) for value, words in scale.ticks])
    centre = field.x(scale.share(middle))
    marks.append(line(centre, field.top, centre, field.bottom, "r"))
    for place, swing in enumerate(swings):
        y = field.top + place * _STEP
        ends = " to ".join(written(end, unit) for end in (swing.at_low, swing.at_high))
        marks.append(text(_LEFT + 4, y + 13, printable(swing.name, 44), kind="n"))
        marks.append(text(WIDTH - 14, y + 13, ends, kind="n", anchor="end"))
        for series, end, which in ((_LOW, swing.at_low, "low"), (_HIGH, swing.at_high, "high")):
            x = field.x(scale.share(end))
            spoken = f"{printable(swing.name)} at its {which} end: {written(end, unit)}"
            marks.append(
                bar(min(x, centre), y + 18, abs(x - centre), _THICK, series=series, says=spoken)
            )
    return chart(title, says, field.whole_height, marks)
