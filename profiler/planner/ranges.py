"""Numbers that a person knows, or knows to lie somewhere: one value, or low, likely and high."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from profiler.workload.near import did_you_mean
from profiler.workload.strict import PROBLEM, problem
from profiler.workload.units import duration_s

_ENDS = ("low", "likely", "high")
_PERCENT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*%\s*")
_BYTES = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(B|kB|KB|MB|GB|TB|KiB|MiB|GiB|TiB)?\s*")
_BYTES_IN: dict[str, int] = {
    "B": 1,
    "kB": 10**3,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
} | {f"{prefix}iB": 1024**power for power, prefix in enumerate("KMGT", start=1)}
_MONEY = re.compile(r"\s*([A-Za-z$€£]*)\s*(\d+(?:\.\d+)?)\s*([A-Za-z$€£]*)\s*")
_DOLLARS = frozenset({"", "$", "usd"})


@dataclass(frozen=True, slots=True)
class Range:
    """What a number may be: from `low` to `high`, most probably `likely`; one value thrice.

    Taken as a triangular distribution where draws are made: the one that these three numbers
    determine, and the custom of cost estimates (Vose, Risk Analysis, 3rd ed., 2008, section 14.2).
    """

    low: float
    likely: float
    high: float

    @property
    def is_certain(self) -> bool:
        """Whether it is one value."""
        return self.low == self.high

    def at(self, u: float) -> float:
        """Return the quantile at `u` (0 to 1) of the triangular distribution: its inverse."""
        if self.is_certain:
            return self.likely
        width = self.high - self.low
        rising = (self.likely - self.low) / width
        if u < rising:
            return self.low + math.sqrt(u * width * (self.likely - self.low))
        return self.high - math.sqrt((1 - u) * width * (self.high - self.likely))


def certain(value: float) -> Range:
    """Return the range of a number that is known."""
    return Range(value, value, value)


def _range_of(read: Callable[[Any], float]) -> Callable[[Any], Range]:
    def parse(value: Any) -> Range:
        if isinstance(value, Range):
            return value
        if not isinstance(value, Mapping):
            return certain(read(value))
        for key in value:
            if key not in _ENDS:
                raise problem(f"unknown key '{key}'", did_you_mean(str(key), _ENDS), below=(key,))
        missing = [end for end in _ENDS if end not in value]
        if missing:
            fix = "Write {low: 1, likely: 2, high: 4}, or one number"
            raise problem(f"the range has no '{missing[0]}'", fix)
        low, likely, high = (_end(read, value, end) for end in _ENDS)
        if not low <= likely <= high:
            what = f"the range is not in order: low {low:g}, likely {likely:g}, high {high:g}"
            raise problem(what, "low is the smallest, high the largest")
        return Range(low, likely, high)

    return parse


def _end(read: Callable[[Any], float], value: Mapping[str, Any], end: str) -> float:
    try:
        return read(value[end])
    except PydanticCustomError as exc:
        if exc.type != PROBLEM or exc.context is None:
            raise
        raise problem(str(exc.context["what"]), str(exc.context["fix"]), below=(end,)) from exc


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        what = f"the value should be a number, not {value!r}"
        raise problem(what, "Write digits, or {low: 1, likely: 2, high: 4}")
    return float(value)


def _amount(value: Any) -> float:
    number = _number(value)
    if number < 0:
        raise problem(f"the value is {number:g}: below zero", "Write 0 or more")
    return number


def _positive(value: Any) -> float:
    number = _amount(value)
    if number == 0:
        raise problem("the value is zero", "Write more than 0, or leave the key out")
    return number


def _share(value: Any) -> float:
    if isinstance(value, str) and (found := _PERCENT.fullmatch(value)):
        number = float(found[1]) / 100
    else:
        number = _amount(value)
    if number > 1:
        is_percent = not isinstance(value, str) and number <= 100  # noqa: PLR2004 - per cent
        fix = f"Write {number / 100:g} or {number:g}%" if is_percent else "Write 0 to 1"
        raise problem(f"{value} is not a share between 0 and 1", fix)
    return number


def _growth(value: Any) -> float:
    if isinstance(value, str) and (found := _PERCENT.fullmatch(value)):
        return float(found[1]) / 100  # a new product may double and more
    number = _amount(value)
    if number > 1:
        fix = f"Write {number:g}% or {number * 100:g}%, whichever it is"
        raise problem(f"{number:g} may be a factor or per cent", fix)
    return number


def _positive_share(value: Any) -> float:
    share = _share(value)
    if share == 0:
        raise problem("the share is zero", "Write more than 0: 0.8 or 80%")
    return share


def _at_least_one(value: Any) -> float:
    number = _amount(value)
    if number < 1:
        raise problem(f"the value is {number:g}: below 1", "Write 1 or more")
    return number


def _seconds(value: Any) -> float:
    try:
        return duration_s(value)
    except ValueError as exc:
        raise problem(str(exc), "Write it like 120s, 500ms, 2m or 1h") from exc


def _positive_seconds(value: Any) -> float:
    seconds = _seconds(value)
    if seconds == 0:
        raise problem("the duration is zero", "Write it like 120s, 500ms, 2m or 1h")
    return seconds


def _bytes(value: Any) -> float:
    if isinstance(value, str):
        found = _BYTES.fullmatch(value)
        if found is None:
            raise problem(f"{value!r} is not a size", "Write it like 512 kB, 2 MB or 4 GiB")
        return float(found[1]) * float(_BYTES_IN[found[2] or "B"])
    return _amount(value)


def usd(value: Any) -> Decimal:
    """Read an amount of US dollars: `12.5`, `"12.50 USD"`, `"$12.50"`.

    Raises a problem for another currency: what the providers of models ask is in dollars, and an
    exchange rate is not ours to guess.
    """
    if isinstance(value, Decimal):
        return value
    text = (
        str(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else ""
    )
    found = _MONEY.fullmatch(text)
    if found is None:
        try:
            negative = Decimal(text) < 0
        except InvalidOperation:
            negative = False
        what = f"{value!r} is {'below zero' if negative else 'not an amount of money'}"
        raise problem(what, "Write it like 12.50 or 12.50 USD")
    for currency in (found[1], found[3]):
        if currency.lower() not in _DOLLARS:
            what = f"{text.strip()} is in another currency than the prices of models, US dollars"
            raise problem(what, "Write what it is in USD")
    return Decimal(found[2])


def _usd_float(value: Any) -> float:
    return float(usd(value))


read_at_least_one = _range_of(_at_least_one)
"""Read a number of 1 or more, or a range of them. Raises a problem."""

Amount = Annotated[Range, BeforeValidator(_range_of(_amount))]
"""0 or more."""
Positive = Annotated[Range, BeforeValidator(_range_of(_positive))]
"""More than 0."""
AtLeastOne = Annotated[Range, BeforeValidator(read_at_least_one)]
"""1 or more."""
Share = Annotated[Range, BeforeValidator(_range_of(_share))]
"""0 to 1; `80%` is 0.8, and 80 is refused."""
Growth = Annotated[Range, BeforeValidator(_range_of(_growth))]
"""A share of growth, 0 or more; `15%` is 0.15, and beyond 1 only per cent are taken."""
PositiveShare = Annotated[Range, BeforeValidator(_range_of(_positive_share))]
"""More than 0, at most 1."""
Seconds = Annotated[Range, BeforeValidator(_range_of(_seconds))]
"""A duration, in seconds."""
PositiveSeconds = Annotated[Range, BeforeValidator(_range_of(_positive_seconds))]
"""A duration of more than 0, in seconds."""
Bytes = Annotated[Range, BeforeValidator(_range_of(_bytes))]
"""A size, in bytes."""
Usd = Annotated[Range, BeforeValidator(_range_of(_usd_float))]
"""An amount of US dollars, or a range of them."""
