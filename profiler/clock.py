"""The one place that reads a clock.

Durations and order come from the monotonic clock, as integer nanoseconds. The wall clock is read
once for each run, as the anchor that ties the two together (`ClockAnchor`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

NS_PER_S = 1_000_000_000

MonotonicNs = Callable[[], int]
"""A monotonic clock: returns integer nanoseconds from an arbitrary zero."""

monotonic_ns: MonotonicNs = time.monotonic_ns
cpu_ns: MonotonicNs = time.process_time_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockAnchor:
    """One instant on both clocks, in nanoseconds: what ties a journal to the calendar."""

    wall_ns: int
    monotonic_ns: int

    @classmethod
    def now(cls) -> ClockAnchor:
        """Read both clocks as near to each other as Python can."""
        return cls(wall_ns=time.time_ns(), monotonic_ns=time.monotonic_ns())

    def monotonic_at(self, wall_ns: int) -> int:
        """Return what the monotonic clock reads when the wall clock reads `wall_ns`."""
        return self.monotonic_ns + wall_ns - self.wall_ns


def seconds_to_ns(seconds: float) -> int:
    """Convert seconds to integer nanoseconds, rounded to the nearest."""
    return round(seconds * NS_PER_S)


def iso_utc(wall_ns: int) -> str:
    """Return ISO 8601 in UTC, to the microsecond, of wall clock nanoseconds since 1970."""
    seconds, ns = divmod(wall_ns, NS_PER_S)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=ns // 1000).isoformat()
