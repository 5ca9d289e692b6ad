"""First come, first served by servers alike: when each interaction is served, one by one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from heapq import heapreplace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from profiler.planner.estimates import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """Each interaction's times in seconds, in order of arrival; NaN starts: turned away."""

    arrivals: Floats
    services: Floats
    starts: Floats


def starts_of(arrivals: list[float], services: list[float], servers: int) -> Floats:
    """Return when each is served: at once, or when the first of the busy servers is free."""
    heap = [0.0] * servers  # when each server will be free
    # A comprehension, and no max(): each would take a quarter of the time more.
    free = [
        heapreplace(heap, (at if (at := heap[0]) > arrival else arrival) + service)
        for arrival, service in zip(arrivals, services, strict=True)
    ]
    return np.maximum(free, arrivals)


def starts_limited(
    arrivals: list[float], services: list[float], servers: int, queue_limit: int
) -> Floats:
    """Return the same where at most `queue_limit` may wait; NaN for those turned away."""
    free = [0.0] * servers
    starts: list[float] = []
    admitted: list[float] = []  # their starts never decrease, so those not yet served are the last
    served = 0
    for arrival, service in zip(arrivals, services, strict=True):
        start = max(free[0], arrival)
        while served < len(admitted) and admitted[served] <= arrival:
            served += 1
        if start > arrival and len(admitted) - served >= queue_limit:
            starts.append(math.nan)
            continue
        heapreplace(free, start + service)
        starts.append(start)
        admitted.append(start)
    return np.array(starts)
