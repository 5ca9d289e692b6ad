"""The comparison: what `comparison.json` holds. Versioned, strict, self-contained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import orjson
from pydantic import Field, ValidationError

from profiler.errors import ProfileError
from profiler.profile.distribution import Strict
from profiler.profile.versions import check_version
from profiler.shown import Shown

if TYPE_CHECKING:
    from pathlib import Path

COMPARISON_SCHEMA_VERSION: Literal[1] = 1
COMPARISON_NAME = "comparison.json"

Interval = tuple[float, float]
Verdict = Literal["pass", "fail", "inconclusive"]
Points = tuple[tuple[float, float], ...]


class Side(Strict):
    """One of the two runs."""

    id: str = Field(description="the run's id")
    digest: str = Field(description="SHA-256 of the profile, in hex")
    started_at: str = Field(description="when the run started: ISO 8601, UTC")
    interactions: int = Field(description="measured interactions")
    sessions: int = Field(description="measured sessions")
    mock: bool = Field(description="whether the mock answered")
    verdict: str = Field(description="the profile's trust verdict")


class Difference(Strict):
    """One statistic of a metric in both runs, in the metric's unit."""

    statistic: str = Field(description="mean or p95; share for a rate")
    baseline: float
    candidate: float
    difference: float = Field(description="candidate - baseline")
    difference_ci95: Interval | None = Field(
        description="95 % confidence interval of the difference, by itself; null: not known"
    )
    relative: float | None = Field(description="difference / baseline; null where that is 0")
    relative_ci95: Interval | None = Field(
        description="95 % confidence interval of `relative` (Fieller); null: not known, or the "
        "baseline cannot be told from zero"
    )
    p_value: float | None = Field(description="two-sided, by itself; null: not known")
    p_adjusted: float | None = Field(
        description="adjusted for all that were compared: up to 0.05 holds the false discovery "
        "rate at 5 % (Benjamini and Hochberg)"
    )
    real: bool | None = Field(description="p_adjusted <= 0.05; null: cannot be told")
    method: Literal["paired sessions", "sessions", "sums and histograms"] = Field(
        description="what the interval is from: sessions drawn again, both runs' together where "
        "they played the same ones; or sums over sessions and order statistics"
    )
    reason: str | None = Field(description="why there is no interval")


class Curve(Strict):
    """A latency in both runs, as (percentile, seconds)."""

    baseline: Points
    candidate: Points


class MetricComparison(Strict):
    """One metric in both runs."""

    metric: str = Field(description="path in the profile, such as interaction.llm_calls")
    unit: str = Field(description="unit of every number: s, tokens, count, tokens/s or share")
    counts: tuple[int, int] = Field(description="values in the baseline, in the candidate")
    differences: tuple[Difference, ...] = Field(description="by statistic")
    curve: Curve | None = Field(description="percentiles of an interaction's times; else null")


class Change(Strict):
    """Something that a person would say of the difference."""

    kind: Literal["metric", "appeared", "disappeared"] = Field(
        description="a metric moved; or something is there that was not, or no longer"
    )
    what: Literal["metric", "tool", "model", "store", "failure"] = Field(
        description="what moved, appeared or disappeared"
    )
    subject: str = Field(description="the metric's path, or a name. It came from the target")
    statistic: str | None = Field(description="of the metric; null for what (dis)appeared")
    real: bool = Field(description="false: it may be chance")


class GateResult(Strict):
    """What a gate said. A gate asks about one side: its intervals leave 5 % there."""

    metric: str = Field(description="path in the profile, such as interaction.llm_calls")
    statistic: str = Field(description="mean, p50, p90, p95 or p99; share for a rate")
    unit: str = Field(description="unit of the metric")
    rule: Literal["max", "min", "max_increase", "max_decrease"]
    bound: float = Field(description="the most (least) that passes, in the unit or as a share")
    relative: bool = Field(description="whether the bound is a share of the baseline's value")
    default: bool = Field(description="whether it is one of those that need no file")
    verdict: Verdict
    baseline: float | None = Field(description="null: not there")
    candidate: float | None = Field(description="null: not there")
    ci90: Interval | None = Field(
        description="90 % confidence interval of what the bound is about: the candidate's value, "
        "the change, or the change as a share; null: not known"
    )
    p_adjusted: float | None = Field(
        description="how likely so much is where the bound is kept, adjusted for all gates: up to "
        "0.05 fails; null: not known"
    )
    interactions_needed: int | None = Field(
        description="measured interactions of each run that would decide it, were the difference "
        "what it looks like; null where it is decided, or none would"
    )
    reason: str | None = Field(description="why it is inconclusive, where no sample would help")


