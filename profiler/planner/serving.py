"""Which tariffs a measured model's calls pay in the plan: its own, a replacement's, batch ones."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from profiler.errors import PlanError
from profiler.planner.prices import exactly, list_tariff, own_tariff
from profiler.workload.near import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import date

    from profiler.planner.demand import Model
    from profiler.planner.ranges import Range
    from profiler.planner.tariffs import CallCost, Tariff, Tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A share of a measured model's calls, and the tariff that they pay."""

    share: Decimal
    tariff: Tariff

    def cost(self, tokens: Tokens) -> CallCost:
        """Return what a call costs that is served so: the whole of it, not the share."""
        return self.tariff.cost(tokens)


def serving(
    measured: Iterable[str],
    models: Mapping[str, Model],
    *,
    at: date | None = None,
    draw: Callable[[Range], float] | None = None,
) -> dict[str, tuple[Served, ...]]:
    """Return for each measured model the tariffs that its calls pay; their shares sum to 1.

    Calls that another model takes are priced at the tokens that were measured: how many it would
    make itself is not known before it is measured. `draw` picks from ranges; without it, the
    likely values. Raises PlanError for a model without a price, or one that was not measured.
    """
    pick = draw if draw is not None else _likely
    names = list(dict.fromkeys(measured))
    for name, model in models.items():
        for replaced in model.replaces:
            if replaced not in names:
                what = f"the profile has no calls of '{replaced}'"
                where = f"models.{name}.replaces"
                raise PlanError(what, where=where, fix=did_you_mean(replaced, names))
    found: dict[str, tuple[Served, ...]] = {}
    for name in names:
        taken = {
            other: exactly(pick(model.replaces[name]))
            for other, model in models.items()
            if name in model.replaces
        }
        left = max(Decimal(0), 1 - sum(taken.values(), Decimal(0)))
        parts = [*taken.items(), (name, left)]
        found[name] = tuple(
            served
            for other, share in parts
            if share > 0
            for served in _served(other, share, models.get(other), at, pick)
        )
    return found


def _served(
    name: str,
    share: Decimal,
    model: Model | None,
    at: date | None,
    pick: Callable[[Range], float],
) -> list[Served]:
    in_batch = exactly(pick(model.batch)) if model is not None else Decimal(0)
    return [
        Served(share=share * part, tariff=_tariff(name, model, at, pick, batch=batch))
        for batch, part in ((False, 1 - in_batch), (True, in_batch))
        if part > 0
    ]


def _tariff(
    name: str,
    model: Model | None,
    at: date | None,
    pick: Callable[[Range], float],
    *,
    batch: bool,
) -> Tariff:
    provider = model.provider if model is not None else None
    if model is not None and model.price is not None:
        return own_tariff(name, model.price, provider=provider, batch=batch, draw=pick)
    return list_tariff(name, provider=provider, at=at, batch=batch)


def _likely(value: Range) -> float:
    return value.likely
