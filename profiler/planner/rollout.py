"""The phased rollout: which stages the demand goes through, when, with what, at what cost."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np

from profiler.planner.forecast import Reached, reached
from profiler.planner.rollout_plan import (
    RolloutPlan,
    StageCapacity,
    StageForecast,
    StageLeftOut,
    StagePlan,
)
from profiler.planner.stage_capacity import Capacity, capacity
from profiler.planner.stage_cost import stage_cost
from profiler.planner.stage_firing import Firing, firing, pressure
from profiler.planner.stage_load import Loads
from profiler.planner.stage_triggers import stage_trigger

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from profiler.planner.evaluate import Point
    from profiler.planner.scale import Scaling
    from profiler.planner.stages import Rollout, Stage
    from profiler.planner.triggers import Trigger

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reached:
    """A stage that the demand reaches: from `begin` on; `found` is None where it starts."""

    number: int
    stage: Stage
    begin: float
    capacity: Capacity | None
    found: Firing | None = None
    trigger: Trigger | None = None


def build_rollout(scaling: Scaling, points: Sequence[Point], at: date) -> RolloutPlan:
    """Return the rollout of a plan; `points` are its draws, `at` its date.

    A stage is reached when its trigger fires between the launch (the first growth factor) and the
    demand's end (the last), under the workers of the stage before it.
    """
    demand = scaling.setting.demand
    loads = Loads(scaling=scaling, launch=demand.growth[0], end=demand.growth[-1])
    rollout = demand.rollout
    kept, left_out = _walk(loads, rollout.stages)
    start = rollout.start if rollout.start is not None else at
    calendar = _Calendar(loads=loads, rollout=rollout, start=start, points=points)
    growth = rollout.growth_per_month
    return RolloutPlan(
        start=start.isoformat(),
        growth_per_month=None if growth is None else (growth.low, growth.likely, growth.high),
        stages=tuple(_stages(calendar, kept)),
        left_out=tuple(left_out),
        notes=() if calendar.no_dates is None else (calendar.no_dates,),
    )


def _walk(loads: Loads, stages: Sequence[Stage]) -> tuple[list[_Reached], list[StageLeftOut]]:
    """Go through the stages in order: which are reached, which are not, and where it starts."""
    kept = [_reached_at(loads, 1, stages[0])]
    left_out: list[StageLeftOut] = []
    for number, stage in enumerate(stages[1:], start=2):
        before = kept[-1]
        assert stage.trigger is not None  # noqa: S101 - only the first has none
        workers = None if before.stage.workers is None else before.stage.workers.most
        found = firing(loads, stage.trigger, workers)
        at_launch = None if isinstance(found, str) else found.at_launch
        trigger = stage_trigger(number, stage, workers, at_launch)
        beyond = _beyond(loads, before, found, trigger)
        if beyond is not None:
            passed = enumerate(stages[: number - 1], start=1)
            left_out = [_left_out(place, each, beyond, None) for place, each in passed]
            kept = [_reached_at(loads, number, stage)]
        elif isinstance(found, str) or found.factor is None:
            reason = found
            if isinstance(found, Firing):
                each = trigger.threshold / stage.trigger.above  # a queue's threshold is of all
                reason = _not_reached(loads, found.at_end * each, trigger)
            left_out.append(_left_out(number, stage, str(reason), trigger))
        else:
            kept.append(_reached_at(loads, number, stage, found, trigger))
    return kept, left_out


def _left_out(number: int, stage: Stage, reason: str, trigger: Trigger | None) -> StageLeftOut:
    return StageLeftOut(number=number, name=stage.name, reason=reason, trigger=trigger)


def _reached_at(
    loads: Loads,
    number: int,
    stage: Stage,
    found: Firing | None = None,
    trigger: Trigger | None = None,
) -> _Reached:
    factor = None if found is None else found.factor
    most = None if stage.workers is None else stage.workers.most
    unknown = stage.routing and not _has_fallback(loads)
    return _Reached(
        number=number,
        stage=stage,
        begin=loads.launch if factor is None else factor,
        capacity=None if unknown else capacity(loads, most, routing=stage.routing),
        found=found,
        trigger=trigger,
    )


def _has_fallback(loads: Loads) -> bool:
    return any(model.fallback is not None for model in loads.demand.models.values())


def _beyond(loads: Loads, before: _Reached, found: Firing | str, trigger: Trigger) -> str | None:
    """Say why the launch is beyond the stage before; None: it is not."""
    if isinstance(found, Firing) and found.factor == loads.launch:
        return f"the launch is beyond it, from the first day on: {trigger.title}"
    needed, workers = loads.sizing(loads.launch).count, before.stage.workers
    if before.begin == loads.launch and workers is not None and needed > workers.most:
        return f"the launch needs {needed} workers, and it has {workers.most} at most"
    return None


def _not_reached(loads: Loads, at_end: float, trigger: Trigger) -> str:
    return (
        f"the demand does not reach it: at {loads.end:g}x, {loads.peak(loads.end).users:,.0f} "
        f"users, {trigger.metric} makes {at_end:.3g} ({trigger.unit}) against a threshold of "
        f"{trigger.threshold:g}"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Calendar:
    """Turns loads into dates."""

    loads: Loads
    rollout: Rollout
    start: date
    points: Sequence[Point]

    @property
    def no_dates(self) -> str | None:
        """Why there are no dates; None: there are."""
        growth = self.rollout.growth_per_month
        if growth is None:
            return "no date can be forecast: write rollout.growth_per_month, like 10%"
        if growth.high == 0:
            return (
                "no date can be forecast: rollout.growth_per_month is zero; write the growth that "
                "you expect, like 10%, or a range"
            )
        return None

    def when(self, each: _Reached) -> Reached | None:
        """Return when a stage's trigger fires, with a range."""
        growth, found = self.rollout.growth_per_month, each.found
        if growth is None or growth.high == 0 or found is None:
            return None
        drawn = list(self._drawn(each, found))
        return reached(
            self.start, each.begin / self.loads.launch, growth, drawn, seed=self.loads.scaling.seed
        )

    def _drawn(self, each: _Reached, found: Firing) -> Iterator[float | None]:
        """Yield the ratio to the launch at which the trigger fires in each draw.

        Where it is not known how limits are enforced, each draw takes one of the ways.
        """
        trigger = each.stage.trigger
        assert trigger is not None  # noqa: S101 - it has been found
        rng = np.random.default_rng((self.loads.scaling.seed, 17))
        ways = list(found.factors.values())
        planned = pressure(self.loads, trigger, found, None)
        for point in self.points:
            factor = ways[int(rng.integers(len(ways)))]
            drawn = pressure(self.loads, trigger, found, point)
            if factor is None or drawn == 0:
                yield None
            else:
                yield factor / self.loads.launch * planned / drawn

    def at(self, factor: float) -> date | None:
        """Return the likely date of a load; None: no growth, or not within 30 years."""
        growth = self.rollout.growth_per_month
        if growth is None:
            return None
        return reached(self.start, factor / self.loads.launch, growth).likely


