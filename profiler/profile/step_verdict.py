"""What one step of a search for the capacity has shown, all objectives together.

- One objective missed is enough for *missed*.
- A target that falls behind (`drift`) never meets, though its latency may not show it yet: it is
  *undecided*, so that a longer run tells.
- A harness that was late itself (`trust` says so) makes times longer, never shorter: latency counts
  from the intended start, so its delays are in it. What is met in spite of them is met. What is
  missed is *missed* only if it is so by more than the harness was late; else the step is
  *driver_limited*, and shows nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from profiler.profile.capacity import Judged, Number
from profiler.profile.judging import (
    Judgement,
    Verdict,
    judged_later,
    judged_metric,
    rate_estimate,
    statistic_estimate,
)
from profiler.profile.metrics import INTERACTION_METRICS
from profiler.profile.objectives import ERROR_RATE, GOODPUT, RATES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from profiler.profile.capacity import StepDecision
    from profiler.profile.drift import Drift
    from profiler.profile.judging import Estimate
    from profiler.profile.model import Trust, WorkloadProfile

_CURVE = (("latency", ("mean", "p50", "p95")), ("time_to_first_token", ("mean", "p95")))


def step_verdict(
    profile: WorkloadProfile, verdicts: Sequence[Verdict], drift: Drift | None
) -> tuple[StepDecision, tuple[str, ...]]:
    """Return what a step has shown, and why that is not `met`, or in spite of what."""
    limited = profile.trust.verdict == "driver_limited"
    missed = [v for v in verdicts if v.judgement is Judgement.MISSED]
    if missed:
        sure = [v for v in missed if not limited or _is_the_targets(v, profile.trust)]
        if not sure:
            return "driver_limited", profile.trust.reasons
        return "missed", tuple(f"{v.objective} is missed" for v in sure)
    reasons = [_undecided(v) for v in verdicts if v.judgement is Judgement.UNDECIDED]
    if drift is not None and drift.falls_behind:
        reasons.append(
            f"the target falls behind: latency grows by {drift.slope:.2g} s in each second, so "
            f"{100 * drift.completed_share:.0f} % of what is offered is completed as it comes"
        )
    notes = profile.trust.reasons if limited else ()
    if limited and not reasons and not all(_survives_delays(v) for v in verdicts):
        return "driver_limited", notes
    return ("undecided" if reasons else "met"), (*reasons, *notes)


def _undecided(verdict: Verdict) -> str:
    why = verdict.estimate.reason or "the bound is within the interval"
    return f"{verdict.objective} is undecided: {why}"


def _survives_delays(verdict: Verdict) -> bool:
    """Tell whether an objective that is met would also be met by a harness that is never late."""
    is_time = verdict.objective.unit == "s"
    return not is_time or verdict.objective.comparator.is_upper


def _is_the_targets(verdict: Verdict, trust: Trust) -> bool:
    """Tell whether an objective would be missed also if the harness had never been late."""
    if verdict.objective.metric in RATES or verdict.objective.unit != "s":
        return True
    return judged_later(verdict, _late_s(trust)) is Judgement.MISSED


def _late_s(trust: Trust) -> float:
    """Return by how much the harness may have made times longer, all but the odd one of them.

    A loop that is busy is late in sending, which was measured, and may be as late in reading. One
    that stands still in most seconds may be so for as long as its worst delay.
    """
    delay, lag = trust.dispatch_delay, trust.loop_lag
    late_s = 0.0 if delay is None else 2 * delay.p99_s
    stands_still = lag.max_s is not None and 2 * lag.lagging > lag.samples
    return late_s + (lag.max_s or 0.0) if stands_still else late_s


def judged_of(verdict: Verdict, *, implied: bool) -> Judged:
    """Return an objective's verdict as it is written down."""
    objective = verdict.objective
    return Judged(
        objective=str(objective),
        name=objective.name,
        metric=verdict.metric,
        bound=objective.bound,
        is_upper=objective.comparator.is_upper,
        implied=implied,
        verdict=verdict.judgement.value,
        reason=verdict.estimate.reason,
        **_number(objective.unit, verdict.estimate),
    )


def curve_numbers(profile: WorkloadProfile) -> dict[str, Number]:
    """Return the numbers that a curve is drawn of, whatever was asked."""
    found: dict[str, Number] = {}
    for metric, statistics in _CURVE:
        looked_at = judged_metric(metric, profile)
        if looked_at not in profile.interaction:
            continue
        for statistic in statistics:
            estimate = statistic_estimate(looked_at, statistic, profile)
            unit = INTERACTION_METRICS[looked_at].unit
            found[f"{metric}.{statistic}"] = Number(**_number(unit, estimate))
    for rate in (ERROR_RATE, GOODPUT):
        estimate = rate_estimate(rate, profile)
        if estimate.value is not None:
            found[rate] = Number(**_number("share", estimate))
    return found


def _number(unit: str, estimate: Estimate) -> dict[str, Any]:
    return {"unit": unit, "value": estimate.value, "ci95": estimate.interval}
