"""Every number that two profiles have in common, as a pair with its uncertainty.

Where both joint samples hold every interaction, sessions are drawn again (`resample`). Else the
mean's error comes from sums over all sessions, and a percentile's from its order statistics in the
histogram: both are exact about all interactions, where a sample's rows would be about some.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from profiler.comparison.estimates import Pair, Spread, varying, welch_degrees
from profiler.comparison.resample import Column, Resampling
from profiler.comparison.sessions import FEWEST_SESSIONS, match_sessions
from profiler.profile.metrics import INTERACTION_METRICS
from profiler.profile.model import named_distributions
from profiler.profile.objectives import ERROR_RATE, STATISTICS
from profiler.profile.quantiles import student_t_quantile
from profiler.profile.sample import (
    SCALES,
    distribution_of,
    sample_of_distribution,
    zeros_like,
)
from profiler.profile.statistics import ClusterSums, mean_variance, quantile_ranks

if TYPE_CHECKING:
    from profiler.profile.distribution import Distribution
    from profiler.profile.model import WorkloadProfile

Method = Literal["paired sessions", "sessions", "sums and histograms"]

_OURS = ("interaction.dispatch_delay", "interaction.client_user_tokens", "session.think_time")
"""What the harness does, and not the agent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A statistic of a metric in both runs. `reason` says why `pair` has no spread."""

    metric: str
    statistic: str
    unit: str
    pair: Pair
    method: Method
    reason: str | None


class Sides:
    """Two profiles, asked for their numbers."""

    def __init__(self, baseline: WorkloadProfile, candidate: WorkloadProfile) -> None:
        self.baseline = baseline
        self.candidate = candidate
        self.sessions = match_sessions(baseline, candidate)
        self._before, self._after = _distributions(baseline), _distributions(candidate)
        _fill_tools(self._before, baseline, candidate)
        _fill_tools(self._after, candidate, baseline)
        self._columns: dict[tuple[bool, str], Column | None] = {}

    @cached_property
    def _resampling(self) -> Resampling:
        return Resampling(self.sessions)

    @property
    def shared(self) -> list[str]:
        """Metrics that both profiles have, by path; `error_rate` is one of them.

        Metrics by model only where there are several: else they are those of `llm_call` again.
        """
        names = [name for name in self._before if name in self._after and name not in _OURS]
        models = {*self.baseline.models, *self.candidate.models}
        if len(models) == 1:
            names = [name for name in names if not name.startswith("models.")]
        return [*names, ERROR_RATE]

    @property
    def known(self) -> set[str]:
        """Metrics that either profile has."""
        return {*self._before, *self._after, ERROR_RATE}

    def lacking(self, metric: str) -> str | None:
        """Say who did not observe a metric; None where both did."""
        missing = [
            name
            for name, found in (("the baseline", self._before), ("the candidate", self._after))
            if metric not in found and metric != ERROR_RATE
        ]
        return f"not observed in {' or '.join(missing)}" if missing else None

    def distributions(self, metric: str) -> tuple[Distribution, Distribution] | None:
        """Return a metric of both profiles; None for a rate."""
        return None if metric == ERROR_RATE else (self._before[metric], self._after[metric])

    def number(self, metric: str, statistic: str) -> Number | None:
        """Return a statistic of a shared metric; None where one of the profiles cannot give it."""
        if metric == ERROR_RATE:
            return self._error_rate()
        before, after = self._before[metric], self._after[metric]
        values = _value(before, statistic), _value(after, statistic)
        if values[0] is None or values[1] is None:
            return None
        spread, reason, method = self._spread(metric, statistic, before, after)
        return Number(
            metric=metric,
            statistic=statistic,
            unit=before.unit,
            pair=Pair(baseline=values[0], candidate=values[1], spread=spread),
            method=method,
            reason=reason,
        )

    def _spread(
        self, metric: str, statistic: str, before: Distribution, after: Distribution
    ) -> tuple[Spread | None, str | None, Method]:
        ours, theirs = self._column(metric, baseline=True), self._column(metric, baseline=False)
        if ours is None or theirs is None:
            return *_from_sums(before, after, statistic), "sums and histograms"
        spread, reason = self._resampling.spread(ours, theirs, STATISTICS[statistic])
        return spread, reason, self._sampled

    @property
    def _sampled(self) -> Method:
        return "paired sessions" if self.sessions.paired else "sessions"

    def _error_rate(self) -> Number:
        pair = [_failed_share(profile) for profile in (self.baseline, self.candidate)]
        columns = [_failures(p, s) for p, s in self._sides]
        spread, reason = self._resampling.spread(columns[0], columns[1], None)
        return Number(
            metric=ERROR_RATE,
            statistic="share",
            unit="share",
            pair=Pair(baseline=pair[0], candidate=pair[1], spread=spread),
            method=self._sampled,
            reason=reason,
        )

    @property
    def _sides(self) -> list[tuple[WorkloadProfile, tuple[int, ...]]]:
        return [
            (self.baseline, self.sessions.baseline),
            (self.candidate, self.sessions.candidate),
        ]

    def _column(self, metric: str, *, baseline: bool) -> Column | None:
        key = (baseline, metric)
        if key not in self._columns:
            profile, sessions = self._sides[0 if baseline else 1]
            self._columns[key] = _column(profile, sessions, metric)
        return self._columns[key]


def _failed_share(profile: WorkloadProfile) -> float:
    sample = profile.sample
    return (sample.interactions - sample.succeeded) / max(sample.interactions, 1)


def _failures(profile: WorkloadProfile, sessions: tuple[int, ...]) -> Column:
    ok = profile.joint.columns.index("ok")
    return Column(values=[0.0 if r[ok] else 1.0 for r in profile.joint.rows], sessions=sessions)


def _column(profile: WorkloadProfile, sessions: tuple[int, ...], metric: str) -> Column | None:
    """Return a metric's values in the joint sample; None where they are not all that there are."""
    section, _, name = metric.partition(".")
    known = INTERACTION_METRICS.get(name) if section == "interaction" else None
    if known is None:
        return None
    columns = profile.joint.columns
    title = f"{name}_s" if known.unit == "s" else name
    if title not in columns:
        return None
    place, ok = columns.index(title), columns.index("ok")
    kept = [
        (float(row[place]), session)
        for row, session in zip(profile.joint.rows, sessions, strict=True)
        if row[place] is not None and (row[ok] or known.population == "measured")
    ]
    if len(kept) != profile.interaction[name].count:
        return None
    return Column(values=[value for value, _ in kept], sessions=[session for _, session in kept])


