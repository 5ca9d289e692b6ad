"""What a technology costs per month at one scale: machines and services, and people's hours."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from profiler.errors import PlanError
from profiler.planner.infrastructure import WAYS
from profiler.planner.machines import for_one, for_service
from profiler.planner.prices import exactly

if TYPE_CHECKING:
    from collections.abc import Mapping

    from profiler.planner.demand import Operations, Skill
    from profiler.planner.infrastructure import Infrastructure
    from profiler.planner.price_book import MeteredRate, PriceBook
    from profiler.planner.ranges import Range
    from profiler.planner.stack_catalogue import Cost, Technology, Way
    from profiler.planner.stack_quantities import Wants

_COMPONENTS = {
    "queue": "queue",
    "hot_state": "cache",
    "cold_state": "database",
    "compute": "workers",
    "inference_routing": "providers",
}
"""Whose skill counts for a technology of a part that the demand does not name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bills:
    """The price book, and what it bills at one scale: dollars by way and component."""

    book: PriceBook
    usd: Mapping[Way, Mapping[str, Decimal]]


def bills_of(book: PriceBook, costs: Infrastructure, api_usd: Decimal) -> Bills:
    """Return the bills of a scale's components, both ways, and of the models' providers (`api`)."""
    return Bills(
        book=book,
        usd={
            way: {line.name: line.usd for line in costs.ways[way]} | {"api": api_usd}
            for way in WAYS
        },
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Priced:
    """Dollars of a month for machines and services. `unknown`: what was not known, and left out."""

    usd: Decimal
    unknown: tuple[str, ...]
    too_large: str | None = None


def price(technology: Technology, way: Way, wants: Wants, bills: Bills) -> Priced:
    """Return what a technology costs without people; `too_large` where no node is enough."""
    costs = technology.costs[way]
    needed = [name for cost in costs for name in (cost.quantity, cost.memory) if name is not None]
    too_large = None
    try:
        usd = sum((_usd(cost, way, wants, bills) for cost in costs), start=Decimal(0))
    except PlanError as exc:
        usd, too_large = Decimal(0), exc.what
    return Priced(
        usd=usd,
        too_large=too_large,
        unknown=tuple(dict.fromkeys(name for name in needed if wants.get(name) is None)),
    )


def _usd(cost: Cost, way: Way, wants: Wants, bills: Bills) -> Decimal:
    if cost.bill is not None:
        return bills.usd[cost.run_by or way].get(cost.bill, Decimal(0))
    quantity = _wanted(cost.quantity, wants)
    hours = exactly(bills.book.hours_per_month.likely)
    if cost.nodes is not None:
        return _nodes(cost, quantity, wants, bills.book) * hours
    rate = _rate(cost, bills.book)
    times = exactly(cost.times.likely)
    if cost.carries is not None:
        machines = math.ceil(quantity / cost.carries.value.likely) + cost.spare
        return rate.cost(max(1, machines) * times * hours)
    return rate.cost(exactly(quantity) * times / exactly(cost.per.likely))


def _rate(cost: Cost, book: PriceBook) -> MeteredRate:
    if cost.price is not None:
        return cost.price
    assert cost.rate is not None  # noqa: S101 - a cost is one of four, and two are dealt with
    found: MeteredRate = getattr(book.rates, cost.rate)
    return found


def _nodes(cost: Cost, quantity: float, wants: Wants, book: PriceBook) -> Decimal:
    """Return what the nodes cost per hour."""
    cpus = 0.0
    if cost.per_cpu is not None:
        cpus = quantity / getattr(book.sizing, cost.per_cpu).value.likely
    if cost.nodes == "database_nodes":
        fleet = for_one(cpus, book.database_nodes, service="database", copies=cost.copies)
    else:
        own = cost.nodes == "machines"
        fleet = for_service(
            _wanted(cost.memory, wants),
            cpus,
            book.machines if own else book.cache_nodes,
            reserved_share=book.sizing.reserved_memory_share.value.likely if own else 0.0,
            copies=cost.copies,
        )
    return fleet.count * fleet.usd_per_hour


def _wanted(name: str | None, wants: Wants) -> float:
    """Return a quantity; one that is not known counts as nothing here, and is told as unknown."""
    value = None if name is None else wants.get(name)
    return 0.0 if value is None else value


def skill_level(operations: Operations, part: str, key: str, technology: Technology) -> Skill:
    """Return what the team says of a technology, else of its skill, of the component, of all."""
    for name in (key, technology.skill, _COMPONENTS[part]):
        if name in operations.skills:
            return operations.skills[name]
    return operations.skill


def people_usd(hours: Range, rate_usd: Decimal) -> Decimal:
    """Return what a month's likely hours cost."""
    return exactly(hours.likely) * rate_usd
