"""What happened when within one interaction, a line for each thing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from profiler.report.charts.axis import Field, axis
from profiler.report.charts.svg import WIDTH, bar, chart, text
from profiler.report.quantities import printable, quantity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup

_STEP, _THICK = 30, 11
_LEFT = 14
_MOST = 24


@dataclass(frozen=True, slots=True)
class Span:
    """Something that took from `start_s` on `duration_s` seconds; `kind` is its colour."""

    name: str
    start_s: float
    duration_s: float
    kind: int
    note: str = ""


def waterfall(spans: Sequence[Span], *, title: str, says: str) -> Markup:
    """Draw spans in their order; of many, the first ones, and how many more there are."""
    shown = spans[:_MOST]
    left = len(spans) - len(shown)
    field = Field(_STEP * max(len(shown), 1) + (18 if left else 0), left=_LEFT, top=4)
    scale = axis([span.start_s + span.duration_s for span in spans], "s")
    marks = field.x_ticks([(scale.share(value), words) for value, words in scale.ticks])
    for place, span in enumerate(shown):
        y = field.top + place * _STEP
        took = quantity(span.duration_s, "s")
        x = field.x(scale.share(span.start_s))
        width = max(1.0, scale.share(span.duration_s) * field.width)
        spoken = f"{printable(span.name)}: {took} from {quantity(span.start_s, 's')} on{span.note}"
        marks.append(text(_LEFT + 4, y + 12, printable(span.name, 48), kind="n"))
        marks.append(text(WIDTH - 14, y + 12, took, kind="n", anchor="end"))
        marks.append(bar(x, y + 16, width, _THICK, series=span.kind, says=spoken))
    if left:
        marks.append(text(_LEFT, field.bottom - 4, f"… {left} more", kind="t"))
    return chart(title, says, field.whole_height, marks)
