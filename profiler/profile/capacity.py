"""The capacity curve: what was asked, what each rate showed, and the answer. Versioned JSON."""

from __future__ import annotations

from typing import Any, Literal

import orjson
from pydantic import Field

from profiler.profile.distribution import Strict

CAPACITY_SCHEMA_VERSION: Literal[1] = 1

Decision = Literal["met", "missed", "undecided"]
StepDecision = Literal["met", "missed", "undecided", "driver_limited"]


class Number(Strict):
    """One number of a step, with its uncertainty."""

    unit: Literal["s", "tokens", "count", "tokens/s", "share"] = Field(description="its unit")
    value: float | None = Field(description="what was observed; null: nothing, or too little")
    ci95: tuple[float, float] | None = Field(description="95 % confidence interval")


class Judged(Number):
    """An objective, as one step met it or not."""

    objective: str = Field(description="what was asked, as text")
    name: str = Field(description="what was compared, such as latency.p95")
    metric: str = Field(description="the metric looked at: scheduled_latency for latency")
    bound: float = Field(description="the bound, in the unit")
    is_upper: bool = Field(description="the number must be below the bound, not above it")
    implied: bool = Field(description="nobody asked for it, but the others mean little without it")
    verdict: Decision = Field(
        description="met: the whole interval is on the good side; missed: on the bad side"
    )
    reason: str | None = Field(description="why there is no interval")


class CapacityStep(Strict):
    """What one rate showed, all the runs at it together."""

    number: int = Field(description="in the order in which the rates were tried, from 1")
    rate_per_s: float = Field(description="interactions per second that were offered")
    achieved_per_s: float | None = Field(description="interactions that ended per second")
    interactions: int = Field(description="measured interactions")
    sessions: int = Field(description="sessions that they belong to")
    failed: dict[str, int] = Field(description="those that failed, by outcome and error kind")
    dropped: int | None = Field(description="arrivals dropped: max_in_flight was reached")
    duration_s: float = Field(description="time in which interactions were measured, seconds")
    numbers: dict[str, Number] = Field(
        description="the curve's numbers: latency counts from the intended start"
    )
    latency_growth_per_s: float | None = Field(
        description="seconds by which latency grew in each second, in the longest run"
    )
    latency_growth_ci95: tuple[float, float] | None = Field(
        description="95 % confidence interval of it"
    )
    judged: tuple[Judged, ...] = Field(description="each objective")
    verdict: StepDecision = Field(
        description="of all objectives together; driver_limited: missed by no more than what the "
        "harness itself was late"
    )
    reasons: tuple[str, ...] = Field(
        description="why the verdict is not 'met', or in spite of what it is"
    )
    runs: tuple[str, ...] = Field(description="directories of the runs, below this file's")
    profile: str = Field(description="the step's profile, below this file's directory")


class CapacityResult(Strict):
    """The answer, as a bracket."""

    end: str | None = Field(description="why the search ended; null while it goes on")
    lower_per_s: float | None = Field(description="highest rate that met all objectives")
    upper_per_s: float | None = Field(description="lowest rate that was not shown to meet them")
    upper_verdict: Literal["missed", "undecided"] | None = Field(
        description="undecided: not even the most interactions told"
    )
    missed_per_s: float | None = Field(description="lowest rate that was shown to miss them")
    answer: str = Field(description="the same in a sentence")


class CapacityCurve(Strict):
    """The highest rate at which an agent does what is asked of it, and how that was found."""

    schema_version: Literal[1] = Field(description="version of this format")
    kind: Literal["capacity_curve"] = Field(description="what this file is")
    tool_version: str = Field(description="version of agent-profiler that wrote it")
    started_at: str = Field(description="when the search started: ISO 8601, UTC")
    argv: tuple[str, ...] = Field(description="the command that ran, redacted")
    workload: str = Field(description="name of the workload")
    digests: dict[str, str] = Field(description="digests of the workload and of its data")
    target: dict[str, Any] = Field(description="the agent as addressed, secrets redacted")
    objective: str = Field(description="what was asked")
    implied: str | None = Field(description="what was asked for in addition, if anything")
    goodput: str | None = Field(description="what makes one interaction good, if it was asked")
    arrivals: str = Field(description="shape of the arrivals, each of one interaction")
    resolution: float = Field(description="how near upper and lower should be, as a share")
    steps: tuple[CapacityStep, ...] = Field(description="in the order in which they were tried")
    result: CapacityResult = Field(description="the answer")


def dump_curve(curve: CapacityCurve) -> bytes:
    """Encode a curve as JSON: sorted keys, two spaces. Equal curves give equal bytes."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
    return orjson.dumps(curve.model_dump(mode="json"), option=options)
