"""Percentiles of few values, exactly."""

from __future__ import annotations

from math import ceil


def percentile_ms(values_ns: list[int], percent: int) -> float | None:
    """Return the smallest value that at least `percent` % do not exceed; None without values."""
    if not values_ns:
        return None
    return sorted(values_ns)[ceil(len(values_ns) * percent / 100) - 1] / 1e6
