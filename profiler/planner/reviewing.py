"""From a plan and what was measured since to a review: a pure function of them and a date."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from profiler import __version__
from profiler.errors import PlanError
from profiler.planner.actual import Actual, of_distribution
from profiler.planner.drift import Comparison, judge, planned_actuals
from profiler.planner.moving import moved, traffic, with_means
from profiler.planner.nearness import Growing, Watched, near
from profiler.planner.review import (
    REVIEW_SCHEMA_VERSION,
    Effect,
    InputReview,
    NotCompared,
    Review,
    ScaleReview,
)
from profiler.planner.review_inputs import INPUTS, MONTH, PEAK, expected
from profiler.planner.review_prices import price_review
from profiler.planner.review_verdict import verdict_of
from profiler.planner.sides import Recomputing, Side
from profiler.workload.near import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import date

    from profiler.planner.baseline import Baseline
    from profiler.planner.demand import Demand
    from profiler.planner.plan import Plan
    from profiler.planner.price_book import PriceBook
    from profiler.planner.review import AnswersAt, Growth
    from profiler.profile.model import WorkloadProfile

_OF_PRODUCTION = "a profile is of a load that somebody chose: production's Prometheus tells"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What was measured since the plan was made, from one source.

    `missing` says by input why it is not among `actual`. `side` is the agent as a profile has it,
    and `plan` the plan made of that; None: production tells means only. `watched` are the triggers
    by id.
    """

    source: str
    actual: Mapping[str, Actual]
    missing: Mapping[str, str]
    same_sessions: bool = False
    side: Side | None = None
    plan: Plan | None = None
    growth: Growth | None = None
    watched: Mapping[str, Watched] = field(default_factory=dict)


def baseline_of_plan(plan: Plan) -> Baseline:
    """Return the plan's baseline. Raises PlanError for a plan that kept none."""
    if plan.baseline is None:
        fix = "Make the plan again: `agent-profiler plan`"
        raise PlanError("the plan kept nothing of its profile", where=plan.name, fix=fix)
    return plan.baseline


def planned_inputs(plan: Plan) -> dict[str, Actual]:
    """Return the plan's side of every input that it has."""
    launch = plan.scales[0].demand
    found = planned_actuals(baseline_of_plan(plan).metrics)
    for name, value in (
        (PEAK, launch.interactions_per_minute),
        (MONTH, launch.interactions_per_month),
    ):
        found[name] = Actual(mean=value, mean_ci95=None)
    return found


def of_profile(profile: WorkloadProfile, plan: Plan) -> tuple[dict[str, Actual], dict[str, str]]:
    """Return the inputs that a profile measured, and why others of the plan are not there."""
    found, missing = {}, {PEAK: _OF_PRODUCTION, MONTH: _OF_PRODUCTION}
    for name in planned_inputs(plan):
        section, _, metric = name.partition(".")
        known = {"interaction": profile.interaction, "session": profile.session}.get(section, {})
        if metric in known:
            found[name] = of_distribution(known[metric])
        elif name not in missing:
            missing[name] = "nobody observed it in this profile"
    return found, missing


def is_same_workload(plan: Plan, profile: WorkloadProfile) -> bool:
    """Tell whether a profile is of the plan's own workload, by its digests."""
    return baseline_of_plan(plan).digests == profile.run.digests


def review_plan(
    plan: Plan,
    demand: Demand,
    book: PriceBook,
    measurement: Measurement,
    *,
    at: date,
    tolerances: Mapping[str, float] | None = None,
) -> Review:
    """Return the review; `at` is today. `tolerances` take the place of those of the inputs.

    Raises PlanError for a plan that kept no baseline, where nothing can be compared, and for a
    tolerance of an input that there is not.
    """
    given = tolerances or {}
    _known(given)
    baseline = baseline_of_plan(plan)
    planned = planned_inputs(plan)
    comparison = Comparison(
        planned=planned,
        shapes=baseline.metrics,
        actual={name: each for name, each in measurement.actual.items() if name in planned},
        same_sessions=measurement.same_sessions,
        tolerances=given,
    )
    if not comparison.actual:
        fix = "Give a profile of this agent, or the Prometheus that scrapes it"
        what = "nothing that the plan was made of was measured there"
        raise PlanError(what, where=measurement.source, fix=fix)
    recomputing = Recomputing(plan=plan, baseline=baseline, demand=demand, book=book, at=at)
    inputs = tuple(_with_effects(judge(comparison), comparison, recomputing))
    scales = tuple(_scales(recomputing, measurement, comparison))
    triggers = near(
        plan,
        measurement.plan,
        measurement.watched,
        growing=_growing(measurement, scales[0]),
        at=at,
    )
    prices = price_review(plan, recomputing)
    verdict, reasons = verdict_of(inputs, scales, triggers, prices, at)
    return Review(
        schema_version=REVIEW_SCHEMA_VERSION,
        kind="review",
        plan=plan.name,
        tool_version=__version__,
        source=measurement.source,
        same_sessions=measurement.same_sessions,
        verdict=verdict,
        reasons=reasons,
        inputs=inputs,
        not_compared=tuple(_not_compared(planned, measurement)),
        scales=scales,
        growth=measurement.growth,
        triggers=triggers,
        prices=prices,
    )


