"""A line over many runs, in the order of their start, with the places where it changed."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from profiler.report.charts.axis import Field, axis, axis_around, written
from profiler.report.charts.svg import chart, line, path, point

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from markupsafe import Markup

    from profiler.report.charts.axis import Axis

_HEIGHT = 150
_LINE, _CHANGE = 0, 1
_MARGIN = 0.04
"""Shares of the width left free on either side, for the dots of the first and the last run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What stands under a run, what it is called, its value and the interval of that.

    None: the run has no such value (a gap, not a zero), or its interval is not known.
    """

    label: str
    name: str
    value: float | None
    interval: tuple[float, float] | None = None


def over_runs(
    runs: Sequence[Run], changes: Mapping[int, str], unit: str, *, title: str, says: str
) -> Markup:
    """Draw a dot for each run; the line is broken where one has no value.

    `changes` are the places from which on the value is another, with what is said there. The
    vertical axis is around the values: it need not hold 0.
    """
    field = Field(_HEIGHT, x_name="runs, in order of start")
    scale = _scale(runs, unit)
    shares = [_place(number, len(runs)) for number in range(len(runs))]
    ticks = [(share, run.label) for share, run in zip(shares, runs, strict=True)]
    marks = [*field.y_ticks(scale), *field.x_ticks(_apart(ticks), grid=False)]
    for at in changes:
        x = field.x((shares[at - 1] + shares[at]) / 2)
        marks.append(line(x, field.top, x, field.bottom, "r"))
    known = [
        (number, field.x(share), run.value, run)
        for number, (share, run) in enumerate(zip(shares, runs, strict=True))
        if run.value is not None
    ]
    for (a, left, old, _), (b, right, new, _) in pairwise(known):
        if b == a + 1:
            ends_at = [(left, field.y(scale.share(old))), (right, field.y(scale.share(new)))]
            marks.append(path(ends_at, _LINE))
    for number, x, value, run in known:
        said = f"{run.name}: {written(value, unit)}"
        if run.interval is not None:
            low, high = run.interval
            said += f" [{written(low, unit)}, {written(high, unit)}]"
            marks.append(line(x, field.y(scale.share(low)), x, field.y(scale.share(high)), "i"))
        if number in changes:
            said += f"; {changes[number]}"
        series = _CHANGE if number in changes else _LINE
        marks.append(point(x, field.y(scale.share(value)), series, said, seen=True))
    return chart(title, says, field.whole_height, marks)


def _scale(runs: Sequence[Run], unit: str) -> Axis:
    """Return an axis that has all values and intervals; none goes below zero if they do not."""
    ends = [end for run in runs if run.interval is not None for end in run.interval]
    every = [*(run.value for run in runs if run.value is not None), *ends]
    scale = axis_around(every, unit)
    return axis(every, unit, most=4) if scale.low < 0 <= min(every) else scale


def _place(number: int, count: int) -> float:
    """Return where a run stands, as a share of the width; the only one in the middle."""
    return 0.5 if count == 1 else _MARGIN + (1 - 2 * _MARGIN) * number / (count - 1)


def _apart(ticks: Sequence[tuple[float, str]]) -> list[tuple[float, str]]:
    """Return the ticks that have room beside each other; the first is among them."""
    kept: list[tuple[float, str]] = []
    for share, words in ticks:
        if not kept or (share - kept[-1][0] >= _ROOM and kept[-1][1] != words):
            kept.append((share, words))
    return kept


_ROOM = 0.12
"""As a share of the width: a text of five characters, and some space."""