def _stages(calendar: _Calendar, kept: Sequence[_Reached]) -> Iterator[StagePlan]:
    loads = calendar.loads
    for place, each in enumerate(kept):
        before = kept[place - 1] if place else None
        ends = [one.begin for one in kept if one.begin > each.begin]
        end = min([loads.end, *ends, *([each.capacity.factor] if each.capacity else [])])
        end = max(each.begin, end)
        begin_cost, end_cost = (
            stage_cost(loads, each.stage, factor, _workers(loads, each.stage, factor))
            for factor in (each.begin, end)
        )
        yield StagePlan(
            number=each.number,
            name=each.stage.name,
            starts_here=before is None,
            trigger=each.trigger,
            forecast=None if before is None else _forecast(calendar, each, before),
            changes=each.stage.changes,
            workers=(begin_cost.workers, end_cost.workers),
            capacity=_capacity(calendar, each.capacity),
            cost_at_begin=begin_cost,
            cost_at_end=end_cost,
            lead_time_days=each.stage.lead_time_days,
            way_back=each.stage.way_back,
            notes=tuple(_notes(loads, each, before)),
        )


def _workers(loads: Loads, stage: Stage, factor: float) -> int:
    needed = loads.sizing(factor).count
    if stage.workers is None:
        return needed
    return max(stage.workers.least, min(stage.workers.most, needed))


