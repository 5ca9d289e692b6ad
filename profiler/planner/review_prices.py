"""The prices of a plan beside those of today, and what the difference costs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from profiler.planner.mean_price import RATES, rates, usd_of_means
from profiler.planner.prices import data_version
from profiler.planner.review import PriceChange, PriceReview

if TYPE_CHECKING:
    from collections.abc import Iterator

    from profiler.planner.plan import Plan
    from profiler.planner.sides import Recomputing


def price_review(plan: Plan, recomputing: Recomputing) -> PriceReview:
    """Compare rates of the serving models, of the plan's day and of today."""
    given, book, demand = plan.inputs.prices, recomputing.book, recomputing.demand
    factor = plan.scales[0].factor
    planned = recomputing.planned
    today = replace(planned, usd_per_interaction=recomputing.usd_today())
    before = recomputing.answers(planned, factor)
    after = recomputing.answers(today, factor)
    found = usd_of_means(planned.behaviour.models, demand, recomputing.at)
    return PriceReview(
        planned_data=given.models,
        data=data_version(),
        planned_at=given.at,
        at=recomputing.at.isoformat(),
        infrastructure=(given.infrastructure, f"{book.name}, {book.region}, {book.date}"),
        changes=tuple(_changes(recomputing.baseline.prices, rates(found.tariffs))),
        cost_usd=after.cost_total - before.cost_total,
    )


def _changes(
    planned: dict[str, dict[str, str]], now: dict[str, dict[str, str]]
) -> Iterator[PriceChange]:
    for model in dict.fromkeys((*planned, *now)):
        for kind in RATES:
            was, is_ = planned.get(model, {}).get(kind), now.get(model, {}).get(kind)
            if was != is_:
                yield PriceChange(model=model, kind=kind, planned=was, now=is_)
