"""How near a plan's triggers are, and when they are forecast to fire."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from profiler.planner import metric_names as names
from profiler.planner.forecast import after, months_to
from profiler.planner.production import reaches, trend_of
from profiler.planner.review import TriggerReview

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from profiler.planner.plan import Plan
    from profiler.planner.review import Growth
    from profiler.planner.rollout_plan import StagePlan
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Growing:
    """What a stage's date is forecast again from, where only production is known.

    `peak_per_minute` are the interactions of today's peak. The others are what the planned workers
    and limits carry now, as a share of what the plan had them carry.
    """

    growth: Growth
    peak_per_minute: float
    by_workers: float
    by_limits: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Forecast:
    likely: date | None = None
    early: date | None = None
    late: date | None = None


def near(
    plan: Plan,
    again: Plan | None,
    watched: Mapping[str, Watched],
    *,
    growing: Growing | None,
    at: date,
) -> tuple[TriggerReview, ...]:
    """Review every trigger of a plan. `again` is the plan made of the actual profile, if there."""
    refitted = {} if again is None else {each.id: each.threshold for each in again.triggers}
    planned, now = _stages(plan), {} if again is None else _stages(again)
    found = []
    for trigger in plan.triggers:
        seen, stage = watched.get(trigger.id), planned.get(trigger.id)
        if trigger.stage is None:
            forecast = _by_trend(trigger, seen, at)
        elif again is not None:
            forecast = _of_stage(now.get(trigger.id))
        else:
            forecast = _by_growth(stage, trigger, growing, at)
        found.append(
            _review(
                trigger,
                threshold=refitted.get(trigger.id),
                watched=seen,
                forecast=forecast,
                stage=stage,
                at=at,
            )
        )
    return tuple(found)


def _stages(plan: Plan) -> dict[str, StagePlan]:
    """Return the stages that a trigger leads to, by its id."""
    stages = () if plan.rollout is None else plan.rollout.stages
    return {each.trigger.id: each for each in stages if each.trigger is not None}


def _review(
    trigger: Trigger,
    *,
    threshold: float | None,
    watched: Watched | None,
    forecast: _Forecast,
    stage: StagePlan | None,
    at: date,
) -> TriggerReview:
    value = None if watched is None or not watched.points else watched.points[-1][1]
    state, why = _state(trigger, value, watched)
    likely = forecast.likely
    if state in {"far", "unknown"} and likely is not None and (likely - at).days <= SOON_DAYS:
        state, why = "near", f"{why}; forecast for {likely}"
    start_by = None
    if likely is not None and stage is not None:
        start_by = likely - timedelta(days=stage.lead_time_days)
    planned = None if stage is None or stage.forecast is None else stage.forecast.likely
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
        planned_date=planned,
        date=_text(likely),
        dates=None if likely is None else (_text(forecast.early), _text(forecast.late)),
        start_by=_text(start_by),
    )


def _by_trend(trigger: Trigger, watched: Watched | None, at: date) -> _Forecast:
    """Go on as the value did; only where it rises by more than chance."""
    if watched is None or trigger.comparison != ">" or trigger.threshold <= 0:
        return _Forecast()
    trend = trend_of(watched.points)
    if trend is None or trend.interval[0] <= 0:
        return _Forecast()
    likely, early, late = (_day(one, at) for one in reaches(trend, trigger.threshold))
    return _Forecast(likely=likely, early=early, late=late)


def _of_stage(stage: StagePlan | None) -> _Forecast:
    if stage is None or stage.forecast is None:
        return _Forecast()
    found = stage.forecast
    likely, early, late = (
        None if text is None else date.fromisoformat(text)
        for text in (found.likely, found.early, found.late)
    )
    return _Forecast(likely=likely, early=early, late=late)


def _by_growth(
    stage: StagePlan | None, trigger: Trigger, growing: Growing | None, at: date
) -> _Forecast:
    """Grow today's peak to the load at which the plan has the trigger fire, moved by the drift."""
    if growing is None or stage is None or stage.forecast is None:
        return _Forecast()
    moved = growing.by_limits if trigger.metric == names.LLM_RATE_LIMITED else growing.by_workers
    ratio = stage.forecast.interactions_per_minute * moved / growing.peak_per_minute
    low, high = growing.growth.ci95 or (growing.growth.per_month, growing.growth.per_month)
    likely, early, late = (
        after(at, months_to(ratio, max(0.0, growth)))
        for growth in (growing.growth.per_month, high, low)
    )
    return _Forecast(likely=likely, early=early, late=late)


def _state(trigger: Trigger, value: float | None, watched: Watched | None) -> tuple[State, str]:
    if value is None or watched is None:
        return "unknown", f"nothing of {trigger.metric} is known"
    said = f"{value:.3g} {trigger.unit}, threshold {trigger.threshold:.3g}"
    least, samples = trigger.least_samples, watched.samples
    if least is not None and samples is not None and samples < least:
        return "unknown", f"{said}, of too few to tell: {samples:.0f} of {least} observations"
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
