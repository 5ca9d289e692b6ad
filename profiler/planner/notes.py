"""What a plan says of itself: which profile, which prices, which numbers, and what to beware of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from profiler.errors import PlanError
from profiler.planner import plan
from profiler.planner.prices import data_version, newest_price
from profiler.workload.near import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import date
    from pathlib import Path

    from profiler.planner.bill import Bill
    from profiler.planner.demand import Demand
    from profiler.planner.measured import Measured
    from profiler.planner.price_book import PriceBook

_PLAUSIBLE_DIFFERENCE = 1.5
_FEW_INTERACTIONS = 100

_FIGURES = (
    ("interaction.llm_calls.mean", "LLM calls of an interaction"),
    ("interaction.latency.mean", "workers: how long an interaction holds a slot"),
    ("interaction.latency.p95", "beside the answer latency under load"),
    ("interaction.input_tokens.mean", "tokens against limits, and the models' bill"),
    ("interaction.output_tokens.mean", "tokens against limits, and the models' bill"),
    ("interaction.cached_input_tokens.mean", "what is read from the cache"),
    ("llm_call.attempts.mean", "HTTP requests of an LLM call"),
    ("interaction.tool_time.mean", "part of how long an interaction holds a slot"),
    ("interaction.state_reads.mean", "reads of state stores"),
    ("interaction.state_writes.mean", "writes to state stores"),
    ("session.interactions.mean", "interactions of a session"),
)


def profile_input(measured: Measured) -> plan.ProfileInput:
    """Return which profile the plan was made of."""
    identity = measured.identity
    return plan.ProfileInput(
        id=identity.profile_id,
        digest=identity.digest_sha256,
        schema_version=identity.schema_version,
        started_at=identity.started_at,
        interactions=identity.interactions,
        sessions=identity.sessions,
        mock=identity.is_mock,
        verdict=identity.verdict,
        reasons=identity.verdict_reasons,
    )


def price_input(bill: Bill, book: PriceBook, at: date) -> plan.PriceInput:
    """Return which prices the plan was made with."""
    return plan.PriceInput(
        models=data_version(),
        models_date=newest_price(at).isoformat(),
        at=bill.at.isoformat(),
        infrastructure=f"{book.name}, {book.region}, {book.date}",
    )


def provenance(measured: Measured) -> Iterator[plan.Provenance]:
    """Yield the figures of the profile that the plan takes, as far as they were observed."""
    for path, used_for in _FIGURES:
        figure = measured.figures.find(path)
        if figure is not None:
            yield plan.Provenance(
                used_for=used_for,
                metric=path,
                value=figure.value,
                unit=figure.unit,
                ci95=figure.interval95,
                source=figure.source,
                coverage=figure.coverage,
            )


def check_trust(measured: Measured, *, accept_untrusted: bool) -> None:
    """Raise PlanError for a profile that is not to be trusted, unless that is accepted."""
    identity = measured.identity
    if identity.verdict == "trusted" or accept_untrusted:
        return
    why = "; ".join(identity.verdict_reasons) or "it does not say why"
    raise PlanError(
        f"the profile is {identity.verdict.replace('_', ' ')}: {why}",
        where=identity.profile_id,
        fix="Measure again, or plan from it all the same with --accept-untrusted",
    )


def check_models(demand: Demand, measured: Mapping[str, object], path: Path) -> None:
    """Raise PlanError for a model of the demand that nothing is measured of, and that takes none.

    Its limits would be checked against nothing, which looks like room without end.
    """
    fallbacks = {model.fallback for model in demand.models.values()}
    for name, model in demand.models.items():
        for replaced in model.replaces:
            if replaced not in measured:
                what = f"it replaces '{replaced}', of which the profile has no calls"
                raise PlanError(
                    what, where=f"{path}: models.{name}", fix=did_you_mean(replaced, measured)
                )
        if name not in measured and not model.replaces and name not in fallbacks:
            fix = f"{did_you_mean(name, measured)} Or say whose calls it takes: replaces"
            what = "the profile has no calls of this model"
            raise PlanError(what, where=f"{path}: models.{name}", fix=fix)


def warnings(
    demand: Demand, measured: Measured, bill: Bill, scales: Sequence[plan.Scale]
) -> Iterator[str]:
    """Yield what to beware of, the gravest first."""
    identity = measured.identity
    if identity.verdict != "trusted":
        why = "; ".join(identity.verdict_reasons)
        yield f"the profile is {identity.verdict.replace('_', ' ')}: {why}"
    if identity.is_mock:
        yield (
            "the mock agent was measured: its times and calls are made up. Measure your own agent "
            "before you stake money on this plan"
        )
    if identity.is_partial:
        yield f"the profile is partial: {'; '.join(identity.partial_reasons)}"
    if identity.interactions < _FEW_INTERACTIONS:
        yield (
            f"the profile has {identity.interactions} interactions: at least "
            f"{_FEW_INTERACTIONS} are wanted"
        )
    for scale in scales:
        yield from _of_scale(scale)
    yield from measured.warnings
    yield from _not_observed(demand, measured, bill)
    yield from _of_demand(demand, scales)


def _of_scale(scale: plan.Scale) -> Iterator[str]:
    at = f"at {scale.factor:g}x"
    for limit in scale.limits:
        if limit.utilization > 1:
            yield (
                f"{at} the demand on {limit.model} {limit.limit} is {limit.utilization:.1%} of the "
                f"limit: workers, costs and latency are those of answers that will not all come"
            )
    if not scale.workers.meets_targets:
        yield (
            f"{at} no number of workers meets answer_latency_p95: the measured answers alone take "
            "longer"
        )


def _not_observed(demand: Demand, measured: Measured, bill: Bill) -> Iterator[str]:
    if bill.exact.coverage < 1:
        yield (
            f"tokens were observed of {bill.exact.coverage:.1%} of the LLM calls: the others are "
            "priced at the mean of their model"
        )
    if bill.exact.cache_coverage < 1:
        yield (
            f"{bill.exact.cache_coverage:.1%} of the LLM calls told what was read from the cache: "
            "the others are priced as if nothing was"
        )
    if measured.retries.attempts_per_call is None:
        yield "attempts were not observed: each LLM call is taken as one request (--gateway sees)"
    if measured.session_interactions is None and demand.users.session_interactions is None:
        yield "sessions were not observed: each is taken to have one interaction"
    if measured.state_reads is None and not measured.stores:
        yield "state operations were not observed (--state sees them): stores are sized without"
    for use in measured.stores:
        if use.is_whole_run:
            yield f"operations on {use.store} are the store's own count, strangers' included"


def _of_demand(demand: Demand, scales: Sequence[plan.Scale]) -> Iterator[str]:
    if not any(model.limits is not None for model in demand.models.values()):
        yield "no provider limit is given: how many users they admit is not known"
    traffic, first = demand.traffic, scales[0]
    if traffic.interactions_per_day is not None and traffic.peak_to_average is not None:
        mean = traffic.interactions_per_day.likely / (traffic.hours_per_day.likely * 60)
        stated = first.demand.interactions_per_minute / first.factor / mean
        ratio = stated / traffic.peak_to_average.likely
        if not 1 / _PLAUSIBLE_DIFFERENCE < ratio < _PLAUSIBLE_DIFFERENCE:
            yield (
                f"users and interactions_per_day make a peak of {stated:.3g} times the average, "
                f"peak_to_average says {traffic.peak_to_average.likely:g}: one of them is off"
            )
    for name, model in demand.models.items():
        if model.fallback is not None:
            yield (
                f"what the limits of {name} reject at the peak goes to {model.fallback}: its part "
                "of the month's bill is not known, and not in it"
            )
