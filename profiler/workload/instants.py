"""Times in files from outside, as whole nanoseconds: exact, where a float would round."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache

_INSTANT = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?(Z|[+-]\d\d:?\d\d)?"
)


def instant_ns(text: str) -> int | None:
    """Return a date and time (ISO 8601; no zone: UTC) as nanoseconds since 1970, else None."""
    found = _INSTANT.fullmatch(text)
    if found is None:
        return None
    day, time, fraction, zone = found.groups()
    second = _second(f"{day}T{time}{zone or 'Z'}")
    return None if second is None else second * 10**9 + int((fraction or "0").ljust(9, "0"))


@lru_cache(maxsize=64)
def _second(text: str) -> int | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (at - _EPOCH) // _SECOND


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC) - _EPOCH


def seconds_text(ns: int) -> str:
    """Return nanoseconds as seconds with no more decimals than they have."""
    whole, rest = divmod(ns, 10**9)
    return f"{whole}.{rest:09d}".rstrip("0").rstrip(".") if rest else str(whole)
