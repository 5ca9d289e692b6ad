"""Gates: what a candidate must not do, by metric and statistic. `gates.yaml`, and the default ones.

interaction.llm_calls.mean: {max_increase: 10%}
interaction.latency.p95: {max: 4 s}
error_rate: {max: 1%}
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from profiler.errors import UsageError
from profiler.profile.metrics import CALL_METRICS, INTERACTION_METRICS
from profiler.profile.objectives import ERROR_RATE, STATISTICS
from profiler.workload.document import Document, read_document
from profiler.workload.near import did_you_mean
from profiler.workload.units import duration_s

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

Rule = Literal["max", "min", "max_increase", "max_decrease"]
_RULES: tuple[Rule, ...] = get_args(Rule)
_MARGINS = ("fail_from", "pass_up_to")
_PERCENT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*%\s*")
_EXAMPLE = "Write it like interaction.llm_calls.mean: {max_increase: 10%}"


@dataclass(frozen=True, slots=True)
class Bound:
    """A number in the metric's unit; with `relative`, a share of the baseline's value."""

    value: float
    relative: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One rule for one statistic of a metric.

    It fails where it is shown that the bound is passed, and passes where it is shown that it is
    kept. The margins are for a bound that nobody could be shown to keep, such as no increase at
    all: `pass_up_to` is the bound that must be shown to be kept instead, and what is not seen to
    reach `fail_from` is no reason to fail, however sure it is.
    """

    metric: str
    statistic: str
    rule: Rule
    bound: Bound
    pass_up_to: Bound | None = None
    fail_from: Bound | None = None
    default: bool = False

    @property
    def name(self) -> str:
        """Metric and statistic, as a gates file has them."""
        return self.metric if self.metric == ERROR_RATE else f"{self.metric}.{self.statistic}"


def _default(metric: str, statistic: str, *, fail_from: Bound, pass_up_to: Bound) -> Gate:
    return Gate(
        metric=metric,
        statistic=statistic,
        rule="max_increase",
        bound=Bound(0.0, relative=fail_from.relative),
        fail_from=fail_from,
        pass_up_to=pass_up_to,
        default=True,
    )


def _share(value: float) -> Bound:
    return Bound(value, relative=True)


DEFAULT_GATES = (
    *(
        _default(f"interaction.{name}", "mean", fail_from=_share(0.02), pass_up_to=_share(most))
        for name, most in (("llm_calls", 0.25), ("input_tokens", 0.50), ("output_tokens", 0.25))
    ),
    replace(
        _default("interaction.latency", "p95", fail_from=_share(0.25), pass_up_to=_share(1.0)),
        bound=_share(0.25),
    ),
    _default(ERROR_RATE, "share", fail_from=Bound(0.01), pass_up_to=Bound(0.05)),
)
"""What an interaction costs must not go up for real. Of latency that is 25 %: between
two runs it moves with the machines and the network as well, which no interval within a run shows.
"""


def load_gates(path: Path, known: Iterable[str]) -> tuple[Gate, ...]:
    """Read a gates file. `known` are the metrics of the profiles, by path.

    Metrics that a profile may have, and these do not, are known as well: what nobody observed is
    inconclusive. Raises `UsageError` with file, line and remedy for everything else.
    """
    document = read_document(path, what="gates file", error=UsageError)
    if not isinstance(document.data, dict) or not document.data:
        where = f"{path}:1"
        raise UsageError("a gates file is a mapping of metrics", where=where, fix=_EXAMPLE)
    names = {
        *known,
        *(f"interaction.{name}" for name in INTERACTION_METRICS),
        *(f"llm_call.{name}" for name in CALL_METRICS),
        ERROR_RATE,
    }
    return tuple(
        gate
        for name, rules in document.data.items()
        for gate in _gates(document, name, rules, names)
    )