def _capacity(calendar: _Calendar, found: Capacity | None) -> StageCapacity | None:
    if found is None:
        return None
    users = _users(calendar.loads, found)
    pace = calendar.loads.peak(found.factor).interactions_per_user_minute
    return StageCapacity(
        users=users,
        interactions_per_minute=users * pace,
        binds=found.binds,
        reached_on=_text(calendar.at(found.factor)),
    )


def _users(loads: Loads, found: Capacity) -> int:
    """Return whole users; a hair below a whole number is that number."""
    return math.floor(loads.peak(found.factor).users * (1 + _ROUNDING))


def _forecast(calendar: _Calendar, each: _Reached, before: _Reached) -> StageForecast:
    found, loads = each.found, calendar.loads
    assert found is not None  # noqa: S101 - only where it starts there is none
    peak, when = loads.peak(each.begin), calendar.when(each)
    by_way = {
        name: None if factor is None else loads.peak(factor).users
        for name, factor in found.factors.items()
        if len(found.factors) > 1
    }
    has_range = when is not None and when.has_range
    return StageForecast(
        users=peak.users,
        interactions_per_minute=peak.interactions_per_minute,
        users_by_enforcement=by_way,
        likely=None if when is None else _text(when.likely),
        early=_text(when.early) if when is not None and has_range else None,
        late=_text(when.late) if when is not None and has_range else None,
        start_by=_text(_start_by(calendar, each, before)),
        note=_why_no_date(calendar, when),
    )


def _why_no_date(calendar: _Calendar, when: Reached | None) -> str | None:
    if when is None:
        return calendar.no_dates
    if when.likely is None:
        return "not within 30 years at the likely growth"
    if when.has_range and when.late is None:
        return "the range is open: some draws do not come to it in 30 years, or at all"
    return None


def _start_by(calendar: _Calendar, each: _Reached, before: _Reached) -> date | None:
    """Return when to begin: the lead time before the stage before is full, or the trigger fires."""
    if calendar.no_dates is not None:
        return None
    full = None if before.capacity is None else calendar.at(before.capacity.factor)
    dates = [day for day in (full, calendar.at(each.begin)) if day is not None]
    return min(dates) - timedelta(days=each.stage.lead_time_days) if dates else None


def _notes(loads: Loads, each: _Reached, before: _Reached | None) -> Iterator[str]:
    if each.capacity is not None and each.capacity.factor < each.begin:
        yield (
            f"it is full when it begins, at {_users(loads, each.capacity):,} users: "
            f"{each.capacity.binds}"
        )
    if each.stage.routing and not _has_fallback(loads):
        yield (
            "its capacity is not known: name a second model under models, with its limits, as the "
            "fallback of the first"
        )
    if each.stage.routing and not each.stage.monthly_usd:
        yield "what routes the calls is not in its cost: write it under its monthly_usd"
    if before is None:
        return
    full = before.capacity
    if full is not None and full.factor < each.begin:
        yield (
            f"stage {before.number} is full before the trigger fires, at "
            f"{_users(loads, full):,} users ({full.binds}): begin by the date, not by the alert"
        )
    if each.begin < before.begin:
        yield f"its trigger fires before that of stage {before.number}: be ready for it first"


def _text(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
