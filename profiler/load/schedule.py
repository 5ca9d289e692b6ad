"""When something starts in open loop: offsets from time zero, in nanoseconds. Pure arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING

from profiler.clock import NS_PER_S

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator


def constant_offsets_ns(rate_per_s: float) -> Iterator[int]:
    """Yield 0, 1/rate, 2/rate, ...: each computed from its index, so that nothing drifts."""
    index = 0
    while True:
        yield round(index * NS_PER_S / rate_per_s)
        index += 1


def poisson_offsets_ns(rate_per_s: float, rng: random.Random) -> Iterator[int]:
    """Yield the arrivals of a Poisson process: gaps are exponential with mean 1/rate."""
    at_s = 0.0
    while True:
        at_s += rng.expovariate(rate_per_s)
        yield round(at_s * NS_PER_S)
