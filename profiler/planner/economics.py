"""From a month's bill to what a user, a session and an interaction cost, and what is left."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from profiler.planner.cost_tree import CostLine, priced, total
from profiler.planner.prices import exactly

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from profiler.planner.api_cost import ApiCost, Cell

_GRID = 400
_BISECTIONS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """What a month brings at one scale. None: not known."""

    interactions: float
    sessions: float | None
    users: float | None
    """Who are active in the month."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthlyCost:
    """A month's bill at one scale, and what that is for each of what the month brings."""

    tree: CostLine
    volume: Volume

    @property
    def per_interaction_usd(self) -> Decimal | None:
        """Dollars per interaction; None: there are none."""
        return _per(self.tree.usd, self.volume.interactions)

    @property
    def per_session_usd(self) -> Decimal | None:
        """Dollars per session; None: nobody knows how many."""
        return _per(self.tree.usd, self.volume.sessions)

    @property
    def per_user_usd(self) -> Decimal | None:
        """Dollars per user and month; None: nobody knows how many."""
        return _per(self.tree.usd, self.volume.users)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitEconomics:
    """What a user brings in, costs and leaves, US dollars per month.

    `needed_cost_usd_per_user` is what a user may cost for the target margin to be met.
    """

    value_usd_per_user: Decimal
    cost_usd_per_user: Decimal
    needed_cost_usd_per_user: Decimal

    @property
    def margin_usd_per_user(self) -> Decimal:
        """What a user leaves; below zero: what a user costs beyond what comes in."""
        return self.value_usd_per_user - self.cost_usd_per_user

    @property
    def margin_share(self) -> Decimal | None:
        """The margin as a share of the value; None where the value is zero."""
        return (
            self.margin_usd_per_user / self.value_usd_per_user if self.value_usd_per_user else None
        )

    @property
    def meets_target(self) -> bool:
        """Whether a user costs no more than may be."""
        return self.cost_usd_per_user <= self.needed_cost_usd_per_user


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """A scale at which the plan begins to pay, or ceases to."""

    factor: float
    """On the users of the demand."""
    becomes: Literal["profit", "loss"]


def api_tree(api: ApiCost, interactions: float) -> CostLine:
    """Return the bill of a month's LLM calls: by model, below that by what is billed.

    Each leaf is the sample's sum, divided by its interactions, times those of the month.
    """
    volume = exactly(interactions)
    models: dict[str, list[CostLine]] = {}
    sources = {tariff.model: tariff.source for tariff in api.tariffs}
    for cell, usd in api.cells.items():
        each = usd / api.interactions
        name = f"{cell.kind} in batch" if cell.is_batch else cell.kind
        leaf = priced(name, volume, "interactions", each, source=_source(cell, sources))
        models.setdefault(cell.model, []).append(leaf)
    return total("api", [total(name, lines) for name, lines in models.items()])


def monthly_cost(
    api: CostLine, infrastructure: CostLine, operations: CostLine, volume: Volume
) -> MonthlyCost:
    """Return the whole bill of a month."""
    return MonthlyCost(tree=total("total", (api, infrastructure, operations)), volume=volume)


def unit_economics(
    cost: MonthlyCost,
    *,
    per_user_month_usd: Decimal | None = None,
    per_interaction_usd: Decimal | None = None,
    target_margin: Decimal = Decimal(0),
) -> UnitEconomics | None:
    """Return a user's economics; the value is given per user and month, or per interaction.

    None where nobody knows how many users there are, or no value is given.
    """
    per_user = cost.per_user_usd
    if per_user is None or cost.volume.users is None:
        return None
    value = per_user_month_usd
    if per_interaction_usd is not None:
        users = exactly(cost.volume.users)
        value = per_interaction_usd * exactly(cost.volume.interactions) / users
    if value is None:
        return None
    return UnitEconomics(
        value_usd_per_user=value,
        cost_usd_per_user=per_user,
        needed_cost_usd_per_user=value * (1 - target_margin),
    )


def crossings(
    margin_usd: Callable[[float], Decimal], *, lowest: float = 0.01, highest: float = 100.0
) -> tuple[Crossing, ...]:
    """Return the scales at which a margin changes sign, lowest first.

    `margin_usd` is the month's margin at a factor on the users. Costs rise in steps, so that a
    margin may cross zero more than once: 400 scales are tried, evenly spaced in ratio, and each
    change between two neighbours is narrowed down. Two crossings within one such interval (2 %
    apart) cancel and are not seen. Empty: it never changes within the range; ask for the sign.
    """
    step = (math.log(highest) - math.log(lowest)) / _GRID
    grid = [lowest * math.exp(step * i) for i in range(_GRID)] + [highest]
    pays = [margin_usd(factor) >= 0 for factor in grid]
    return tuple(
        Crossing(
            factor=_narrow(margin_usd, grid[i], grid[i + 1], before=pays[i]),
            becomes="profit" if pays[i + 1] else "loss",
        )
        for i in range(_GRID)
        if pays[i] != pays[i + 1]
    )


def _narrow(
    margin_usd: Callable[[float], Decimal], low: float, high: float, *, before: bool
) -> float:
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if (margin_usd(middle) >= 0) == before:
            low = middle
        else:
            high = middle
    return high


def _per(usd: Decimal, count: float | None) -> Decimal | None:
    return usd / exactly(count) if count else None


def _source(cell: Cell, sources: Mapping[str, str]) -> str:
    provider = f", provider {cell.provider}" if cell.provider is not None else ""
    return f"{sources[cell.model]}{provider}"
