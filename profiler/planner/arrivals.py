"""When interactions or requests arrive in a simulation: Poisson, or in bursts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from profiler.planner.estimates import Floats

BLOCK_S = 60.0


def arrival_times(
    rng: np.random.Generator,
    *,
    rate_per_s: float,
    count: int,
    fano: float = 1.0,
    block_s: float = BLOCK_S,
) -> Floats:
    """Return the first `count` arrivals from time 0 on, in seconds, in order.

    `fano` is the variance over the mean of the number that arrives in `block_s` seconds: 1 for
    Poisson; above it the rate of each block is gamma distributed (so that the count of a block is
    negative binomial), constant within the block and independent of the others. Raises `ValueError`
    for arguments outside their domain.
    """
    check_arrivals(rate_per_s=rate_per_s, fano=fano)
    if fano == 1:
        return np.cumsum(rng.exponential(1 / rate_per_s, count))
    mean = rate_per_s * block_s
    blocks = max(1, math.ceil(count / mean))
    sizes = np.zeros(0, dtype=np.int64)
    while sizes.sum() < count:
        rates = rng.gamma(mean / (fano - 1), fano - 1, blocks)
        sizes = np.concatenate((sizes, rng.poisson(rates)))
    places = np.repeat(np.arange(len(sizes)), sizes)
    times = (places + rng.random(len(places))) * block_s
    times.sort()
    return times[:count]


def check_arrivals(*, rate_per_s: float, fano: float) -> None:
    """Raise `ValueError` unless there is such an arrival process."""
    if not (math.isfinite(rate_per_s) and rate_per_s > 0):
        raise ValueError(f"the rate is {rate_per_s!r}/s: it has to be a finite number above 0")
    if not (math.isfinite(fano) and fano >= 1):
        raise ValueError(
            f"fano is {fano!r}: it has to be a finite number from 1 (Poisson arrivals) on"
        )


def given_times(arrivals_s: Floats) -> Floats:
    """Return the arrivals of a trace, from time 0 on; `ValueError` if they are not in order."""
    times = np.asarray(arrivals_s, dtype=np.float64)
    if times.ndim != 1 or len(times) < 2 or not np.isfinite(times).all():  # noqa: PLR2004 - a rate
        raise ValueError("arrivals_s has to hold at least two finite times in seconds")
    if (np.diff(times) < 0).any() or times[0] == times[-1]:
        raise ValueError("arrivals_s has to be in ascending order, and not all at one time")
    found: Floats = times - times[0]
    return found
