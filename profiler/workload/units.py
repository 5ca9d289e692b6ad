"""Durations and rates as people write them: `120s`, `500ms`, `5/s`, `300/min`."""

from __future__ import annotations

import math
import re
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


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if not math.isfinite(value) or value < 0:
        msg = f"{value!r} is not a finite number of 0 or more"
        raise ValueError(msg)
    return float(value)
