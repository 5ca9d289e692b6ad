"""By what a cell is sorted that holds a number as people write it."""

from __future__ import annotations

import re

_NUMBER = re.compile(
    r"^[≈<>\s]*(?P<sign>[-+]?)\$?(?P<digits>\d[\d,]*(?:\.\d+)?)\s?(?P<unit>[kMGT]?B|[kMG]|[a-zµ]+)?\b"
)
_UNITS = {
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "B": 1.0,
    "kB": 1e3,
    "MB": 1e6,
    "GB": 1e9,
    "TB": 1e12,
    "µs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "min": 60.0,
    "h": 3600.0,
}


def number_in(text: str) -> float | None:
    """Return the number that a cell begins with, in its base unit; None where it has none.

    `12.3k`, `$1,234`, `856 ms`, `133.3 %`, `≈ 4 [3, 6]`: dollars, seconds, bytes, or as it stands.
    """
    found = _NUMBER.match(text)
    if found is None:
        return None
    size = float(found["digits"].replace(",", "")) * _UNITS.get(found["unit"] or "", 1.0)
    return -size if found["sign"] == "-" else size
