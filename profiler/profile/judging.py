"""Whether a profile meets an objective: by its interval, not by its point.

An objective is *met* when the whole 95 % interval of its number is on the good side of the bound,
*missed* when it is wholly on the bad side, and *undecided* when the bound is within it, or when the
sample supports no interval.

- `latency` means `scheduled_latency` where the profile has it (open loop): what users waited from
  the moment at which they meant to send, so that a stalled agent cannot hide behind requests that
  were not sent (coordinated omission). Other times count from the send; that the two differ little
  is what `trust` watches.
- Times are those of interactions that succeeded: an objective for times says little without one for
  `error_rate`.
- A failure ends its session, so a session has at most one. A sequence of trials that stops at its
  first failure has the variance of independent trials (its failures, less their expectation, are a
  martingale), so the interval of `error_rate` is the exact binomial one over interactions
  (Clopper and Pearson). Failures that come together in time, as in an outage, are not allowed for.
- `goodput` can be missed again and again within a session: its interval allows for that.
- The p95's interval is that of the profile. Those of other quantiles are order statistics of as
  many values as the sample is worth for the p95 or for the mean, whichever is fewer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from profiler.measure.records import Outcome
from profiler.profile.objectives import DROPPED_RATE, ERROR_RATE, GOODPUT, RATES, STATISTICS
from profiler.profile.quantiles import student_t_quantile
from profiler.profile.sample import SCALES, sample_of_distribution
from profiler.profile.shares import fewest_trials, share_interval
from profiler.profile.statistics import CONFIDENCE, effective_size, order_ranks

if TYPE_CHECKING:
    from collections.abc import Iterable

    from profiler.profile.distribution import Distribution
    from profiler.profile.model import WorkloadProfile
    from profiler.profile.objectives import Objective

_TAIL = (1 - CONFIDENCE) / 2
_LATENCY, _SCHEDULED = "latency", "scheduled_latency"
_P95 = "p95"


class Judgement(StrEnum):
    """What a sample says of an objective."""

    MET = "met"
    MISSED = "missed"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number, its 95 % interval, and why either is missing; in the unit of the objective."""

    value: float | None = None
    interval: tuple[float, float] | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """An objective, judged. `metric` is the one that was looked at, `estimate` what it showed."""

    objective: Objective
    metric: str
    estimate: Estimate
    judgement: Judgement


def judge(objective: Objective, profile: WorkloadProfile) -> Verdict:
    """Judge one objective by a profile. A metric that was not observed leaves it undecided."""
    if objective.metric in RATES:
        metric, estimate = objective.metric, rate_estimate(objective.metric, profile)
    else:
        metric = judged_metric(objective.metric, profile)
        estimate = statistic_estimate(metric, objective.statistic or "mean", profile)
    return Verdict(
        objective=objective,
        metric=metric,
        estimate=estimate,
        judgement=_side(objective, estimate.interval),
    )


def judged_metric(metric: str, profile: WorkloadProfile) -> str:
    """Return the metric to look at: `scheduled_latency` for `latency`, where there is one."""
    scheduled = metric == _LATENCY and _SCHEDULED in profile.interaction
    return _SCHEDULED if scheduled else metric


def _side(objective: Objective, interval: tuple[float, float] | None) -> Judgement:
    if interval is None:
        return Judgement.UNDECIDED
    bound, strict = objective.bound, objective.comparator.is_strict
    # The ends of the interval: the one that is worst for the objective, and the one that is best.
    worst, best = interval[::-1] if objective.comparator.is_upper else interval
    if not objective.comparator.is_upper:
        worst, best, bound = -worst, -best, -bound
    if worst < bound or (worst == bound and not strict):
        return Judgement.MET
    if best > bound or (best == bound and strict):
        return Judgement.MISSED
    return Judgement.UNDECIDED


def judged_later(verdict: Verdict, late_s: float) -> Judgement:
    """Judge a time again, as if all of it had been measured so many seconds too long."""
    interval = verdict.estimate.interval
    if interval is not None:
        interval = interval[0] - late_s, interval[1] - late_s
    return _side(verdict.objective, interval)


