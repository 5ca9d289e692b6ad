"""How long things take: seeded draws, and sleeping until an absolute time.

Every draw is made from a generator seeded by the content that it is for, and by how often this
content came before. So the durations of a run, as a set, do not depend on its concurrency.
"""

from __future__ import annotations

import hashlib
import math
from collections import OrderedDict
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

import anyio

from profiler.clock import monotonic_ns, seconds_to_ns
from profiler.errors import UsageError

if TYPE_CHECKING:
    from profiler.clock import MonotonicNs

_Z95 = 1.6448536269514722  # 95th percentile of the standard normal distribution


def random_for(*parts: object) -> Random:
    """Return a generator that is seeded by its parts, the same in every process."""
    text = "\x1f".join(map(str, parts)).encode(errors="surrogatepass")
    return Random(int.from_bytes(hashlib.blake2b(text, digest_size=8).digest()))


class Occurrences:
    """Counts how often a key came before, for the last `limit` distinct keys."""

    def __init__(self, limit: int = 100_000) -> None:
        self._limit = limit
        self._counts: OrderedDict[bytes | str, int] = OrderedDict()

    def next(self, key: bytes | str) -> int:
        """Return how often `key` came before, and count it."""
        count = self._counts.pop(key, 0)
        self._counts[key] = count + 1
        if len(self._counts) > self._limit:
            self._counts.popitem(last=False)
        return count


@dataclass(frozen=True, slots=True)
class Lognormal:
    """A lognormal duration, given by its median and 95th percentile in seconds."""

    median_s: float
    p95_s: float

    def __post_init__(self) -> None:
        if not 0 < self.median_s <= self.p95_s < math.inf:
            raise UsageError(
                f"a median of {self.median_s:g} s and a p95 of {self.p95_s:g} s make no"
                " distribution",
                where="mock timing",
                fix="Give a median above 0 and a p95 that is not below it",
            )

    def draw_s(self, random: Random) -> float:
        """Draw one duration in seconds."""
        return self.median_s * math.exp(
            random.gauss(0.0, 1.0) * math.log(self.p95_s / self.median_s) / _Z95
        )


@dataclass(frozen=True, slots=True)
class Pace:
    """The one place where the mocks wait. All durations are divided by `speed`; 0 and inf: none."""

    speed: float = 1.0
    clock: MonotonicNs = monotonic_ns

    def __post_init__(self) -> None:
        if not self.speed >= 0:
            raise UsageError(
                f"a speed of {self.speed:g} is not possible",
                where="mock speed",
                fix="Give a number above 0; inf (or 0) is without any delay",
            )

    @property
    def instant(self) -> bool:
        """Whether nothing is ever waited for."""
        return self.speed == 0 or math.isinf(self.speed)

    def after_ns(self, start_ns: int, duration_s: float) -> int:
        """Return the time that is `duration_s` of mock time after `start_ns`."""
        return start_ns if self.instant else start_ns + seconds_to_ns(duration_s / self.speed)

    async def until(self, deadline_ns: int) -> None:
        """Sleep until a time on the clock, which a late timer cannot push further on."""
        while (left_ns := deadline_ns - self.clock()) > 0:  # noqa: ASYNC110 - no event: a clock
            await anyio.sleep(left_ns / 1e9)

    async def sleep_s(self, duration_s: float) -> None:
        """Sleep for a duration of mock time from now."""
        if not self.instant:
            await self.until(self.after_ns(self.clock(), duration_s))
