"""What a user asks of an agent, as text: `latency.p95<2s, error_rate<1%`.

An objective compares one number with a bound. Its number is a statistic of an interaction metric
(`latency.p95`, `output_tokens.mean`) or a rate (`error_rate`, `dropped_rate`, `goodput`). In a
goodput objective there is no statistic: `latency<2s` is asked of each interaction.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from typing import TYPE_CHECKING, Literal, NoReturn

from profiler.errors import UsageError
from profiler.profile.metrics import INTERACTION_METRICS, LATENCY_FAILED
from profiler.workload.near import did_you_mean
from profiler.workload.units import duration_s

if TYPE_CHECKING:
    from collections.abc import Sequence

    from profiler.profile.sample import Unit

STATISTICS: dict[str, float | None] = {
    "mean": None,
    "p50": 0.50,
    "p90": 0.90,
    "p95": 0.95,
    "p99": 0.99,
}
"""Statistic: the quantile that it is; None for the mean. Those that have a confidence interval."""

ERROR_RATE, DROPPED_RATE, GOODPUT = "error_rate", "dropped_rate", "goodput"
RATES = (ERROR_RATE, DROPPED_RATE, GOODPUT)
"""Shares of all interactions, not of one: they have no further statistic."""

_PART = re.compile(r"([A-Za-z0-9_]+)(?:\.([A-Za-z0-9_]+))?\s*([<>]=?)\s*(\S.*)")
_PLAIN = re.compile(r"\d+(?:\.\d+)?")
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)\s*%")
_EXAMPLE = "Write it like latency.p95<2s, error_rate<1%"
_GOODPUT_EXAMPLE = "Write it like latency<2s, time_to_first_token<500ms"


class Comparator(StrEnum):
    """How the number must compare with the bound."""

    BELOW = "<"
    AT_MOST = "<="
    ABOVE = ">"
    AT_LEAST = ">="

    @property
    def is_upper(self) -> bool:
        """Whether the bound is one from above: smaller is better."""
        return self in (Comparator.BELOW, Comparator.AT_MOST)

    @property
    def is_strict(self) -> bool:
        """Whether the bound itself does not do."""
        return self in (Comparator.BELOW, Comparator.ABOVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """`metric.statistic comparator bound`. The bound is in seconds, tokens, counts or a share.

    `statistic` is None for a rate and in a goodput objective.
    """

    metric: str
    statistic: str | None
    comparator: Comparator
    bound: float
    unit: Unit | Literal["share"]

    @property
    def name(self) -> str:
        """What is compared: `latency.p95`, `error_rate`."""
        return self.metric if self.statistic is None else f"{self.metric}.{self.statistic}"

    def __str__(self) -> str:
        """Return the one way of writing it; reading that gives the same objective."""
        return f"{self.name}{self.comparator}{_bound_text(self.bound, self.unit)}"


def _bound_text(bound: float, unit: str) -> str:
    match unit:
        case "s":
            return f"{bound:.10g}s" if bound >= 1 else f"{bound * 1000:.10g}ms"
        case "share":
            return f"{bound * 100:.10g}%"
        case _:
            return f"{bound:.10g}"


def objectives_text(objectives: Sequence[Objective]) -> str:
    """Write objectives as one text, which `parse_objectives` or `parse_goodput` reads back."""
    return ", ".join(str(objective) for objective in objectives)


def parse_objectives(text: str, *, where: str = "--objective") -> tuple[Objective, ...]:
    """Read objectives separated by commas, such as `latency.p95<2s, error_rate<1%`.

    Metrics are those of a profile's `interaction` section, with one of `STATISTICS`, and `RATES`.
    Durations need their unit (`2s`, `800ms`); rates are a percentage or a share up to 1. Raises
    `UsageError` for what cannot be read, for unknown names, and for objectives that are given
    twice, contradict each other, or that no sample could ever show.
    """
    objectives = tuple(_objective(part, where) for part in _parts(text, where, _EXAMPLE))
    _check_together(objectives, where)
    return objectives


def parse_goodput(text: str, *, where: str = "--goodput") -> tuple[Objective, ...]:
    """Read what makes one interaction good, such as `latency<2s, time_to_first_token<500ms`.

    Raises `UsageError` as `parse_objectives` does, and for a statistic or a rate: one interaction
    has none.
    """
    parts = _parts(text, where, _GOODPUT_EXAMPLE)
    objectives = tuple(_goodput_objective(part, where) for part in parts)
    _check_together(objectives, where)
    return objectives


def _parts(text: str, where: str, example: str) -> list[re.Match[str]]:
    found: list[re.Match[str]] = []
    for part in text.split(","):
        match = _PART.fullmatch(part.strip())
        if match is None:
            what = f"'{part.strip()[:60]}' is no objective" if part.strip() else "it is empty"
            raise UsageError(what, where=where, fix=example)
        found.append(match)
    return found


def _objective(part: re.Match[str], where: str) -> Objective:
    metric, statistic = part[1], part[2]
    if metric in RATES:
        if statistic is not None:
            fix = f"Write {metric}{part[3]}{part[4]}"
            _refuse(f"{metric} has no statistic: it is a share of all interactions", where, fix)
    elif metric not in INTERACTION_METRICS:
        _unknown(metric, (*INTERACTION_METRICS, *RATES), where)
    elif statistic is None:
        fix = f"Write {metric}.p95{part[3]}{part[4]}, or mean, p50, p90 or p99"
        _refuse(f"{metric} needs a statistic", where, fix)
    elif statistic not in STATISTICS:
        fix = did_you_mean(statistic, STATISTICS)
        _refuse(f"'{statistic}' is no statistic that has an interval", where, fix)
    return _read(part, metric, statistic, where)


def _goodput_objective(part: re.Match[str], where: str) -> Objective:
    metric, statistic = part[1], part[2]
    known = [name for name in INTERACTION_METRICS if name != LATENCY_FAILED]
    if metric in RATES:
        fix = "Give it to --objective"
        _refuse(f"{metric} is a share of all interactions, one interaction has none", where, fix)
    if metric not in known:
        _unknown(metric, known, where)
    if statistic is not None:
        fix = f"Write {metric}{part[3]}{part[4]}"
        _refuse(f"one interaction has no {statistic}: each is judged by itself", where, fix)
    return _read(part, metric, None, where)


def _read(part: re.Match[str], metric: str, statistic: str | None, where: str) -> Objective:
    unit: Unit | Literal["share"] = "share"
    if metric not in RATES:
        unit = INTERACTION_METRICS[metric].unit
    comparator, text = Comparator(part[3]), part[4]
    bound = _duration(text) if unit == "s" else _share(text) if unit == "share" else _plain(text)
    if bound is None:
        fix = {
            "s": "Give a duration with its unit, like 2s or 800ms",
            "share": "Give a percentage like 1%, or a share from 0 to 1",
        }.get(unit, f"Give a number ({unit})")
        _refuse(f"'{text[:40]}' is no bound of {metric}", where, fix)
    objective = Objective(
        metric=metric, statistic=statistic, comparator=comparator, bound=bound, unit=unit
    )
    _check_possible(objective, where)
    return objective


def _duration(text: str) -> float | None:
    """Read a duration that names its unit: a bare 800 might be meant in milliseconds."""
    if _PLAIN.fullmatch(text):
        return None
    try:
        return duration_s(text)
    except ValueError:
        return None


def _share(text: str) -> float | None:
    percent = _PERCENT.fullmatch(text)
    share = float(percent[1]) / 100 if percent else _plain(text)
    return share if share is not None and share <= 1 else None


def _plain(text: str) -> float | None:
    return float(text) if _PLAIN.fullmatch(text) else None


def _check_possible(objective: Objective, where: str) -> None:
    """Refuse what no agent could meet, or no sample could show."""
    comparator, bound = objective.comparator, objective.bound
    if comparator.is_upper and bound == 0 and objective.unit in ("s", "share"):
        fix = "Give a bound above zero: however many interactions, zero is never certain"
        _refuse(f"nothing can be shown to meet {objective}", where, fix)
    if not comparator.is_upper and bound == 1 and objective.unit == "share":
        fix = "Give less than 100%: however many interactions, all of them is never certain"
        _refuse(f"nothing can be shown to meet {objective}", where, fix)


def _check_together(objectives: Sequence[Objective], where: str) -> None:
    for first, second in combinations(objectives, 2):
        if first.metric != second.metric:
            continue
        same = first.statistic == second.statistic
        if same and first.comparator.is_upper == second.comparator.is_upper:
            fix = "Keep the one that is meant"
            _refuse(f"{first.name} is bounded twice: {first} and {second}", where, fix)
        if _contradict(first, second) or _contradict(second, first):
            _refuse(f"{first} and {second} contradict each other", where, "Keep one")


def _contradict(lower: Objective, upper: Objective) -> bool:
    """Tell whether a bound from below and one from above leave nothing between them.

    Also of two quantiles: the p50 is at most the p95.
    """
    if lower.comparator.is_upper or not upper.comparator.is_upper:
        return False
    if lower.statistic != upper.statistic:
        low, high = STATISTICS[lower.statistic or "mean"], STATISTICS[upper.statistic or "mean"]
        if low is None or high is None or low > high:
            return False
    strict = lower.comparator.is_strict or upper.comparator.is_strict
    return lower.bound > upper.bound or (strict and lower.bound == upper.bound)


def _unknown(metric: str, known: Sequence[str], where: str) -> NoReturn:
    _refuse(f"there is no metric '{metric}'", where, did_you_mean(metric, known))


def _refuse(what: str, where: str, fix: str) -> NoReturn:
    raise UsageError(what, where=where, fix=fix)
