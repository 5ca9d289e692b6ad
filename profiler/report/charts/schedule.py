"""Stages on a time line: from when to when each lasts, and from when to when it may."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from profiler.report.charts.axis import Field, nice_step
from profiler.report.charts.svg import WIDTH, bar, chart, text, whisker
from profiler.report.quantities import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup

_STEP, _THICK = 34, 12
_LEFT = 14


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage: when it begins and ends, in months from the launch, and what is written beside it.

    `may_start` is the interval of when it begins; None where nothing is known of it.
    """

    name: str
    start_month: float
    end_month: float
    words: str
    may_start: tuple[float, float] | None = None


def schedule(stages: Sequence[Stage], *, title: str, says: str) -> Markup:
    """Draw stages over months from the launch."""
    field = Field(_STEP * max(len(stages), 1), left=_LEFT, top=4, x_name="months from the launch")
    ends = [end for s in stages for end in (s.end_month, *(s.may_start or ()))]
    last = max(ends, default=0.0) or 1.0
    step = max(1, round(nice_step(last, 8)))
    ticks = [(month / last, f"{month}") for month in range(0, int(last) + 1, step)]
    marks = field.x_ticks(ticks)
    for place, stage in enumerate(stages):
        y = field.top + place * _STEP
        x = field.x(stage.start_month / last)
        width = max(2.0, (stage.end_month - stage.start_month) / last * field.width)
        spoken = (
            f"{printable(stage.name)}: month {stage.start_month:.3g} to {stage.end_month:.3g}, "
            f"{stage.words}"
        )
        marks.append(text(_LEFT + 4, y + 13, printable(stage.name, 40), kind="n"))
        marks.append(text(WIDTH - 14, y + 13, printable(stage.words, 40), kind="n", anchor="end"))
        marks.append(bar(x, y + 18, width, _THICK, series=0, says=spoken))
        if stage.may_start is not None:
            low, high = (field.x(month / last) for month in stage.may_start)
            marks.append(whisker(low, high, y + 18 + _THICK / 2))
    return chart(title, says, field.whole_height, marks)
