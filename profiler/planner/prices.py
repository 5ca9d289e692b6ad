"""What providers of models ask: from the data of genai-prices, offline, or from a demand file.

Never $0 by accident: a model that the data do not have, or have as free of charge, is an error that
names near ones; a price of zero has to be stated.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from difflib import get_close_matches
from importlib.metadata import version
from typing import TYPE_CHECKING

from profiler.errors import PlanError
from profiler.planner.model_names import readings
from profiler.planner.tariffs import Rate, Tariff, Tokens

if TYPE_CHECKING:
    from collections.abc import Callable

    from genai_prices.types import ModelInfo, ModelPrice, Provider, TieredPrices

    from profiler.planner.demand import Price
    from profiler.planner.ranges import Range

_BATCH = {"processing": "batch"}
_MOST_NEAR = 3


def call_cost_usd(
    model: str,
    *,
    provider: str | None = None,
    input_tokens: int,
    cached_input_tokens: int = 0,
    cache_write_tokens: int = 0,
    output_tokens: int,
    at: date | None = None,
    batch: bool = False,
) -> Decimal:
    """Return the list price of one LLM call in US dollars, exactly.

    `input_tokens` is the total: the `cached_input_tokens` that were read from the cache and the
    `cache_write_tokens` that were written to it (for five minutes, where a provider tells that
    apart) are among them. Reasoning tokens are part of `output_tokens`. A call with more input than
    the start of a price tier pays that tier for all its tokens.

    `at` is the day (a datetime: the moment) whose price is meant; None: today. Without `provider`,
    the one is taken to which the data assign the name.

    Source: the data of the installed genai-prices (https://github.com/pydantic/genai-prices); the
    network is never asked. `data_version` says which data that is.

    Raises ValueError where the tokens contradict each other, PlanError where the model is not
    known, is free of charge in the data, or has no batch price and `batch` is asked for.
    """
    tokens = Tokens(
        input=input_tokens,
        cached_input=cached_input_tokens,
        cache_write=cache_write_tokens,
        output=output_tokens,
    )
    return list_tariff(model, provider=provider, at=at, batch=batch).cost(tokens).total_usd


def data_version() -> str:
    """Return which price data these are: the release of the package that carries them."""
    return f"genai-prices {version('genai-prices')}"


def newest_price(at: date) -> date:
    """Return the day of the newest change of a price, up to a day, that the data know of.

    The data carry no date of their own; they are at least as new as this.
    """
    from genai_prices.data_snapshot import get_snapshot  # noqa: PLC0415 - see _find
    from genai_prices.types import ModelPrice, StartDateConstraint  # noqa: PLC0415

    constraints = [
        dated.constraint
        for provider in get_snapshot().providers
        for info in provider.models
        for dated in (
            *(() if isinstance(info.prices, ModelPrice) else info.prices),
            *(info.price_variants or ()),
        )
    ]
    days = [one.start_date for one in constraints if isinstance(one, StartDateConstraint)]
    return max(day for day in days if day <= at)


def list_tariff(
    model: str, *, provider: str | None = None, at: date | None = None, batch: bool = False
) -> Tariff:
    """Return the list prices of a model on a day.

    Where they depend on the time of day and `at` is a day, those of its dearest hours. Raises
    PlanError as `call_cost_usd` does.
    """
    found, info = _find(model, provider)
    day = datetime.now(UTC).date() if at is None else at
    moments = [day] if isinstance(day, datetime) else _moments(info, day)
    priced = [_at_moment(info, found, moment, batch=batch) for moment in moments]
    if any(prices is None for prices in priced):
        what = f"the price data have no batch price of '{model}' at {found.id}"
        raise PlanError(what, where=data_version(), fix=_own_price(model, "with batch_discount"))
    prices = max((price for price in priced if price is not None), key=_dearness)
    return _tariff(model, found, info, prices, batch=batch, varies=len(moments) > 1)


def own_tariff(
    model: str,
    price: Price,
    *,
    provider: str | None = None,
    batch: bool = False,
    draw: Callable[[Range], float] | None = None,
) -> Tariff:
    """Return the tariff of a price that a demand file gives; `draw` picks from its ranges.

    Without `draw` the likely values. Raises PlanError for `batch` where the price has no
    `batch_discount`.
    """
    pick = draw if draw is not None else _likely
    if batch and price.batch_discount is None:
        what = f"calls of '{model}' go through the batch interface, and its price has no discount"
        fix = "Add batch_discount to the price, 0 if there is none"
        raise PlanError(what, where=f"models.{model}.price", fix=fix)
    paid = Decimal(1)
    if batch and price.batch_discount is not None:
        paid -= exactly(pick(price.batch_discount))

    def rate(given: Range | None, otherwise: Rate | None = None) -> Rate:
        if given is not None:
            return Rate(base_usd=exactly(pick(given)) * paid)
        return otherwise if otherwise is not None else Rate(base_usd=Decimal(0))

    plain = rate(price.input)
    return Tariff(
        model=model,
        provider=provider,
        priced_as=model,
        source="the demand file",
        input=plain,
        output=rate(price.output),
        cached_input=rate(price.cached_input, plain),
        cache_write=rate(price.cache_write, plain),
        request_usd=rate(price.request).base_usd,
        is_batch=batch,
    )


def exactly(number: float) -> Decimal:
    """Return the decimal number that a person wrote: 0.1 is 0.1, not its binary neighbour."""
    return Decimal(repr(float(number)))


def _likely(value: Range) -> float:
    return value.likely


def _find(model: str, provider: str | None) -> tuple[Provider, ModelInfo]:
    from genai_prices.data_snapshot import get_snapshot  # noqa: PLC0415 - 0.3 s, 1.6 MB of prices

    snapshot = get_snapshot()
    for reading in readings(model, provider):
        try:
            return snapshot.find_provider_model(reading.model, None, reading.provider, None)
        except LookupError:
            continue
    raise _unknown(model, provider, snapshot.providers)


def _unknown(model: str, provider: str | None, providers: list[Provider]) -> PlanError:
    offered = providers
    if provider is not None:
        offered = [one for one in providers if one.id == provider.lower()]
    if not offered:
        names = get_close_matches(str(provider).lower(), [one.id for one in providers], n=1)
        near = f"Did you mean '{names[0]}'? " if names else ""
        what = f"the price data have no provider '{provider}'"
        return PlanError(what, where=data_version(), fix=near + _own_price(model))
    ids: dict[str, str] = {}
    for one in offered:
        for info in one.models:
            ids.setdefault(info.id.lower(), f"'{info.id}' of {one.id}")
    names = [model.lower(), model.rsplit("/", 1)[-1].lower()]
    found = [near for name in names for near in get_close_matches(name, ids, n=_MOST_NEAR)]
    near_ones = ", ".join(ids[name] for name in list(dict.fromkeys(found))[:_MOST_NEAR])
    near = f"Near ones, to be named with their provider: {near_ones}. " if near_ones else ""
    served = f" at {offered[0].id}" if provider is not None else ""
    what = f"the price data have no model '{model}'{served}"
    return PlanError(what, where=data_version(), fix=near + _own_price(model))


def _own_price(model: str, with_what: str = "") -> str:
    return f"Give a price of your own under models.{model}.price in the demand file {with_what}"


def _moments(info: ModelInfo, day: date) -> list[datetime]:
    """Return the moments of a day between which prices change: its start, if they do not."""
    from genai_prices.types import ModelPrice, TimeOfDateConstraint  # noqa: PLC0415 - see _find

    times = {time(0)}
    if not isinstance(info.prices, ModelPrice):
        for conditional in info.prices:
            if isinstance(conditional.constraint, TimeOfDateConstraint):
                times |= {conditional.constraint.start_time, conditional.constraint.end_time}
    return [datetime.combine(day, at.replace(tzinfo=UTC)) for at in sorted(times, key=str)]


def _at_moment(
    info: ModelInfo, provider: Provider, moment: datetime, *, batch: bool
) -> ModelPrice | None:
    """Return the prices at a moment; None where batch is meant and has none.

    A variant belongs to the provider that lists it, not to one that resells the model.
    """
    standard = info.get_prices(moment)
    if not batch:
        return standard
    if not any(info is listed for listed in provider.models):
        return None
    changed = info.get_prices(moment, _BATCH)
    return None if vars(changed) == vars(standard) else changed


def _dearness(prices: ModelPrice) -> Decimal:
    """Order by what a token read and a token written cost together."""
    return _rate(prices.input_mtok).base_usd + _rate(prices.output_mtok).base_usd


def _tariff(
    model: str,
    provider: Provider,
    info: ModelInfo,
    prices: ModelPrice,
    *,
    batch: bool,
    varies: bool,
) -> Tariff:
    plain = _rate(prices.input_mtok)
    output = _rate(prices.output_mtok) if prices.output_mtok is not None else None
    per_request = _rate(prices.requests_kcount).base_usd / 1000
    if plain.is_free or (output is not None and output.is_free):
        what = f"'{info.id}' of {provider.id} has no price above 0 in the price data"
        raise PlanError(what, where=data_version(), fix=_own_price(model, "(0 if it is free)"))
    return Tariff(
        model=model,
        provider=provider.id,
        priced_as=info.id,
        source=data_version(),
        input=plain,
        output=output,
        cached_input=_rate(prices.cache_read_mtok, plain),
        cache_write=_rate(prices.cache_write_mtok, plain),
        request_usd=per_request,
        is_batch=batch,
        varies_by_hour=varies,
    )


def _rate(value: Decimal | TieredPrices | None, otherwise: Rate | None = None) -> Rate:
    if value is None:
        return otherwise if otherwise is not None else Rate(base_usd=Decimal(0))
    if isinstance(value, Decimal):
        return Rate(base_usd=value)
    return Rate(base_usd=value.base, tiers=tuple((tier.start, tier.price) for tier in value.tiers))
