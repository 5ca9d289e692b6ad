"""The section `stack` of plan.json: for each part what to take, how near its limits, what else."""

from __future__ import annotations

from pydantic import Field

from profiler.profile.distribution import Strict


class StackMargin(Strict):
    """What is asked against the limit that is used most."""

    factor: float = Field(description="the growth factor at which it is asked: the largest")
    quantity: str = Field(description="what is counted, in words")
    unit: str
    demand: float
    limit: float
    share: float = Field(description="demand / limit")
    adjustable: bool = Field(description="whether the limit is a quota that is raised on request")


class StackLoser(Strict):
    """A candidate that was not taken."""

    key: str = Field(description="its key in the catalogue")
    name: str
    eliminated: bool = Field(description="false: it could do it, and costs more")
    reason: str = Field(description="why, in one sentence")
    usd_per_month: float = Field(description="with people's hours")


class StackChoice(Strict):
    """The choice at one growth factor. Dollars and hours are of a month."""

    factor: float
    winner: str | None = Field(description="key in the catalogue; null: nothing can do it")
    usd_per_month: float | None = Field(description="bill and hours")
    infrastructure_usd: float | None = Field(description="the bill for machines and services")
    hours: float | None = Field(description="of people, likely")
    operations_usd: float | None = Field(description="those hours, paid")
    quotas: tuple[str, ...] = Field(description="adjustable limits that are too low as they stand")
    losers: tuple[StackLoser, ...]


class StackPart(Strict):
    """One part of the stack: what the launch takes, and what would change that."""

    part: str
    winner: str | None = Field(description="at the launch; null: nothing can do it")
    name: str | None = Field(description="as people call it")
    run_by: str | None = Field(description="managed or self")
    skill: str | None = Field(description="what the team has to know")
    level: str | None = Field(description="what the team says that it knows of it")
    requires: tuple[str, ...] = Field(description="capabilities that were asked for")
    verdict: str = Field(description="what decides, in words")
    margin: StackMargin | None = Field(description="null: nothing known is limited")
    overturned_by: tuple[str, ...] = Field(description="what would change the choice")
    changes: tuple[str, ...] = Field(description="winners of later scales, where they differ")
    not_known: tuple[str, ...] = Field(description="quantities that nobody knows")
    scales: tuple[StackChoice, ...]