def _gates(document: Document, name: str, rules: Any, known: set[str]) -> Iterator[Gate]:
    where = _where(document, name)
    metric, statistic = _metric(name, known, where)
    if not isinstance(rules, dict) or not rules:
        raise UsageError(f"{name} has no rule", where=where, fix=_EXAMPLE)
    for key in rules:
        if key not in (*_RULES, *_MARGINS):
            fix = did_you_mean(key, (*_RULES, *_MARGINS))
            raise UsageError(
                f"{name}: unknown rule '{key}'", where=_where(document, name, key), fix=fix
            )
    bounds = {
        key: _bound(value, metric, key, _where(document, name, key)) for key, value in rules.items()
    }
    margins = {key: bounds.pop(key) for key in _MARGINS if key in bounds}
    if not bounds or (margins and len(bounds) > 1):
        what = f"{name} has a margin, and not one rule that it is for"
        raise UsageError(what, where=where, fix=_EXAMPLE)
    for rule in _RULES:
        if rule in bounds:
            yield Gate(
                metric=metric,
                statistic=statistic,
                rule=rule,
                bound=bounds[rule],
                pass_up_to=margins.get("pass_up_to"),
                fail_from=margins.get("fail_from"),
            )


def _metric(name: str, known: set[str], where: str) -> tuple[str, str]:
    if name == ERROR_RATE:
        return ERROR_RATE, "share"
    metric, _, statistic = name.rpartition(".")
    if metric in known - {ERROR_RATE} and statistic in STATISTICS:
        return metric, statistic
    if name in known:
        some = ", ".join(STATISTICS)
        raise UsageError(f"{name} has no statistic", where=where, fix=f"Add one of .{some}")
    if metric in known:
        fix = f"It has {', '.join(STATISTICS)}"
        raise UsageError(f"{metric} has no statistic '{statistic}'", where=where, fix=fix)
    every = [ERROR_RATE, *(f"{metric}.{each}" for metric in known for each in STATISTICS)]
    fix = _nearest(name, every)
    raise UsageError(f"there is no metric '{name}'", where=where, fix=fix)


def _nearest(name: str, every: list[str]) -> str:
    found = did_you_mean(name, every)
    if found.startswith("Did"):
        return found
    return "Metrics are those of profile.json, such as interaction.llm_calls.mean, and error_rate"


def _bound(value: Any, metric: str, rule: str, where: str) -> Bound:
    """Read a bound: `10%` of the baseline where it is about a change, else in the metric's unit."""
    if isinstance(value, str) and (found := _PERCENT.fullmatch(value)):
        share = float(found[1]) / 100
        if metric == ERROR_RATE:
            return Bound(share)
        if rule in ("max", "min"):
            what = f"{rule}: {value!r} is a share of nothing: this bound is not about a change"
            raise UsageError(what, where=where, fix="Give a number, or write max_increase")
        return Bound(share, relative=True)
    is_time = (metric.partition(".")[0], _last(metric)) in _TIMES or metric.endswith("duration")
    if is_time and not isinstance(value, str):
        what = f"{rule}: {value!r} has no unit"
        raise UsageError(what, where=where, fix="Write it like 4 s, 800 ms or 10%")
    try:
        return Bound(duration_s(value) if is_time else _plain(value))
    except ValueError as exc:
        fix = f"Write it like {'4 s' if is_time else '3.5'} or 10%"
        raise UsageError(f"{rule}: {exc}", where=where, fix=fix) from exc


def _plain(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        msg = f"{value!r} is not a number of 0 or more"
        raise ValueError(msg)
    return float(value)


def _last(metric: str) -> str:
    return metric.rpartition(".")[2]


_TIMES = {
    *(("interaction", name) for name, each in INTERACTION_METRICS.items() if each.unit == "s"),
    *(
        (s, name)
        for s in ("llm_call", "models")
        for name, m in CALL_METRICS.items()
        if m.unit == "s"
    ),
}


def _where(document: Document, *keys: str) -> str:
    return f"{document.path}:{document.locate(keys)[1]}"
