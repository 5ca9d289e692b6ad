"""Numbers of a plan as people read them: money, ranges, estimates, and what is not known."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

from profiler.report.quantities import (
    NOTHING,
    percent,
    quantity,
    share_with_interval,
    value_with_interval,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from profiler.planner.plan import Estimate, Interval

_LIMITS = {"requests_per_minute": "requests/min", "concurrent_requests": "requests in flight"}
_WHOLE_FROM = 1000
_DIGITS_OF_PRICES = 12
_SIGNIFICANT, _MOST_DIGITS = 3, 8
_BYTES = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


class Ranged(Protocol):
    """A block of the plan that has ranges."""

    @property
    def ranges90(self) -> Mapping[str, Interval]:
        """Return the intervals by field."""
        ...


def nothing(reason: str) -> str:
    """Write what is not known, and why: never zero."""
    return f"{NOTHING} ({reason})"


def number(value: float) -> str:
    """Write three digits: `0.0123`, `1.75`, `12`, `1,747`, `12.3k`; what is whole, whole."""
    if value and abs(value) < 0.01:  # noqa: PLR2004 - where two decimals say nothing
        return f"{value:.{_SIGNIFICANT}g}"
    if abs(value) < 1e4 and value == round(value):  # noqa: PLR2004 - 10,000 is written 10.0k
        return f"{value:,.0f}"
    return quantity(value, "count")


def exact(value: float) -> str:
    """Write a number for a pencil: whole from 1,000 on, four digits below: `1,747`, `1.747`."""
    if abs(value) >= _WHOLE_FROM:
        return f"{value:,.0f}"
    return _with_digits(value, _SIGNIFICANT + 1)


def factor_of(left: float, value: float, product: float) -> str:
    """Write a factor with as many digits as `left` x it needs to come to `product` as written.

    Four at least, eight at most: 1.747 for 1,000 x 1.7472 = 1,747, but 1.7472 for 3,000 of them.
    """
    for digits in range(_SIGNIFICANT + 1, _MOST_DIGITS):
        text = _with_digits(value, digits)
        if exact(left * float(text.replace(",", ""))) == exact(product):
            return text
    return _with_digits(value, _MOST_DIGITS)


def _with_digits(value: float, digits: int) -> str:
    if math.isclose(value, round(value), rel_tol=1e-9):
        return f"{value:,.0f}"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if decimals else text


def utilization(share: float) -> str:
    """Write how full a limit is: `133.3 %`."""
    return f"{share * 100:,.1f} %"


def stated(share: float) -> str:
    """Write a share that a person has stated, as it is: `80 %`, `97.5 %`."""
    return f"{share * 100:.4g} %"


def money(usd: float) -> str:
    """Write dollars: whole from 100 on, cents below; less than one with three digits: `$0.0123`."""
    sign, size = ("-" if usd < 0 else ""), abs(usd)
    if size == 0:
        return "$0"
    if size >= 99.995:  # noqa: PLR2004 - $100.00 is $100
        return f"{sign}${size:,.0f}"
    if size >= 0.9995:  # noqa: PLR2004 - $1.00
        return f"{sign}${size:.2f}"
    decimals = _SIGNIFICANT - 1 - math.floor(math.log10(size))
    text = f"{size:.{decimals}f}"
    is_whole = math.isclose(float(text), size, rel_tol=1e-9)
    return f"{sign}${_cents(text) if is_whole else text}"


def _cents(text: str) -> str:
    """Leave out zeros at the end, but not those of cents: `0.50`, `0.006`."""
    whole, _, digits = text.partition(".")
    return f"{whole}.{digits.rstrip('0'):0<2}"


def exact_money(usd: str) -> str:
    """Write a decimal number of dollars with all its digits, cents at least: `$1,234.5678`."""
    amount = Decimal(usd)
    return f"{'-' if amount < 0 else ''}${_cents(f'{abs(amount):,f}')}"


def unit_money(usd: str) -> str:
    """Write a price per unit: all its digits, six of one that was divided and has no end."""
    amount = Decimal(usd)
    if len(amount.as_tuple().digits) <= _DIGITS_OF_PRICES:
        return exact_money(usd)
    return exact_money(f"{float(amount):.6g}")


def with_unit(quantity_text: str) -> str:
    """Write a quantity and its unit, with separators and without a tail: `6,300,000 requests`."""
    first, blank, unit = quantity_text.partition(" ")
    try:
        count = float(first)
    except ValueError:
        return quantity_text
    return f"{exact(count)}{blank}{unit}" if math.isfinite(count) else quantity_text


def whole(value: float) -> str:
    """Write what is counted in ones: `27`."""
    return f"{value:,.0f}"


def bytes_text(count: float) -> str:
    """Write bytes: `1.50 GB`."""
    for at_least, unit in _BYTES:
        if count >= at_least:
            return f"{quantity(count / at_least, 'count')} {unit}"
    return f"{quantity(count, 'count')} B"


def seconds(value: float) -> str:
    """Write a duration: `849 ms`."""
    return quantity(value, "s")


def between(interval: Interval, write: Callable[[float], str]) -> str:
    """Write `10 to 15`."""
    return f"{write(interval[0])} to {write(interval[1])}"


def spread(block: Ranged, field: str, write: Callable[[float], str] = number) -> str:
    """Write a block's field with the range of the draws, where it has one: `12 (10 to 15)`."""
    value: Any = getattr(block, field)
    return write(value) + range_of(block, field, write)


def range_of(block: Ranged, field: str, write: Callable[[float], str]) -> str:
    """Write ` (10 to 15)`; nothing where the field has no range, or all draws are one number."""
    interval = block.ranges90.get(field)
    if interval is None or interval[0] == interval[1]:
        return ""
    return f" ({between(interval, write)})"


def estimate(found: Estimate, unit: str) -> str:
    """Write a simulated number with the simulation's own interval: `1.24 s [1.20, 1.28]`."""
    if unit == "share":
        return share_with_interval(found.value, found.ci95)
    if unit == "s":
        return value_with_interval(found.value, found.ci95, unit)
    text = number(found.value)
    return f"{text} [{'?' if found.ci95 is None else ', '.join(map(number, found.ci95))}]"


def share(value: float) -> str:
    """Write a share: `0.8 %`, `<0.1 %`."""
    return percent(value)


def limit_unit(limit: str) -> str:
    """Write what a limit counts, in words: `input tokens/min`."""
    if limit in _LIMITS:
        return _LIMITS[limit]
    return limit.removesuffix("_per_minute").replace("_", " ") + (
        "/min" if limit.endswith("_per_minute") else ""
    )


def factor(value: float) -> str:
    """Write a growth factor: `3x`."""
    return f"{value:g}x"
