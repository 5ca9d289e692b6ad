"""The rollout in plan.json: stages with trigger, capacity, cost and dates, and those left out."""

from __future__ import annotations

from pydantic import Field

from profiler.planner.triggers import Trigger  # noqa: TC001 - pydantic reads it
from profiler.profile.distribution import Strict


class StageCapacity(Strict):
    """What a stage carries within the service level and the headroom."""

    users: int = Field(description="concurrent users at the peak")
    interactions_per_minute: float = Field(description="of those users")
    binds: str = Field(description="what is full there")
    reached_on: str | None = Field(description="date; null: no growth, or not within 30 years")


class StageCost(Strict):
    """The bill of a month with so many users, US dollars."""

    users: float = Field(description="concurrent users at the peak")
    workers: int
    total: float
    api: float
    infrastructure: float
    operations: float
    lines: dict[str, float] = Field(description="infrastructure, by line")
    note: str | None = None


class StageForecast(Strict):
    """When the trigger fires under the stated growth: dates, ISO 8601."""

    users: float = Field(description="concurrent users at which it fires")
    interactions_per_minute: float
    users_by_enforcement: dict[str, float | None] = Field(
        description="where how limits are enforced is not known: users by way; null: never"
    )
    likely: str | None = Field(description="null: no date can be forecast; note says why")
    early: str | None = Field(description="5th percentile of the draws; null: as likely")
    late: str | None = Field(description="95th percentile; null: as likely, or open")
    start_by: str | None = Field(
        description="when to begin, so that the stage stands before the one before it is full"
    )
    note: str | None = None


class StagePlan(Strict):
    """One stage that the demand reaches."""

    number: int = Field(description="place in the demand's list, from 1 on")
    name: str
    starts_here: bool = Field(description="whether the launch is in this stage")
    trigger: Trigger | None = Field(description="what leads here; null: the rollout starts here")
    forecast: StageForecast | None = Field(description="of the trigger; null: it starts here")
    changes: tuple[str, ...]
    workers: tuple[int, int] = Field(description="at the begin and at the end of the stage")
    capacity: StageCapacity | None = Field(
        description="null: nothing that is known binds; notes say what would have to be known"
    )
    cost_at_begin: StageCost
    cost_at_end: StageCost = Field(
        description="at its capacity, the next stage's trigger or the demand's end: the first"
    )
    lead_time_days: int
    way_back: str | None
    notes: tuple[str, ...] = ()


class StageLeftOut(Strict):
    """A stage that the demand does not reach, or that it starts beyond."""

    number: int
    name: str
    reason: str
    trigger: Trigger | None = Field(
        description="watched all the same; null: it starts beyond it, or nothing can be watched"
    )


class RolloutPlan(Strict):
    """The stages in which the agent grows, from the launch to the demand's last factor."""

    start: str = Field(description="date of the launch, ISO 8601")
    growth_per_month: tuple[float, float, float] | None = Field(
        description="share: low, likely, high; null: not stated"
    )
    stages: tuple[StagePlan, ...]
    left_out: tuple[StageLeftOut, ...]
    notes: tuple[str, ...]

    def triggers(self) -> tuple[Trigger, ...]:
        """Return the triggers of all stages that are watched, in their order."""
        found = [each.trigger for each in self.stages]
        found += [each.trigger for each in self.left_out]
        known = [each for each in found if each is not None]
        return tuple(sorted(known, key=lambda each: each.stage or 0))