class ScaleMeaning(Strict):
    """What the candidate means at one growth factor of a plan."""

    factor: float = Field(description="of the plan's demand")
    users: float = Field(description="concurrent users at the peak that are asked for")
    max_users: tuple[int | None, int | None] = Field(
        description="most users that the provider's limits carry, with the baseline and with the "
        "candidate; null: no limit is known"
    )
    workers: tuple[int, int] = Field(description="workers needed, with either")
    cost_usd_per_month: tuple[float, float] = Field(description="all of the bill, with either")
    api_usd_per_month: tuple[float, float] = Field(description="the models' part of it")


class PlanMeaning(Strict):
    """What the difference means in users and dollars, the plan's demand being what it is."""

    name: str = Field(description="the plan's name")
    prices_at: str = Field(description="the day whose prices were taken")
    scales: tuple[ScaleMeaning, ...]


class Comparison(Shown, Strict):
    """Two profiles compared."""

    schema_version: Literal[1] = Field(description="version of this format")
    kind: Literal["comparison"] = Field(description="what this file is")
    tool_version: str = Field(description="version of agent-profiler that compared")
    workload: str = Field(description="name of the (baseline's) workload")
    baseline: Side
    candidate: Side
    paired: bool = Field(description="whether both played the same sessions")
    differs: tuple[str, ...] = Field(
        description="what differs in how they were measured: to be read before any number"
    )
    changes: tuple[Change, ...] = Field(description="what changed, in words, most telling first")
    metrics: tuple[MetricComparison, ...] = Field(description="all that both observed")
    only_baseline: tuple[str, ...] = Field(description="metrics that only the baseline has")
    only_candidate: tuple[str, ...] = Field(description="metrics that only the candidate has")
    gates: tuple[GateResult, ...]
    verdict: Verdict = Field(description="fail if any gate does, else inconclusive if any is")
    plan: PlanMeaning | None = Field(description="null where no plan was given")

    def _in_short(self) -> str:
        runs = f"{self.candidate.id} against {self.baseline.id}"
        return f"of {self.workload!r}, {runs}: {self.verdict}, {len(self.changes)} changes"


def dump_comparison(comparison: Comparison) -> bytes:
    """Encode a comparison as JSON: sorted keys, two spaces. Equal ones give equal bytes."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
    return orjson.dumps(comparison.model_dump(mode="json"), option=options)


def load_comparison(path: Path) -> Comparison:
    """Read a comparison from its file, or from a directory that holds `comparison.json`.

    Raises `ProfileError` for one that cannot be read, is cut off, or is of another version.
    """
    file = path / COMPARISON_NAME if path.is_dir() else path
    again = "Compare again: `agent-profiler compare BASELINE CANDIDATE --json FILE`"
    try:
        content = file.read_bytes()
        plain = orjson.loads(content)
    except OSError as exc:
        what = f"cannot read the comparison: {exc.strerror}"
        raise ProfileError(what, where=str(file), fix=again) from exc
    except orjson.JSONDecodeError as exc:
        what = f"this is no comparison that this tool reads: {exc}"
        raise ProfileError(what, where=str(file), fix=again) from exc
    if isinstance(plain, dict) and "schema_version" in plain:
        check_version(
            plain["schema_version"],
            COMPARISON_SCHEMA_VERSION,
            what="comparison",
            file=file,
            again=again,
            error=ProfileError,
        )
    try:
        return Comparison.model_validate_json(content)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_context=False)[0]
        key = ".".join(map(str, first["loc"]))
        what = f"this is no comparison that this tool reads: {first['msg']}"
        what += f" (key {key})" if key else ""
        raise ProfileError(what, where=str(file), fix=again) from exc
