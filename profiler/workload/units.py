"""Quantities as people write them: `120s`, `500ms`, `5/s`, `300/min`, `5USD`, `2M` tokens."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Any

_SECONDS_IN = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|min|m|h)?\s*")
_BYTES_IN = {
    "B": 1,
    "kB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
}
_SIZE = re.compile(r"\s*(\d+)\s*(B|kB|MB|GB|KiB|MiB|GiB)\s*")
_DOLLARS = re.compile(r"\s*\$?\s*(\d+(?:\.\d+)?)\s*(?:USD)?\s*", re.IGNORECASE)
_TOKENS = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kMG])?\s*", re.IGNORECASE)
_TOKENS_IN = {"": 1, "k": 1000, "m": 1_000_000, "g": 1_000_000_000}
_RATE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(?:/\s*(s|min|m|h))?\s*")


def duration_s(value: Any) -> float:
    """Read a duration into seconds; a bare number is seconds. Raises ValueError."""
    number = _number(value)
    if number is not None:
        return number
    if isinstance(value, str) and (found := _DURATION.fullmatch(value)):
        return float(found[1]) * _SECONDS_IN[found[2] or "s"]
    msg = f"{value!r} is not a duration"
    raise ValueError(msg)


def size_bytes(value: Any) -> int:
    """Read a size into bytes; a bare whole number is bytes. Raises ValueError."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and (found := _SIZE.fullmatch(value)):
        return int(found[1]) * _BYTES_IN[found[2]]
    msg = f"{value!r} is not a size"
    raise ValueError(msg)


def rate_per_s(value: Any) -> float:
    """Read a rate into events per second; a bare number is per second. Raises ValueError."""
    number = _number(value)
    if number is not None:
        return number
    if isinstance(value, str) and (found := _RATE.fullmatch(value)):
        return float(found[1]) / _SECONDS_IN[found[2] or "s"]
    msg = f"{value!r} is not a rate"
    raise ValueError(msg)


def dollars(value: Any) -> Decimal:
    """Read `5USD`, `$5` or `5` into US dollars, exactly. Raises ValueError."""
    if isinstance(value, Decimal):
        return value
    if (number := _number(value)) is not None:
        return Decimal(repr(number))
    if isinstance(value, str) and (found := _DOLLARS.fullmatch(value)):
        return Decimal(found[1])
    msg = f"{value!r} is no amount of US dollars"
    raise ValueError(msg)


def token_count(value: Any) -> int:
    """Read `2M`, `500k` or `20000` into tokens. Raises ValueError."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and (found := _TOKENS.fullmatch(value)):
        return int(Decimal(found[1]) * _TOKENS_IN[(found[2] or "").lower()])
    msg = f"{value!r} is no number of tokens"
    raise ValueError(msg)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if not math.isfinite(value) or value < 0:
        msg = f"{value!r} is not a finite number of 0 or more"
        raise ValueError(msg)
    return float(value)
