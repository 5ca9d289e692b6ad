"""Scales: where a value stands, which values are written beside it, and how."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from profiler.report.charts.svg import WIDTH, line, text
from profiler.report.quantities import percent, quantity, scale_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup

LEFT, RIGHT, TOP, BOTTOM = 56, 14, 12, 36
_TICKS_ONLY = 20
_LEAST_GAP = 0.1
"""Between two texts of a horizontal axis, as a share of its width."""
_MARGIN = 0.05
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
USD, SHARE, PER_S = "usd", "share", "per s"
"""Units of charts beside those of distributions: dollars, a share of 1, events per second."""


def nice_step(span: float, most: int) -> float:
    """Return the smallest 1, 2, 2.5 or 5 times a power of ten of which `most` cover the span."""
    if span <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(span / most))
    return next((s * power for s in _STEPS if s * power * most >= span * (1 - 1e-9)), 10 * power)


@dataclass(frozen=True, slots=True)
class Axis:
    """A linear scale from 0 (or a lower `low`) to `high`, with its ticks as values and texts."""

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]

    def share(self, value: float) -> float:
        """Return how far along the axis a value is, from 0 to 1 within it."""
        return (value - self.low) / (self.high - self.low)


def axis(values: Sequence[float], unit: str, *, most: int = 5, is_whole: bool = False) -> Axis:
    """Return an axis that holds 0 and all values, `most` steps of it at most.

    `is_whole` keeps ticks from lying between integers.
    """
    low, high = min(0.0, *values, 0.0), max(0.0, *values, 0.0)
    if low == high:
        high = 1.0  # nothing but zeros: any axis holds them
    factor, _, _ = _written(max(abs(low), abs(high)), unit)
    step = _step(high - low, factor, most, is_whole=is_whole)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    last = max(last, first + 1)
    return Axis(first * step, last * step, _ticks(range(first, last + 1), step, unit))


def axis_around(values: Sequence[float], unit: str, *, most: int = 4) -> Axis:
    """Return an axis a little wider than the values, which need not hold 0; ticks are within it."""
    low, high = min(values), max(values)
    span = (high - low) or abs(high) or 1.0
    low, high = low - _MARGIN * span, high + _MARGIN * span
    factor, _, _ = _written(max(abs(low), abs(high)), unit)
    step = _step(high - low, factor, most)
    near = range(math.floor(low / step), math.ceil(high / step) + 1)
    inside = [n for n in near if low <= n * step <= high]
    return Axis(low, high, _ticks(inside, step, unit))


def _step(span: float, factor: float, most: int, *, is_whole: bool = False) -> float:
    """Return a step that is round as it is written: in minutes, not seconds, where they are."""
    step = nice_step(span * factor, most)
    return (max(1.0, float(math.ceil(step))) if is_whole and factor == 1 else step) / factor


def _ticks(numbers: Sequence[int], step: float, unit: str) -> tuple[tuple[float, str], ...]:
    """Return the multiples of a step with their texts, all with the decimals that it needs."""
    size = max((abs(n) * step for n in numbers), default=0.0)
    factor, suffix, prefix = _written(size, unit)
    scaled = step * factor
    decimals = max(0, -math.floor(math.log10(scaled) + 1e-9))
    if not math.isclose(scaled * 10**decimals, round(scaled * 10**decimals), rel_tol=1e-9):
        decimals += 1  # 2.5 needs one more than 2 does
    return tuple(
        (
            n * step,
            f"{'-' if n < 0 else ''}{prefix}{abs(n) * scaled:,.{decimals}f}{suffix}" if n else "0",
        )
        for n in numbers
    )


def _written(size: float, unit: str) -> tuple[float, str, str]:
    """Return by what values are multiplied, and what is written after and before them."""
    if unit == SHARE:
        return 100.0, " %", ""
    if unit == USD:
        scale = scale_for(size, "count")
        return scale.factor, scale.suffix, "$"
    if unit == PER_S:
        scale = scale_for(size, "count")
        return scale.factor, f"{scale.suffix}/s", ""
    scale = scale_for(size, unit)
    return scale.factor, scale.suffix, ""


def written(value: float, unit: str) -> str:
    """Write one value in a chart's unit."""
    if unit == SHARE:
        return percent(value)
    if unit == USD:
        return f"{'-' if value < 0 else ''}${quantity(abs(value), 'count')}"
    if unit == PER_S:
        return f"{quantity(value, 'count')}/s"
    return quantity(value, unit)


@dataclass(frozen=True, slots=True)
class Field:
    """The rectangle in which marks are drawn."""

    height: float
    left: float = LEFT
    top: float = TOP
    x_name: str = ""
    """What the horizontal axis is, written below its ticks."""

    @property
    def width(self) -> float:
        """Its width in units of the chart."""
        return WIDTH - RIGHT - self.left

    @property
    def bottom(self) -> float:
        """Where its lower edge is."""
        return self.top + self.height

    @property
    def whole_height(self) -> float:
        """The height of a chart with this field and what is written below it."""
        return self.bottom + (BOTTOM if self.x_name else _TICKS_ONLY)

    def x(self, share: float) -> float:
        """Return where a share of the width is."""
        return self.left + share * self.width

    def y(self, share: float) -> float:
        """Return where a share of the height is, from below."""
        return self.bottom - share * self.height

    def y_ticks(self, scale: Axis) -> list[Markup]:
        """Draw a line and a text at each tick of a vertical axis."""
        marks = []
        for value, words in scale.ticks:
            y = self.y(scale.share(value))
            marks.append(line(self.left, y, self.left + self.width, y, _grid(value)))
            marks.append(text(self.left - 6, y + 4, words, kind="t", anchor="end"))
        return marks

    def x_ticks(self, ticks: Sequence[tuple[float, str]], *, grid: bool = True) -> list[Markup]:
        """Draw a line and a text at each tick of a horizontal axis: shares of the width, texts.

        A text for which there is no room is left out; then the axis's name is written.
        """
        marks, last = [], 2.0
        for share, words in sorted(ticks, reverse=True):
            x = self.x(share)
            if grid:
                marks.append(line(x, self.top, x, self.bottom, _grid(share)))
            if last - share < _LEAST_GAP and grid:
                continue
            last = share
            at_end = share > 0.96  # noqa: PLR2004 - where a text in the middle would be cut off
            anchor = "end" if at_end else "middle"
            x = self.left + self.width if at_end else x
            marks.append(text(x, self.bottom + 16, words, kind="t", anchor=anchor))
        if self.x_name:
            middle = self.left + self.width / 2
            marks.append(text(middle, self.bottom + 32, self.x_name, kind="t", anchor="middle"))
        return marks


def _grid(value: float) -> str:
    return "a" if value == 0 else "g"
