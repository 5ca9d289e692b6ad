"""From what Prometheus tells of production to the inputs of a plan; what to ask it for.

Sums are asked for in equal stretches of time, so that their spread tells how sure a mean is: the
stretches are the batches of a ratio of sums (see `estimates`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from profiler.planner import metric_names as names
from profiler.planner import promql
from profiler.planner.actual import Actual, of_buckets
from profiler.planner.estimates import of_ratio
from profiler.planner.review import Growth
from profiler.planner.review_inputs import (
    ATTEMPTS,
    CALLS,
    INPUT,
    LATENCY,
    LLM_TIME,
    OUTPUT,
    READS,
    TOOL_CALLS,
    TOOL_TIME,
    WRITES,
)
from profiler.profile.quantiles import student_t_quantile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

STRETCHES = 20
"""Of the time that is looked back on."""
WEEK_S = 7 * 86_400.0
MONTH_S = 30 * 86_400.0
_FEWEST_STRETCHES = 5
_FEWEST_WEEKS = 4
_PEAK_WINDOW_S = 300.0
_UPPER = 0.975


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """How production shows an input: one counter beside another, or a histogram's mean.

    `metric` is what has to be there; `histogram` is a selector's metric and labels, where the
    distribution is to be had.
    """

    metric: str
    part: str
    whole: str
    histogram: tuple[str, Mapping[str, str]] | None = None


def _mean(metric: str, **labels: str) -> Question:
    return Question(
        metric=metric,
        part=promql.selector(f"{metric}_sum", labels),
        whole=promql.selector(f"{metric}_count", labels),
        histogram=(metric, labels),
    )


def _each(metric: str, series: str, **labels: str) -> Question:
    """Ask for something per interaction."""
    whole = f"{names.INTERACTION_DURATION}_count"
    return Question(metric=metric, part=promql.selector(series, labels), whole=whole)


def _tokens(part: str) -> Question:
    return _mean(names.INTERACTION_TOKENS, part=part)


QUESTIONS: dict[str, Question] = {
    LATENCY: _mean(names.INTERACTION_DURATION),
    CALLS: _mean(names.INTERACTION_LLM_CALLS),
    ATTEMPTS: _each(names.LLM_ATTEMPTS, names.LLM_ATTEMPTS),
    LLM_TIME: _each(names.LLM_DURATION, f"{names.LLM_DURATION}_sum"),
    TOOL_CALLS: _each(names.TOOL_DURATION, f"{names.TOOL_DURATION}_count"),
    TOOL_TIME: _each(names.TOOL_DURATION, f"{names.TOOL_DURATION}_sum"),
    INPUT: _tokens("input"),
    OUTPUT: _tokens("output"),
    "interaction.system_tokens": _tokens("system"),
    "interaction.history_tokens": _tokens("history"),
    "interaction.user_tokens": _tokens("user"),
    READS: _each(names.STATE_OPERATIONS, names.STATE_OPERATIONS, operation="read"),
    WRITES: _each(names.STATE_OPERATIONS, names.STATE_OPERATIONS, operation="write"),
}
"""By the name of the input."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What Prometheus answered to a question: two sums by stretch, and buckets of it all."""

    parts: Sequence[float]
    wholes: Sequence[float]
    buckets: Sequence[tuple[float, float]] = ()


def window(seconds: float) -> str:
    """Return a duration as PromQL writes it; of at least a second."""
    return f"{max(1, math.ceil(seconds))}s"


def risen(selector: str, window_s: float) -> str:
    """Return by how much a counter rose in a stretch, all instances together."""
    return f"sum(increase({selector}[{window(window_s)}]))"


def by_bucket(question: Question, window_s: float) -> str | None:
    """Return the query for the buckets of a question's histogram; None: it has none."""
    if question.histogram is None:
        return None
    metric, labels = question.histogram
    buckets = promql.selector(f"{metric}_bucket", labels)
    return f"sum by (le) (increase({buckets}[{window(window_s)}]))"


def busiest(since_s: float) -> str:
    """Return the query for the interactions per minute of the busiest few minutes."""
    short = window(min(_PEAK_WINDOW_S, since_s / STRETCHES))
    rate = f"sum(rate({names.INTERACTIONS}[{short}])) * 60"
    return f"max_over_time(({rate})[{window(since_s)}:{short}])"


def actual_of(reading: Reading, *, design_effect: float = 1.0) -> Actual | None:
    """Return an input as production shows it; None: nothing of it happened.

    `design_effect` is by how much values of one session being alike counts for less.
    """
    parts, wholes = np.array(reading.parts), np.array(reading.wholes)
    whole = float(wholes.sum())
    if whole <= 0:
        return None
    told = wholes > 0
    interval = None
    if int(told.sum()) >= _FEWEST_STRETCHES:
        found = of_ratio(parts[told], wholes[told])
        interval = (found.low, found.high)
    mean = float(parts.sum()) / whole
    buckets = _sound(reading.buckets)
    if buckets is None:
        return Actual(mean=mean, mean_ci95=interval, size=whole / design_effect)
    return of_buckets(buckets, mean=mean, mean_ci95=interval, size=whole / design_effect)


def _sound(buckets: Sequence[tuple[float, float]]) -> list[tuple[float, float]] | None:
    """Return buckets in order, each with all below it; None where there are none to speak of.

    Extrapolation lets one fall behind a smaller one by a hair.
    """
    rising: list[tuple[float, float]] = []
    for edge, count in sorted(buckets):
        rising.append((edge, max(count, rising[-1][1] if rising else 0.0)))
    is_whole = len(rising) > 1 and math.isinf(rising[-1][0]) and rising[-1][1] > 0
    return rising if is_whole else None


def growth_of(weeks: Sequence[tuple[float, float]]) -> Growth | None:
    """Fit growth through (seconds, interactions of the week before); None: under four weeks."""
    trend = trend_of(weeks)
    if trend is None:
        return None
    low, high = trend.interval
    return Growth(
        per_month=math.expm1(trend.slope_per_s * MONTH_S),
        ci95=(math.expm1(low * MONTH_S), math.expm1(high * MONTH_S)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """A line through logarithms: `level` is that of the last point; slopes are per second."""

    level: float
    slope_per_s: float
    interval: tuple[float, float]
    at_s: float


def trend_of(points: Sequence[tuple[float, float]]) -> Trend | None:
    """Fit ln(value) = a + b t by least squares, b with its 95 % interval (Student's t).

    Points are (seconds, value); those of nothing are left out. None for fewer than four.
    """
    kept = [(at, math.log(value)) for at, value in points if value > 0]
    n = len(kept)
    if n < _FEWEST_WEEKS:
        return None
    times, logs = np.array(kept).T
    end = float(times[-1])
    t = times - times.mean()
    spread = float(t @ t)
    slope = float(t @ logs) / spread
    left = logs - logs.mean() - slope * t
    error = math.sqrt(float(left @ left) / (n - 2) / spread)
    half = student_t_quantile(n - 2, _UPPER) * error
    return Trend(
        level=float(logs.mean()) + slope * float(t[-1]),
        slope_per_s=slope,
        interval=(slope - half, slope + half),
        at_s=end,
    )


def reaches(trend: Trend, threshold: float) -> tuple[float | None, float | None, float | None]:
    """Return the seconds at which a rising trend is at a threshold: likely, earliest, latest.

    None for a slope that never gets there.
    """
    low, high = trend.interval
    distance = math.log(threshold) - trend.level
    likely, earliest, latest = (
        trend.at_s + distance / slope if slope > 0 else None
        for slope in (trend.slope_per_s, high, low)
    )
    return likely, earliest, latest
