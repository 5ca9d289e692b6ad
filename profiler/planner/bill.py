"""The models' bill of an interaction: exact as measured, and how far changes move it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from profiler.planner.api_cost import CallColumns, api_cost
from profiler.planner.inputs import ranges_of
from profiler.planner.prices import exactly
from profiler.planner.serving import serving

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import date
    from decimal import Decimal

    from profiler.planner.api_cost import ApiCost
    from profiler.planner.demand import Demand, Model
    from profiler.planner.estimates import Floats
    from profiler.planner.ranges import Range
    from profiler.planner.sampled import CallRows
    from profiler.planner.sensitivity import Change
    from profiler.planner.serving import Served

_FEW = 400
"""Calls that a ratio is taken of: the same before and after, so that their choice cancels out."""


def columns_of(calls: CallRows, *, most: int | None = None) -> CallColumns:
    """Return the sampled calls as the bill reads them; of the first `most` interactions with calls.

    Interactions whose calls are not known one by one are left out.
    """
    place = np.cumsum(calls.covered) - 1
    kept = calls.covered[calls.interaction]
    if most is not None and int(kept.sum()) > most:
        last = calls.interaction[kept][most - 1]
        kept &= calls.interaction <= last
        interactions = int(place[last]) + 1
    else:
        interactions = int(calls.covered.sum())
    names = np.array(calls.models, dtype=object)
    return CallColumns(
        interactions=interactions,
        interaction=place[calls.interaction[kept]].tolist(),
        model=names[calls.model[kept]].tolist(),
        input_tokens=_whole(calls.input_tokens[kept]),
        cached_input_tokens=_whole(calls.cached_input_tokens[kept]),
        cache_write_tokens=_whole(calls.cache_write_tokens[kept]),
        output_tokens=_whole(calls.output_tokens[kept]),
        reasoning_tokens=_whole(calls.reasoning_tokens[kept]),
        attempts=[1 if np.isnan(n) else max(1, round(n)) for n in calls.attempts[kept].tolist()],
        succeeded=calls.ok[kept].tolist(),
    )


def _whole(values: Floats) -> list[int | None]:
    return [None if value != value else round(value) for value in values.tolist()]  # noqa: PLR0124 - NaN


@dataclass(frozen=True, slots=True)
class Bill:
    """Prices of an agent's calls under a demand, at a date."""

    demand: Demand
    at: date
    calls: CallColumns
    few: CallColumns
    exact: ApiCost

    @property
    def usd_per_interaction(self) -> Decimal:
        """The mean over the sampled interactions, at likely prices, exact."""
        return self.exact.usd_per_interaction

    def ratio(self, choose: Callable[[str, Range], float], change: Change) -> float:
        """Return by what factor the bill of an interaction moves: other prices, another agent.

        Calls are priced again one by one, so that tiers are right, for some of the sample.
        """
        before = self._few_usd(None, self.few)
        after = self._few_usd(choose, _changed(self.few, change), change)
        return float(after / before) * change.llm_calls if before else 1.0

    def prices_vary(self) -> bool:
        """Whether a range of the demand moves the bill."""
        return any(not value.is_certain for _, value in _price_ranges(self.demand))

    def _few_usd(
        self,
        choose: Callable[[str, Range], float] | None,
        calls: CallColumns,
        change: Change | None = None,
    ) -> Decimal:
        models: Mapping[str, Model] = self.demand.models
        billed = self.demand.retries.billed.likely
        draw = None
        if choose is not None:
            # A default stands for several keys, and is one value: only ranges of one's own move.
            paths = {id(value): path for path, value in _price_ranges(self.demand)}

            def draw(value: Range) -> float:
                path = paths.get(id(value))
                return value.likely if path is None else choose(path, value)

            billed = choose("retries.billed", self.demand.retries.billed)
        who: Mapping[str, Sequence[Served]] = serving(calls.model, models, at=self.at, draw=draw)
        if change is not None and change.serves is not None:
            measured, other = change.serves
            own = models.get(other)  # with the demand's price, if it gives one
            known = {} if own is None else {other: own.model_copy(update={"replaces": {}})}
            instead = serving([other], known, at=self.at, draw=draw)
            who = {**who, measured: instead[other]}
        return api_cost(calls, who, billed=exactly(billed)).usd_per_interaction


def bill_of(demand: Demand, calls: CallRows, at: date) -> Bill:
    """Price the sampled calls. Raises PlanError for a model without price, calls without tokens."""
    columns = columns_of(calls)
    who = serving(columns.model, demand.models, at=at)
    billed = exactly(demand.retries.billed.likely)
    return Bill(
        demand=demand,
        at=at,
        calls=columns,
        few=columns_of(calls, most=_FEW),
        exact=api_cost(columns, who, billed=billed),
    )


def _price_ranges(demand: Demand) -> list[tuple[str, Range]]:
    return [
        (path, value)
        for path, value in ranges_of(demand).items()
        if path == "retries.billed"
        or (
            path.startswith("models.")
            and (".price." in path or ".replaces." in path or path.endswith(".batch"))
        )
    ]


def _changed(calls: CallColumns, change: Change) -> CallColumns:
    inputs = [_times(value, change.input_tokens) for value in calls.input_tokens]
    if change.cached_share is None:
        cached = [_times(value, change.input_tokens) for value in calls.cached_input_tokens]
    else:
        cached = [_times(value, change.cached_share) for value in inputs]
    written = [
        _at_most(_times(value, change.input_tokens), total, read)
        for value, total, read in zip(calls.cache_write_tokens, inputs, cached, strict=True)
    ]
    return replace(
        calls,
        input_tokens=inputs,
        cached_input_tokens=[
            _at_most(value, total, 0) for value, total in zip(cached, inputs, strict=True)
        ],
        cache_write_tokens=written,
        output_tokens=[_times(value, change.output_tokens) for value in calls.output_tokens],
        reasoning_tokens=[_times(value, change.output_tokens) for value in calls.reasoning_tokens],
    )


def _times(value: int | None, factor: float) -> int | None:
    return None if value is None else round(value * factor)


def _at_most(value: int | None, total: int | None, taken: int | None) -> int | None:
    """Keep parts within their total, which rounding may have made smaller."""
    if value is None or total is None:
        return value
    return max(0, min(value, total - (taken or 0)))
