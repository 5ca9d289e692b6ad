"""The models' bill of an agent of which only means are known.

Every call of a model is taken to have its mean tokens. With prices in tiers that is not the mean
price of the calls, so this is for ratios of two such bills, not for a bill itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from profiler.planner.api_cost import ApiCost, CallColumns, api_cost
from profiler.planner.prices import exactly
from profiler.planner.serving import serving

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date

    from profiler.planner.behaviour import ModelUse
    from profiler.planner.demand import Demand
    from profiler.planner.tariffs import Rate, Tariff

RATES = ("input", "cached_input", "cache_write", "output")
_INTERACTIONS = 1000
"""Calls per interaction are taken to a thousandth of one."""


def usd_of_means(models: Mapping[str, ModelUse], demand: Demand, at: date) -> ApiCost:
    """Price the calls of 1,000 mean interactions. Raises PlanError for a model without a price."""
    rows = [
        (name, use)
        for name, use in models.items()
        for _ in range(round(use.calls_per_interaction * _INTERACTIONS))
    ]
    inputs = [round(use.input_tokens) for _, use in rows]
    calls = CallColumns(
        interactions=_INTERACTIONS,
        interaction=[place % _INTERACTIONS for place in range(len(rows))],
        model=[name for name, _ in rows],
        input_tokens=inputs,
        cached_input_tokens=[
            min(round(use.cached_input_tokens), most)
            for (_, use), most in zip(rows, inputs, strict=True)
        ],
        cache_write_tokens=[None] * len(rows),
        output_tokens=[round(use.output_tokens) for _, use in rows],
        reasoning_tokens=[None] * len(rows),
        attempts=[max(1, round(use.attempts_per_call)) for _, use in rows],
        succeeded=[True] * len(rows),
    )
    who = serving(models, demand.models, at=at)
    return api_cost(calls, who, billed=exactly(demand.retries.billed.likely))


def rates(tariffs: Iterable[Tariff]) -> dict[str, dict[str, str]]:
    """Return the base rates by serving model: US dollars per million tokens, batch apart."""
    found: dict[str, dict[str, str]] = {}
    for tariff in tariffs:
        of_kind: dict[str, Rate | None] = {kind: getattr(tariff, kind) for kind in RATES}
        name = f"{tariff.model} (batch)" if tariff.is_batch else tariff.model
        found[name] = {
            kind: f"{rate.base_usd:f}" for kind, rate in of_kind.items() if rate is not None
        }
    return found
