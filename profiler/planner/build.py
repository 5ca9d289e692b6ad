"""From a profile and a demand to a plan: a pure function of them, of prices, a date and a seed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from profiler import __version__
from profiler.planner import plan
from profiler.planner.agent import agent_of
from profiler.planner.api_cost import api_cost, run_cost
from profiler.planner.baseline import baseline_of
from profiler.planner.bill import bill_of
from profiler.planner.economics import crossings
from profiler.planner.evaluate import Point, Setting, evaluate
from profiler.planner.inputs import likely, numbers_of, ranges_of
from profiler.planner.measured import measure
from profiler.planner.notes import (
    check_models,
    check_trust,
    price_input,
    profile_input,
    provenance,
    warnings,
)
from profiler.planner.operations import check_skills
from profiler.planner.price_book import load_price_book
from profiler.planner.prices import exactly
from profiler.planner.ranges import certain
from profiler.planner.rollout import build_rollout
from profiler.planner.scale import Scaling, build_scale, served_shares, value_per_user
from profiler.planner.sensitivity import (
    AS_MEASURED,
    Answers,
    Change,
    Measured,
    tornado,
    what_ifs,
)
from profiler.planner.serving import serving
from profiler.planner.spread import draw_points, spreads
from profiler.planner.stack import check_stack, stack_of
from profiler.planner.stack_catalogue import load_catalogue
from profiler.planner.thresholds import build_triggers, unwatched
from profiler.planner.workers import cv2

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date
    from decimal import Decimal

    from profiler.planner import measured as profile_side
    from profiler.planner.agent import Agent
    from profiler.planner.bill import Bill
    from profiler.planner.demand import Demand
    from profiler.planner.demand_file import DemandFile
    from profiler.planner.inputs import Choose
    from profiler.planner.price_book import PriceBook
    from profiler.planner.sensitivity import MeasuredField
    from profiler.profile.model import WorkloadProfile

_DATABASES = ("postgres",)
_CHEAPER = {"openai": "gpt-4o-mini", "anthropic": "claude-3-5-haiku-latest"}


def build_plan(
    profile: WorkloadProfile,
    asked: DemandFile,
    *,
    at: date,
    seed: int = 1,
    draws: int = 200,
    accept_untrusted: bool = False,
) -> plan.Plan:
    """Return the plan. `at` is the day whose prices are taken, `draws` are behind each range.

    Raises PlanError for a profile that is not to be trusted or lacks what the plan needs, and for
    what the demand names and nobody knows.
    """
    demand = asked.demand
    measured = measure(profile)
    check_trust(measured, accept_untrusted=accept_untrusted)
    _needed(measured)
    check_models(demand, dict.fromkeys(measured.calls.models), asked.path)
    prices = demand.infrastructure.prices
    book = load_price_book(None if prices is None else asked.path.parent / prices)
    own = demand.stack.catalogue
    catalogue = load_catalogue(None if own is None else asked.path.parent / own)
    check_skills(demand.operations, catalogue.skills())
    check_stack(demand.stack, catalogue)
    bill = bill_of(demand, measured.calls, at)
    agent = agent_of(measured, bill.exact.per_interaction_usd)
    setting = setting_of(demand, measured, bill, agent, book)
    planning = _Planning(demand, measured, bill, agent, setting)
    ranges = ranges_of(demand)
    point = planning.point(likely, AS_MEASURED)
    points = draw_points(agent, bill, ranges, draws=draws, seed=seed)
    spread = spreads(planning.setting, points, demand.growth)
    rng = np.random.default_rng((seed, 5))
    samples = {
        name: agent.sample_for(shares, rng)
        for name, shares in served_shares(planning.setting, point).items()
        if any(shares.values())
    }
    for _ in demand.models:  # fallbacks of fallbacks may stand in any order
        for name, model in demand.models.items():  # what a fallback takes, it takes as it comes
            if model.fallback is not None and name in samples:
                samples.setdefault(model.fallback, samples[name])
    scaling = Scaling(
        setting=planning.setting, point=point, agent=agent, samples=samples, seed=seed
    )
    scales = tuple(build_scale(scaling, factor, spread[factor]) for factor in demand.growth)
    rollout = build_rollout(scaling, points, at)
    return plan.Plan(
        schema_version=plan.PLAN_SCHEMA_VERSION,
        kind="plan",
        name=demand.name,
        tool_version=__version__,
        inputs=plan.PlanInputs(
            profile=profile_input(measured),
            demand=asked.data,
            prices=price_input(bill, book, at),
            seed=seed,
            draws=draws,
        ),
        scales=scales,
        sensitivities=tuple(_sensitivities(planning)),
        what_ifs=tuple(_what_ifs(planning)),
        economics=_economics(planning, scales),
        stack=stack_of(planning.setting, point, measured, scales, catalogue),
        run_cost=_run_cost(planning, at),
        rollout=rollout,
        triggers=build_triggers(measured, demand, scales[0], rollout.triggers()),
        unwatched=unwatched(measured),
        warnings=tuple(dict.fromkeys(warnings(demand, measured, bill, scales))),
        provenance=tuple(provenance(measured)),
        baseline=baseline_of(measured, agent, bill, setting, at),
    )


def _needed(measured: profile_side.Measured) -> None:
    for path, calculation in (
        ("interaction.latency.mean", "the number of workers"),
        ("interaction.llm_calls.mean", "the number of LLM calls"),
        ("interaction.input_tokens.mean", "tokens per minute and the models' bill"),
        ("interaction.output_tokens.mean", "tokens per minute and the models' bill"),
    ):
        measured.figure(path, calculation=calculation)


def setting_of(
    demand: Demand,
    measured: profile_side.Measured,
    bill: Bill,
    agent: Agent,
    book: PriceBook,
) -> Setting:
    """Return what stays the same in all evaluations of a plan of this profile."""
    providers = {tariff.model: tariff.provider for tariff in bill.exact.tariffs}
    stated = {name: model.provider for name, model in demand.models.items() if model.provider}
    operations = {use.store: (use.reads or 0.0) + (use.writes or 0.0) for use in measured.stores}
    in_databases = sum(n for store, n in operations.items() if _is_database(store))
    everything = sum(operations.values())
    return Setting(
        demand=demand,
        book=book,
        api=bill.exact,
        providers=providers | stated,
        call_latency_s=agent.call_latency_s,
        reply_tokens=0.0 if measured.reply_tokens is None else measured.reply_tokens.value,
        database_share=in_databases / everything if everything else 0.0,
    )


def _is_database(store: str) -> bool:
    return any(name in store.lower() for name in _DATABASES)


class _Planning:
    """What sensitivities and changes ask again and again."""

    def __init__(
        self,
        demand: Demand,
        measured: profile_side.Measured,
        bill: Bill,
        agent: Agent,
        setting: Setting,
    ) -> None:
        self.demand = demand
        self.measured = measured
        self.bill = bill
        self.agent = agent
        self.setting = setting
        self.ranges = ranges_of(demand)

    def point(self, choose: Choose, change: Change) -> Point:
        """Return the numbers chosen and the agent changed."""
        moves_bill = change != AS_MEASURED or self.bill.prices_vary()
        behaviour = self.agent.changed(change)
        if change.serves is not None:
            measured, other = change.serves
            uses = dict(behaviour.models)
            uses[other] = uses.pop(measured)
            behaviour = replace(behaviour, models=uses)
        return Point(
            numbers=numbers_of(self.ranges, choose),
            choose=choose,
            behaviour=behaviour,
            cs2=cv2(self.agent.service_times_s),
            bill=self.bill.ratio(choose, change) if moves_bill else 1.0,
        )

    def ask(self, choose: Choose, change: Change) -> Answers:
        """Return the answers at the launch scale."""
        found = evaluate(self.setting, self.point(choose, change), self.demand.growth[0])
        binding = found.binding
        return Answers(
            cost_total_usd=float(found.tree.usd),
            workers=found.workers,
            binding_utilization=None if binding is None else binding.utilization,
            max_users=None if binding is None else binding.max_users,
        )


def _sensitivities(planning: _Planning) -> Iterator[plan.Sensitivity]:
    measured = list(_turned_metrics(planning))
    for each in tornado(planning.ask, planning.ranges, measured):
        low, high = each.at_low, each.at_high
        utilization = None
        if low.binding_utilization is not None and high.binding_utilization is not None:
            utilization = (low.binding_utilization, high.binding_utilization)
        yield plan.Sensitivity(
            input=each.name,
            low=each.low,
            high=each.high,
            ends=each.ends,
            cost_total=(low.cost_total_usd, high.cost_total_usd),
            binding_utilization=utilization,
            workers=(float(low.workers), float(high.workers)),
            swing_usd=each.swing_usd,
        )


def _turned_metrics(planning: _Planning) -> Iterator[Measured]:
    names: tuple[tuple[str, MeasuredField], ...] = (
        ("interaction.llm_calls.mean", "llm_calls"),
        ("llm_call.input_tokens.mean", "input_tokens"),
        ("llm_call.output_tokens.mean", "output_tokens"),
        ("interaction.latency.mean", "latency"),
    )
    for path, field in names:
        figure = planning.measured.figures.find(path)
        if figure is not None:
            yield Measured(name=path, field=field, mean=figure.value, ci95=figure.interval95)


def _what_ifs(planning: _Planning) -> Iterator[plan.WhatIf]:
    behaviour = planning.agent.behaviour
    inputs = sum(use.calls_per_interaction * use.input_tokens for use in behaviour.models.values())
    cached = sum(
        use.calls_per_interaction * use.cached_input_tokens for use in behaviour.models.values()
    )
    told = planning.measured.figures.find("interaction.cached_input_tokens.mean")
    share = cached / inputs if told is not None and inputs else None
    now = planning.ask(likely, AS_MEASURED)
    found = what_ifs(
        planning.ask,
        llm_calls=behaviour.llm_calls,
        cached_share=share,
        cheaper=list(_cheaper(planning)),
    )
    for each in found:
        answers = each.answers
        yield plan.WhatIf(
            change=each.text,
            cost_total=answers.cost_total_usd,
            cost_change=answers.cost_total_usd - now.cost_total_usd,
            binding_utilization=answers.binding_utilization,
            max_users=answers.max_users,
            note=each.note,
        )


def _cheaper(planning: _Planning) -> Iterator[tuple[str, str]]:
    """Yield another model for each measured one: of the demand, else a provider's small one."""
    for name in planning.agent.behaviour.models:
        others = [other for other in planning.demand.models if other != name]
        provider = planning.setting.providers.get(name)
        small = _CHEAPER.get(provider or "")
        if not others and small is not None and small != name:
            others = [small]
        for other in others:
            yield name, other


