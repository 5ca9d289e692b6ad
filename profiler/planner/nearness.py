"""How near a plan's triggers are, and when they are forecast to fire."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Literal

from profiler.planner.production import reaches, trend_of
from profiler.planner.review import TriggerReview

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from profiler.planner.plan import Plan
    from profiler.planner.review import Growth
    from profiler.planner.triggers import Trigger

NEAR = 0.8
"""Of a threshold: from there on a trigger is near."""
SOON_DAYS = 90
"""A quarter: until the next review."""
_FAR_DAYS = 3650


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A trigger in production: (seconds since 1970, value), the last one being that of now."""

    points: Sequence[tuple[float, float]]
    samples: float | None = None
    """Observations behind the last value; None: not asked for."""


State = Literal["fired", "near", "far", "unknown"]


def near(
    plan: Plan,
    again: Plan | None,
    watched: Mapping[str, Watched],
    *,
    growth: Growth | None,
    at: date,
) -> tuple[TriggerReview, ...]:
    """Review every trigger of a plan. `again` is the plan made of the actual profile, if there."""
    refitted = {} if again is None else {each.id: each.threshold for each in again.triggers}
    return tuple(
        _review(each, refitted.get(each.id), watched.get(each.id), at) for each in plan.triggers
    )


def _review(
    trigger: Trigger, threshold: float | None, watched: Watched | None, at: date
) -> TriggerReview:
    value = None if watched is None or not watched.points else watched.points[-1][1]
    state, why = _state(trigger, value, watched)
    likely = earliest = latest = None
    if state in {"near", "far"} and watched is not None and trigger.comparison == ">":
        trend = trend_of(watched.points)
        if trend is not None and trend.interval[0] > 0 and trigger.threshold > 0:
            likely, earliest, latest = (
                _day(seconds, at) for seconds in reaches(trend, trigger.threshold)
            )
    if state == "far" and likely is not None and (likely - at).days <= SOON_DAYS:
        state, why = "near", f"{why}, and rising: there on {likely}"
    return TriggerReview(
        id=trigger.id,
        title=trigger.title,
        stage=trigger.stage,
        unit=trigger.unit,
        planned_threshold=trigger.threshold,
        threshold=threshold,
        value=value,
        state=state,
        why=why,
        planned_date=None,
        date=None if likely is None else likely.isoformat(),
        dates=None if likely is None else (_text(earliest), _text(latest)),
    )


def _state(trigger: Trigger, value: float | None, watched: Watched | None) -> tuple[State, str]:
    if value is None or watched is None:
        return "unknown", f"nothing of {trigger.metric} is known"
    said = f"{value:.3g} {trigger.unit}, threshold {trigger.threshold:.3g}"
    if trigger.least_samples is not None and watched.samples is not None:
        if watched.samples < trigger.least_samples:
            few = f"{watched.samples:.0f} of {trigger.least_samples} observations"
            return "unknown", f"{said}, of too few to tell: {few}"
    above = trigger.comparison == ">"
    if value > trigger.threshold if above else value < trigger.threshold:
        return "fired", said
    close = value >= NEAR * trigger.threshold if above else value * NEAR <= trigger.threshold
    return ("near" if close else "far"), said


def _day(seconds: float | None, at: date) -> date | None:
    """Return the day of a forecast, none beyond ten years; never before today."""
    if seconds is None:
        return None
    days = (seconds - datetime(at.year, at.month, at.day, tzinfo=UTC).timestamp()) / 86_400
    if days > _FAR_DAYS:
        return None
    return date.fromordinal(at.toordinal() + max(0, round(days)))


def _text(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
