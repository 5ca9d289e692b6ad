"""The review of a plan: what `review.json` holds. Versioned, strict."""

from __future__ import annotations

from typing import Any, Literal

import orjson
from pydantic import Field

from profiler.profile.distribution import Strict

REVIEW_SCHEMA_VERSION: Literal[1] = 1

Interval = tuple[float, float]
Status = Literal["steady", "drifted", "follows", "unclear"]
Verdict = Literal["keep", "update", "act_now"]


class Effect(Strict):
    """What one drift does to one scale, all else as planned."""

    factor: float
    users_by_limit: int | None = Field(description="change of the users that the limits admit")
    users_by_workers: int = Field(description="change of the users that as many workers carry")
    workers: int = Field(description="change of the workers that the planned users need")
    utilization: float | None = Field(description="change of the binding limit's utilization")
    cost_usd: float = Field(description="change of a month's cost")


class InputReview(Strict):
    """One input of the plan beside what was measured since."""

    name: str
    title: str
    unit: str
    planned: float = Field(description="the mean that the plan was made with")
    planned_ci95: Interval | None
    actual: float
    actual_ci95: Interval | None
    change: float | None = Field(description="actual / planned - 1; null: planned is 0")
    tolerance: float = Field(description="the change that a plan stands")
    status: Status = Field(
        description="follows: moved as what drives it did; unclear: beyond the tolerance, and the "
        "sample too small to exclude chance"
    )
    why: str = Field(description="one sentence")
    follows: tuple[str, ...] = Field(default=(), description="the inputs that it follows")
    quantiles: dict[str, Interval] = Field(
        default_factory=dict, description="p50, p95: planned and actual"
    )
    psi: float | None = Field(default=None, description="population stability index; null: unknown")
    psi_by_chance: float | None = Field(
        default=None, description="what it stays below in 95 of 100 comparisons without a change"
    )
    effects: tuple[Effect, ...] = Field(
        default=(), description="at each scale; empty: it did not drift"
    )


class NotCompared(Strict):
    """An input of which nothing was measured since."""

    name: str
    title: str
    reason: str


class AnswersAt(Strict):
    """The plan's answers at one scale. Users and rates are those of the peak."""

    users: float
    interactions_per_minute: float
    llm_calls_per_minute: float
    tokens_per_minute: float
    interactions_per_month: float
    binding: str | None = Field(description="model and limit; null: the demand names no limit")
    utilization: float | None = Field(description="of the binding limit")
    max_users: int | None = Field(description="that it admits")
    workers: int = Field(description="that the users need")
    users_on_planned_workers: int = Field(description="that as many workers as planned carry")
    cost_api: float = Field(description="US dollars per month, as the others")
    cost_infrastructure: float
    cost_operations: float
    cost_total: float
    cost_per_interaction: float
    margin: float | None = Field(description="of a month: value - cost; null: no value is given")


class ScaleReview(Strict):
    """One growth factor, as planned and with what was measured since."""

    factor: float
    planned: AnswersAt
    actual: AnswersAt


class PriceChange(Strict):
    """A rate that is another one than the plan was made with: US dollars per million tokens."""

    model: str
    kind: str
    planned: str | None
    now: str | None


class PriceReview(Strict):
    """The prices of the plan beside those of today."""

    planned_data: str = Field(description="data version that the plan was made with")
    data: str = Field(description="data version that is installed")
    planned_at: str
    at: str
    infrastructure: tuple[str, str] = Field(description="price book: the plan's, and today's")
    changes: tuple[PriceChange, ...]
    cost_usd: float = Field(description="what that alone does to a month's cost at launch")


class TriggerReview(Strict):
    """One trigger, how near it is, and when it is forecast to fire."""

    id: str
    title: str
    stage: int | None
    unit: str
    planned_threshold: float
    threshold: float | None = Field(description="fitted again; null: only a new plan tells")
    value: float | None = Field(description="of production; null: not known")
    state: Literal["fired", "near", "far", "unknown"]
    why: str
    planned_date: str | None = Field(description="when the plan had it fire")
    date: str | None = Field(description="when it is now forecast to; null: not known, or never")
    dates: tuple[str | None, str | None] | None = Field(description="earliest and latest")
    start_by: str | None = Field(
        default=None, description="when to begin, the stage's lead time before; null: as date"
    )


class Growth(Strict):
    """How production grows: a line through the logarithms of its traffic."""

    per_month: float = Field(description="share: 0.1 is 10 % more each month")
    ci95: Interval | None


class Review(Strict):
    """A plan against measured reality."""

    schema_version: Literal[1] = Field(description="version of this format")
    kind: Literal["review"] = Field(description="what this file is")
    plan: str
    tool_version: str
    source: str = Field(description="where the actual values are from")
    same_sessions: bool = Field(
        description="the same workload: sessions differ by nothing but what is to be compared"
    )
    verdict: Verdict
    reasons: tuple[str, ...] = Field(description="why, the gravest first")
    inputs: tuple[InputReview, ...]
    not_compared: tuple[NotCompared, ...]
    scales: tuple[ScaleReview, ...]
    growth: Growth | None = Field(description="null: not known")
    triggers: tuple[TriggerReview, ...]
    prices: PriceReview

    @property
    def drifted(self) -> tuple[InputReview, ...]:
        """The inputs that moved by themselves, beyond their tolerance."""
        return tuple(item for item in self.inputs if item.status == "drifted")


def dump_review(review: Review) -> bytes:
    """Return the file: sorted keys, one final newline; the same review gives the same bytes."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
    plain: dict[str, Any] = review.model_dump(mode="json")
    return orjson.dumps(plain, option=options)