def _economics(planning: _Planning, scales: tuple[plan.Scale, ...]) -> plan.Economics | None:
    value = planning.demand.value
    margins = {f"{scale.factor:g}": scale.cost.margin_per_user for scale in scales}
    if value is None or any(margin is None for margin in margins.values()):
        return None
    point = planning.point(likely, AS_MEASURED)

    def margin_usd(factor: float) -> Decimal:
        found = evaluate(planning.setting, point, factor)
        users = found.volume.active_users
        each = value_per_user(point, found.volume.interactions, users)
        return exactly(each or 0.0) * exactly(users or 0.0) - found.tree.usd

    found = crossings(margin_usd)
    target = point.numbers.get("value.target_margin") or 0.0
    first = scales[0]
    worth = first.cost.value_per_user or 0.0
    if found:
        said = "; ".join(f"at {each.factor:.3g}x it becomes a {each.becomes}" for each in found)
    else:
        sign = "a profit" if margin_usd(1.0) >= 0 else "a loss"
        said = f"{sign} at every scale from 0.01x to 100x"
    return plan.Economics(
        margins={name: margin for name, margin in margins.items() if margin is not None},
        breaks_at_factor=found[0].factor if found else None,
        note=said,
        needed_cost_per_user=worth * (1 - target),
    )


def _run_cost(planning: _Planning, at: date) -> plan.RunCost:
    identity = planning.measured.identity
    interactions = identity.interactions + identity.warmup_interactions
    columns = planning.bill.calls
    own = {
        name: model.model_copy(update={"replaces": {}, "batch": certain(0.0)})
        for name, model in planning.demand.models.items()
    }
    billed = exactly(planning.demand.retries.billed.likely)
    api = api_cost(columns, serving(columns.model, own, at=at), billed=billed)
    found = run_cost(api, interactions, is_mock=identity.is_mock)
    return plan.RunCost(
        usd=f"{found.usd:.6f}",
        hypothetical=found.is_hypothetical,
        interactions=found.interactions,
        note="the mock answered, nobody was billed" if found.is_hypothetical else None,
    )
