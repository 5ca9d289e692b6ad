"""How long a user thinks before the next message."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from profiler.clock import seconds_to_ns

if TYPE_CHECKING:
    import random

_Z95 = 1.6448536269514722  # the 95th percentile of the standard normal distribution


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed:
    """Always the same."""

    value_s: float

    def sample_ns(self, rng: random.Random) -> int:  # noqa: ARG002 - the signature of a distribution
        """Return the value in nanoseconds."""
        return seconds_to_ns(self.value_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Uniform:
    """Anything between two durations, all alike."""

    low_s: float
    high_s: float

    def sample_ns(self, rng: random.Random) -> int:
        """Draw one duration in nanoseconds."""
        return seconds_to_ns(rng.uniform(self.low_s, self.high_s))


@dataclass(frozen=True, slots=True, kw_only=True)
class Exponential:
    """Memoryless, by its mean (more than 0)."""

    mean_s: float

    def sample_ns(self, rng: random.Random) -> int:
        """Draw one duration in nanoseconds."""
        return seconds_to_ns(rng.expovariate(1.0 / self.mean_s))


@dataclass(frozen=True, slots=True, kw_only=True)
class Lognormal:
    """What human delays look like, by median (more than 0) and p95 (at least the median).

    The logarithm is normal with mu = ln(median) and sigma = ln(p95 / median) / z(0.95).
    """

    median_s: float
    p95_s: float

    def sample_ns(self, rng: random.Random) -> int:
        """Draw one duration in nanoseconds."""
        sigma = math.log(self.p95_s / self.median_s) / _Z95
        return seconds_to_ns(self.median_s * math.exp(rng.gauss(0.0, sigma)))


Distribution = Fixed | Uniform | Exponential | Lognormal
"""All have `sample_ns(rng) -> int`."""