def _known(tolerances: Mapping[str, float]) -> None:
    names = [item.name for item in INPUTS]
    for name in tolerances:
        if name not in names:
            what = f"there is no input '{name}'"
            raise PlanError(what, where="--tolerance", fix=did_you_mean(name, names))


def _not_compared(planned: Mapping[str, Actual], measurement: Measurement) -> Iterator[NotCompared]:
    for item in INPUTS:
        if item.name in planned and item.name not in measurement.actual:
            reason = measurement.missing.get(item.name, "it was not measured")
            yield NotCompared(name=item.name, title=item.title, reason=reason)


def _with_effects(
    found: tuple[InputReview, ...], comparison: Comparison, recomputing: Recomputing
) -> Iterator[InputReview]:
    factors = [scale.factor for scale in recomputing.plan.scales]
    before = {factor: recomputing.answers(recomputing.planned, factor) for factor in factors}
    for each in found:
        if each.status not in {"drifted", "unclear"}:
            yield each
            continue
        side = _alone(each, comparison, recomputing)
        effects = tuple(
            _effect(factor, before[factor], recomputing.answers(side, factor)) for factor in factors
        )
        yield each.model_copy(update={"effects": effects})


def _alone(each: InputReview, comparison: Comparison, recomputing: Recomputing) -> Side:
    """Return the planned side with what one input moved by itself."""
    planned = {name: item.mean for name, item in comparison.planned.items()}
    actual = {name: item.mean for name, item in comparison.actual.items()}
    item = next(item for item in INPUTS if item.name == each.name)
    driven_to, _ = expected(item, planned, actual)
    return moved(recomputing, each.name, driven_to=driven_to, actual=each.actual, planned=planned)


def _effect(factor: float, before: AnswersAt, after: AnswersAt) -> Effect:
    known = before.max_users is not None and after.max_users is not None
    used = before.utilization is not None and after.utilization is not None
    return Effect(
        factor=factor,
        users_by_limit=(after.max_users or 0) - (before.max_users or 0) if known else None,
        users_by_workers=after.users_on_planned_workers - before.users_on_planned_workers,
        workers=after.workers - before.workers,
        utilization=(after.utilization or 0.0) - (before.utilization or 0.0) if used else None,
        cost_usd=after.cost_total - before.cost_total,
    )


def _scales(
    recomputing: Recomputing,
    measurement: Measurement,
    comparison: Comparison,
) -> Iterator[ScaleReview]:
    side = measurement.side
    if side is None:
        side = _of_means(recomputing, comparison)
    counts = {}
    if measurement.plan is not None:
        counts = {scale.factor: scale.workers.count for scale in measurement.plan.scales}
    for scale in recomputing.plan.scales:
        yield ScaleReview(
            factor=scale.factor,
            planned=recomputing.answers(recomputing.planned, scale.factor),
            actual=recomputing.answers(side, scale.factor, workers=counts.get(scale.factor)),
        )


def _growing(measurement: Measurement, launch: ScaleReview) -> Growing | None:
    """Return what stages are forecast from; None: production's traffic is not known."""
    peak = measurement.actual.get(PEAK)
    if measurement.growth is None or peak is None or peak.mean <= 0:
        return None
    planned, actual = launch.planned, launch.actual
    limits = 1.0
    if planned.max_users and actual.max_users is not None:
        limits = actual.max_users / planned.max_users
    before = planned.users_on_planned_workers
    return Growing(
        growth=measurement.growth,
        peak_per_minute=peak.mean,
        by_workers=actual.users_on_planned_workers / before if before else 1.0,
        by_limits=limits,
    )


def _of_means(recomputing: Recomputing, comparison: Comparison) -> Side:
    """Return the planned side with all that production tells, at today's prices."""
    planned = {name: item.mean for name, item in comparison.planned.items()}
    actual = {name: item.mean for name, item in comparison.actual.items()}
    side = recomputing.planned
    behaviour = with_means(side.behaviour, planned, actual)
    dearer = recomputing.usd_today() / side.usd_per_interaction
    factors = {
        word: actual[name] / planned[name]
        for word, name in (("peak", PEAK), ("month", MONTH))
        if name in actual
    }
    return replace(
        side,
        behaviour=behaviour,
        usd_per_interaction=recomputing.usd_moved(behaviour) * dearer,
        numbers=traffic(recomputing, **factors),
    )
