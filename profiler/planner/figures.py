"""One number of a profile, with all that a plan says of where it is from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from profiler.errors import PlanError
from profiler.profile.guidance import shown_by
from profiler.profile.metrics import CALL_METRICS, INTERACTION_METRICS
from profiler.profile.model import named_distributions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from profiler.profile.distribution import Distribution
    from profiler.profile.model import WorkloadProfile

Method = Literal["measured", "reported", "counted"]

STATISTICS = ("mean", "stddev", "min", "max", "p50", "p90", "p95", "p99", "count")
_INTERVALS = {"mean": "mean_ci95", "p95": "p95_ci95"}
_KNOWN: dict[str, frozenset[str]] = {
    "interaction": frozenset(INTERACTION_METRICS),
    "llm_call": frozenset(CALL_METRICS),
    "models": frozenset(CALL_METRICS),
    "session": frozenset({"interactions", "duration", "think_time"}),
    "tools": frozenset({"duration", "calls_per_interaction"}),
    "state": frozenset({"reads", "writes", "other"}),
}
_OF_CALLS = frozenset({"llm_call", "models"})
_WATCH_CALLS = ("gateway", "otel", "response")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A statistic of a metric. `value` and `interval95` are in `unit`.

    `metric` is the metric's path in the profile, `source` who observed it, `coverage` on what share
    of what it could have been observed on. `interval95` is None for a statistic that has none, and
    where the sample does not support one.
    """

    metric: str
    statistic: str
    value: float
    unit: str
    interval95: tuple[float, float] | None
    source: str
    coverage: float
    method: Method

    @property
    def path(self) -> str:
        """Return where it is from, such as `interaction.llm_calls.mean`."""
        return f"{self.metric}.{self.statistic}"


class Figures:
    """The figures of a profile by their paths."""

    def __init__(self, profile: WorkloadProfile) -> None:
        self._profile_id = profile.run.id
        self._of: Mapping[str, Distribution] = dict(named_distributions(profile))
        self._calls_seen = {
            who: profile.observers[who].llm_calls
            for who in _WATCH_CALLS
            if who in profile.observers and profile.observers[who].llm_calls
        }

    def find(self, path: str) -> Figure | None:
        """Return the figure at a path, None where it was not observed or cannot be told.

        Raises `ValueError` for a path that no profile can have.
        """
        metric, statistic = _split(path)
        found = self._of.get(metric)
        value = None if found is None else getattr(found, statistic)
        if found is None or value is None:
            return None
        return Figure(
            metric=metric,
            statistic=statistic,
            value=float(value),
            unit="count" if statistic == "count" else found.unit,
            interval95=getattr(found, _INTERVALS[statistic]) if statistic in _INTERVALS else None,
            source=found.source,
            coverage=found.coverage,
            method=found.method,
        )

    def figure(self, path: str, *, calculation: str) -> Figure:
        """Return the figure at a path. `calculation` names what is computed of it.

        Raises `PlanError` where nobody observed it, which says who would, or where the sample is
        too small for the statistic; and `ValueError` as `find` does.
        """
        found = self.find(path)
        if found is not None:
            return found
        metric, statistic = _split(path)
        if metric in self._of:
            reason = self._of[metric].reasons.get(statistic, "the sample does not tell")
            raise PlanError(
                f"the profile has no {statistic} of {metric}, which {calculation} takes: {reason}",
                where=self._profile_id,
                fix="Measure more interactions (--requests)",
            )
        raise PlanError(
            f"the profile has no {metric}, which {calculation} takes: {self._unseen(metric)}",
            where=self._profile_id,
            fix=f"Measure again; would show it: {shown_by(metric)}",
        )

    def _unseen(self, metric: str) -> str:
        """Say why nobody observed a metric: the calls were watched and silent, or not watched."""
        section, _, name = metric.partition(".")
        of_calls = section in _OF_CALLS or (section == "interaction" and name in CALL_METRICS)
        if of_calls and shown_by(metric) == shown_by("llm_call") and self._calls_seen:
            who, calls = next(iter(self._calls_seen.items()))
            return f"{who} saw {calls:,} LLM calls, and none of them told it"
        return "nobody observed it"


def _split(path: str) -> tuple[str, str]:
    """Return metric and statistic. Names of tools and models may have dots in them."""
    metric, _, statistic = path.rpartition(".")
    section, _, rest = metric.partition(".")
    name = rest.rpartition(".")[2]
    if statistic not in STATISTICS or not rest:
        raise ValueError(f"{path!r} is no figure: it ends in none of {', '.join(STATISTICS)}")
    if section != "tool_round_trips" and name not in _KNOWN.get(section, frozenset()):
        raise ValueError(f"{path!r} is no figure: no profile has a metric {metric!r}")
    return metric, statistic
