"""The stages of a rollout as a demand states them, and the defaults: common practice, all editable.

What a stage holds, when its trigger fires and what it costs is computed (`rollout`); here is only
what a person decides.
"""

from __future__ import annotations

import math
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from profiler.planner.ranges import Growth, Usd  # noqa: TC001 - pydantic reads them
from profiler.planner.workers import DEEP
from profiler.workload.strict import Count, PositiveCount, Strict, Text, problem
from profiler.workload.units import duration_s

if TYPE_CHECKING:
    from collections.abc import Mapping

TriggerMetric = Literal[
    "queue_depth_per_worker", "rate_limited_share", "answer_latency_p95", "active_sessions"
]
_LEAST_WINDOW_S = 60.0


def _window(value: Any) -> float:
    try:
        seconds = duration_s(value)
    except ValueError as exc:
        raise problem(str(exc), "Write it like 10m or 1h") from exc
    if seconds < _LEAST_WINDOW_S or seconds != round(seconds):
        what = f"{value} is no window of whole seconds, a minute at the least"
        raise problem(what, "Write it like 10m or 1h")
    return seconds


Window = Annotated[float, BeforeValidator(_window)]
"""Whole seconds, 60 at the least: shorter ones hold too few scrapes."""


class StageTrigger(Strict):
    """What has to be seen in production for the move to a stage."""

    metric: TriggerMetric
    above: float
    """Waiting interactions per worker, a share, seconds, or sessions, as the metric says."""
    window: Window = 600.0
    """Over which the metric is taken, in seconds."""
    hold: Window = 900.0
    """How long it has to stay above, in seconds."""

    @field_validator("above", mode="before")
    @classmethod
    def _in_its_unit(cls, value: Any, info: ValidationInfo) -> float:
        metric = info.data.get("metric")
        number = value
        if metric == "rate_limited_share" and isinstance(value, str) and value.endswith("%"):
            number = _as_number(value[:-1]) / 100
        elif metric == "answer_latency_p95":
            try:
                number = duration_s(value)
            except ValueError as exc:
                raise problem(str(exc), "Write it like 5s or 800ms") from exc
        number = _as_number(number)
        if number <= 0:
            raise problem(f"{value} is not above zero", "Write more than 0")
        if metric == "rate_limited_share" and number >= 1:
            raise problem(f"{value} is no share below 1", "Write it like 0.02 or 2%")
        return number


def _as_number(value: Any) -> float:
    text = str(value) if isinstance(value, int | float | str) else ""
    try:
        number = float("nan" if isinstance(value, bool) else text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise problem(f"{value!r} is not a number", "Write digits")
    return number


class StageWorkers(Strict):
    """How many workers a stage has on its one server."""

    least: PositiveCount
    most: PositiveCount

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.least > self.most:
            what = f"the least workers, {self.least}, are more than the most, {self.most}"
            raise problem(what, "Let least be at most `most`")
        return self


class Stage(Strict):
    """One stage: what leads to it, what it consists of, how to get there and back."""

    name: Text
    trigger: StageTrigger | None = None
    """None: the rollout starts here."""
    workers: StageWorkers | None = None
    """On one server, beside one Redis for queue and state; None: as many as the peak needs."""
    routing: bool = False
    """Whether calls go to a model's fallback before its limits reject them."""
    changes: tuple[Text, ...] = ()
    """What changes in the infrastructure."""
    lead_time_days: Count = 0
    """From the decision until it carries load."""
    way_back: Text | None = None
    monthly_usd: dict[str, Usd] = Field(default_factory=dict)
    """What else this stage costs a month, by name."""


def _default(trigger: Mapping[str, Any] | None, **stage: Any) -> Stage:
    return Stage.model_validate({**stage, "trigger": trigger})


def default_stages() -> tuple[Stage, ...]:
    """Return the stages that stand in for a demand's own."""
    return (
        _default(
            None,
            name="one server",
            workers={"least": 3, "most": 5},
            changes=("one server for all workers", "one Redis for queue and state", "basic logs"),
            way_back="it is the first stage: nothing to go back to",
        ),
        _default(
            {"metric": "queue_depth_per_worker", "above": DEEP, "window": "10m", "hold": "15m"},
            name="autoscaling",
            changes=(
                "workers scale on what waits for each, on machines of which one may fail",
                "a Redis of its own for state, apart from the queue",
                "structured logs and monitoring",
            ),
            lead_time_days=28,
            way_back=(
                "set the fewest and the most workers to the one server's; move state back in an "
                "hour without traffic; keep the server until a month's peak has passed"
            ),
        ),
        _default(
            {"metric": "rate_limited_share", "above": "2%", "window": "1h", "hold": "15m"},
            name="several models",
            routing=True,
            changes=(
                "calls are routed over several models, before limits reject them",
                "an inference layer between agent and providers",
                "distributed tracing",
            ),
            lead_time_days=56,
            way_back=(
                "route all calls to the first model again: a setting of the inference layer, which "
                "the agent's own client can go around"
            ),
        ),
    )


def _stages(value: Any) -> Any:
    if value == []:
        raise problem("there is no stage", "Leave stages out for the defaults")
    return value


def _date(value: Any) -> date:
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError) as exc:
        raise problem(f"{value!r} is no date", "Write it like 2026-12-01") from exc


