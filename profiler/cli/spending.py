"""What a run may spend, and what its tokens cost: for the limits of `run`."""

from __future__ import annotations

from datetime import UTC, datetime
from math import isfinite
from typing import TYPE_CHECKING

from profiler.errors import PlanError, UsageError
from profiler.load.meter import Meter, SpendLimits

if TYPE_CHECKING:
    from decimal import Decimal

    from profiler.measure.records import Usage
    from profiler.planner.tariffs import Tariff
    from profiler.workload.model import Workload

OWN = "--price-input and --price-output"


class Prices:
    """Prices calls: by one pair of prices for all models, or each model at its list price.

    A call that names no model is priced as `model`. Can be pickled, for shards elsewhere.
    """

    def __init__(self, own: Tariff | None, model: str | None) -> None:
        self._own = own
        self._model = model
        self._known: dict[str, Tariff] = {}

    def __call__(self, model: str | None, usage: Usage) -> Decimal:
        """Return US dollars. Raises `PlanError` for a model without a price."""
        from profiler.planner.tariffs import Tokens

        total = usage.input_tokens or 0
        cached = min(usage.cached_input_tokens or 0, total)
        tokens = Tokens(
            input=total,
            cached_input=cached,
            cache_write=min(usage.cache_write_tokens or 0, total - cached),
            output=usage.output_tokens or 0,
        )
        return self.tariff(model).cost(tokens).total_usd

    def tariff(self, model: str | None) -> Tariff:
        """Return what the calls of a model cost. Raises `PlanError`."""
        if self._own is not None:
            return self._own
        name = model or self._model
        if name is None:
            raise PlanError("a call names no model, so its price is not known", fix=f"Give {OWN}")
        if name not in self._known:
            from profiler.planner.prices import list_tariff

            self._known[name] = list_tariff(name, at=datetime.now(UTC).date())
        return self._known[name]


def prices_of(
    workload: Workload, *, price_input: float | None, price_output: float | None
) -> Prices:
    """Return the prices that are to be used. Raises `UsageError` for options that make none."""
    model = workload.target.model
    given = [price for price in (price_input, price_output) if price is not None]
    if not all(map(isfinite, given)):
        raise UsageError("a price is no number", where=OWN, fix="Give USD per million tokens")
    if len(given) == 1:
        name = "--price-input" if price_input is None else "--price-output"
        raise UsageError("input and output tokens have prices of their own", fix=f"Add {name}")
    if price_input is None or price_output is None:
        return Prices(None, model)
    from profiler.planner.prices import exactly
    from profiler.planner.tariffs import Rate, Tariff

    plain = Rate(base_usd=exactly(price_input))
    own = Tariff(
        model=model or "any",
        provider=None,
        priced_as="any",
        source=OWN,
        input=plain,
        output=Rate(base_usd=exactly(price_output)),
        cached_input=plain,
        cache_write=plain,
    )
    return Prices(own, model)


def meter_of(workload: Workload, prices: Prices, *, late: bool) -> Meter | None:
    """Return what holds the limits of a run; None where it has none.

    Raises `UsageError` where nothing tells what a token costs, before anything is sent.
    """
    load = workload.load
    if load.max_cost_usd is None and load.max_tokens is None:
        return None
    if load.max_cost_usd is not None:
        check_priced(workload, prices)
    limits = SpendLimits(usd=load.max_cost_usd, tokens=load.max_tokens)
    price = None if load.max_cost_usd is None else prices
    return Meter(limits, price, late=late)


def check_priced(workload: Workload, prices: Prices) -> None:
    """Raise `UsageError` where the calls of the target's model have no price."""
    try:
        prices.tariff(workload.target.model)
    except PlanError as exc:
        what = exc.what
        if workload.target.model is None:
            what = "nothing says what the target's tokens cost"
        near = "" if exc.fix is None or "Near ones" not in exc.fix else exc.fix.split(" Give")[0]
        fix = f"{near} Give {OWN} (USD per million tokens)".strip()
        raise UsageError(what, where="--max-cost", fix=fix) from exc