def _distributions(profile: WorkloadProfile) -> dict[str, Distribution]:
    return dict(named_distributions(profile))


def _fill_tools(
    found: dict[str, Distribution], profile: WorkloadProfile, other: WorkloadProfile
) -> None:
    """Count a tool that only the other run used as used zero times, where tools were watched."""
    watched = profile.interaction.get("tool_calls")
    if watched is None:
        return
    for tool in other.tools.keys() - profile.tools.keys():
        none = distribution_of(zeros_like(sample_of_distribution(watched)))
        found[f"tools.{tool}.calls_per_interaction"] = none


def _value(distribution: Distribution, statistic: str) -> float | None:
    value: float | None = getattr(distribution, statistic)
    return value


def _from_sums(
    before: Distribution, after: Distribution, statistic: str
) -> tuple[Spread | None, str | None]:
    """Return the spread of two independent samples, from what their distributions say alone."""
    fewest = min(before.clusters.sessions, after.clusters.sessions)
    if fewest < FEWEST_SESSIONS:
        return None, f"{fewest} sessions have it: {FEWEST_SESSIONS} are needed"
    found = [variance_of(item, statistic) for item in (before, after)]
    if found[0] is None or found[1] is None:
        return None, f"too few independent values for an interval of the {statistic}"
    variances = (found[0], found[1])
    if STATISTICS[statistic] is None:
        are_zeros = (_are_zeros(before), _are_zeros(after))
        variances = varying(variances, are_zeros, (before.count, after.count))
    degrees = welch_degrees(
        [
            (variances[0], before.clusters.sessions - 1),
            (variances[1], after.clusters.sessions - 1),
        ]
    )
    return Spread(
        baseline=variances[0], candidate=variances[1], covariance=0.0, degrees=degrees
    ), None


def _are_zeros(distribution: Distribution) -> bool:
    return distribution.min == distribution.max == 0


def variance_of(distribution: Distribution, statistic: str) -> float | None:
    """Return the variance of a mean or a percentile, in its squared unit; None: not known."""
    quantile = STATISTICS[statistic]
    if quantile is None:
        return _mean_variance(distribution)
    return _quantile_variance(distribution, quantile)


def _mean_variance(distribution: Distribution) -> float | None:
    variance = mean_variance(ClusterSums(**distribution.clusters.model_dump()))
    per_unit = SCALES[distribution.unit].per_unit
    return None if variance is None else variance / per_unit**2


def _quantile_variance(distribution: Distribution, quantile: float) -> float | None:
    """Return the variance of a percentile, from the width of its interval by order statistics.

    Woodruff, *Journal of the American Statistical Association* 47 (1952). The design effect is that
    of the p95, which the profile has.
    """
    sample = sample_of_distribution(distribution)
    n = sample.histogram.count
    if n != sample.p95_sums.sum_n:
        return None
    ranks = quantile_ranks(sample.p95_sums, quantile)
    if ranks is None:
        return None
    low, high = (sample.histogram.percentile(100 * (rank - 0.5) / n) for rank in ranks)
    if low is None or high is None:
        return None
    half = (high - low) / 2 / SCALES[distribution.unit].per_unit
    return (half / student_t_quantile(distribution.clusters.sessions - 1, 0.975)) ** 2