class Rollout(Strict):
    """When it starts, how it grows, in which stages."""

    start: Annotated[date, BeforeValidator(_date)] | None = None
    """The launch, with the users of the first growth factor; None: the plan's date."""
    growth_per_month: Growth | None = None
    """Of the users, compound; None: not known, and no date is forecast."""
    stages: Annotated[tuple[Stage, ...], BeforeValidator(_stages)] = Field(
        default_factory=default_stages
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        names: set[str] = set()
        for place, stage in enumerate(self.stages):
            at = ("stages", place)
            if place == 0 and stage.trigger is not None:
                what = "the first stage is where the rollout starts: nothing triggers it"
                raise problem(what, "Leave its trigger out", below=(*at, "trigger"))
            if place > 0 and stage.trigger is None:
                what = f"nothing triggers the move to '{stage.name}'"
                raise problem(what, "Give it a trigger: {metric, above}", below=at)
            if stage.name in names:
                what = f"two stages are called '{stage.name}'"
                raise problem(what, "Call one of them otherwise", below=(*at, "name"))
            names.add(stage.name)
            for before in range(place):
                self._in_order(before, place)
        return self

    def _in_order(self, before: int, place: int) -> None:
        first, second = self.stages[before], self.stages[place]
        at = ("stages", place)
        if second.workers is not None:
            if first.workers is None:
                what = f"'{second.name}' has a fixed number of workers, after '{first.name}' scaled"
                fix = "Put stages in the order in which they grow"
                raise problem(f"stages out of order: {what}", fix, below=(*at, "workers"))
            if second.workers.most < first.workers.most:
                what = f"'{second.name}' has fewer workers than '{first.name}' before it"
                fix = "Put stages in the order in which they grow"
                raise problem(f"stages out of order: {what}", fix, below=(*at, "workers"))
        one, other = self._threshold(before), self._threshold(place)
        if one is None or other is None or one[0] != other[0]:
            return
        if other[1] == one[1]:
            what = f"contradictory triggers: '{first.name}' and '{second.name}' wait for the same"
            what += f" {one[0]}, above {one[1]:g}"
            fix = "Raise the later one's threshold, or make them one stage"
            raise problem(what, fix, below=(*at, "trigger"))
        if other[1] < one[1]:
            what = f"stages out of order: '{second.name}' waits for {one[0]} above {other[1]:g}, "
            what += f"'{first.name}' before it for {one[1]:g}"
            fix = "Put stages in the order in which their triggers fire"
            raise problem(what, fix, below=(*at, "trigger"))

    def _threshold(self, place: int) -> tuple[str, float] | None:
        """Return metric and threshold; of a queue, the interactions that wait."""
        trigger = self.stages[place].trigger
        if trigger is None:
            return None
        if trigger.metric == "queue_depth_per_worker":
            workers = self.stages[place - 1].workers
            return None if workers is None else ("queue depth", trigger.above * workers.most)
        return trigger.metric, trigger.above