def rate_estimate(rate: str, profile: WorkloadProfile) -> Estimate:
    """Return one of `RATES` with its interval, as a share.

    Interactions that the harness cancelled (Ctrl-C) are nobody's errors: they are left out.
    """
    if rate == GOODPUT:
        goodput = profile.goodput
        if goodput is None:
            return Estimate(reason="no --goodput objective was given")
        return Estimate(
            value=goodput.share,
            interval=goodput.share_ci95,
            reason=next(iter(goodput.reasons.values()), None),
        )
    failed = profile.sample.failed
    cancelled = sum(
        times for kind, times in failed.items() if kind.split("/")[0] == Outcome.CANCELLED
    )
    trials = profile.sample.interactions - cancelled
    hits = sum(failed.values()) - cancelled
    if rate == DROPPED_RATE:
        # An arrival that was dropped would have been an interaction.
        dropped = profile.load.dropped
        if dropped is None:
            return Estimate(reason="the run was too short to be watched for dropped starts")
        trials, hits = profile.sample.interactions + dropped, dropped
    if not trials:
        return Estimate(reason="there is no interaction")
    return Estimate(value=hits / trials, interval=share_interval(hits, trials))


def statistic_estimate(metric: str, statistic: str, profile: WorkloadProfile) -> Estimate:
    """Return a statistic of an interaction metric with its interval, in the metric's unit."""
    distribution = profile.interaction.get(metric)
    if distribution is None:
        return Estimate(reason=f"{metric} was not observed")
    quantile = STATISTICS[statistic]
    if quantile is None:
        value: float | None = distribution.mean
        interval = distribution.mean_ci95
    else:
        value = getattr(distribution, statistic)
        interval = distribution.p95_ci95
        if statistic != _P95:
            interval = _quantile_interval(distribution, quantile)
    reason = None
    if interval is None:
        reasons, key = distribution.reasons, statistic
        needs = f"needs {fewest_for_quantile(quantile)} values" if quantile else "too few values"
        reason = reasons.get(f"{key}_ci95", reasons.get(key, needs))
    return Estimate(value=value, interval=interval, reason=reason)


def _quantile_interval(distribution: Distribution, quantile: float) -> tuple[float, float] | None:
    worth = _worth(distribution)
    ranks = order_ranks(worth, quantile) if worth else None
    if ranks is None or distribution.out_of_range:
        return None
    sample = sample_of_distribution(distribution)
    n, per_unit = distribution.count, SCALES[distribution.unit].per_unit
    outward = max(1, ranks[0] * n // worth), min(n, -(-ranks[1] * n // worth))
    lower, upper = (sample.histogram.percentile(100 * (rank - 0.5) / n) or 0 for rank in outward)
    return (
        max(lower / per_unit, distribution.min),
        min(upper / per_unit, distribution.max),
    )


def _worth(distribution: Distribution) -> int:
    """Return how many independent values the sample is worth, by its p95 and by its mean.

    By the mean: n over Kish's design effect of the mean, with Korn and Graubard's penalty, as
    `statistics.effective_size` does it for an indicator.
    """
    sample, n = sample_of_distribution(distribution), distribution.count
    by_p95 = effective_size(sample.p95_sums)
    interval, stddev, k = distribution.mean_ci95, distribution.stddev, sample.sums.sessions
    if sample.sums.sum_nn == n or interval is None or not stddev:
        return by_p95
    t_of_sessions = student_t_quantile(k - 1, 1 - _TAIL)
    variance = ((interval[1] - interval[0]) / 2 / t_of_sessions) ** 2
    effect = max(1.0, variance * n / stddev**2)
    penalty = (student_t_quantile(n - 1, 1 - _TAIL) / t_of_sessions) ** 2
    return min(by_p95, math.floor(n / effect * penalty))


def fewest_for_quantile(quantile: float) -> int:
    """Return how many independent values the interval of a quantile needs: 72 for the p95."""
    return fewest_trials(1 - max(quantile, 1 - quantile))


def fewest_to_decide(objectives: Iterable[Objective]) -> int:
    """Return how many interactions at least any sample needs to meet all of the objectives."""
    fewest = 2
    for objective in objectives:
        quantile = STATISTICS.get(objective.statistic or "")
        if objective.metric in RATES:
            bound = objective.bound
            share = bound if objective.comparator.is_upper else 1 - bound
            needed = fewest_trials(share) if share < 1 else 1
        else:
            needed = fewest_for_quantile(quantile) if quantile is not None else 2
        fewest = max(fewest, needed)
    return fewest


def implied_rates(objectives: Iterable[Objective], *, drops: bool) -> tuple[str, ...]:
    """Name the rates that are not asked for, but without which the answer would mislead.

    Times are of interactions that succeeded, of starts that were made: an agent that refuses, or a
    schedule that drops, must not count as fast. `drops`: whether starts can be dropped.
    """
    asked = {objective.metric for objective in objectives}
    wanted = (ERROR_RATE, DROPPED_RATE) if drops else (ERROR_RATE,)
    return tuple(rate for rate in wanted if rate not in asked)
