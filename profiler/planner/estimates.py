"""What a simulation found, and how far to trust it: batch means with Student's t.

A run is cut into batches so long that one hardly depends on the one before; their spread tells the
error of the whole, which that of single interactions, one waiting because another did, would not.
The interval holds what it promises while a batch is much longer than the queue's memory, which
grows as 1 / (1 - utilization)^2.

Sources: Law, *Simulation Modeling and Analysis*, 5th ed. (2015), section 9.5.3 (batch means);
Cochran, *Sampling Techniques*, 3rd ed. (1977), section 2.11 (a ratio of sums).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from profiler.profile.quantiles import student_t_quantile

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

BATCHES = 20
_UPPER = 0.975


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure of a simulation with its 95 % confidence interval, in the figure's unit."""

    value: float
    low: float
    high: float

    @staticmethod
    def exactly(value: float) -> Estimate:
        """Return what needs no estimating."""
        return Estimate(value, value, value)


def of_batches(value: float, batches: Floats) -> Estimate:
    """Estimate `value`, of the whole run, by the same figure of each batch."""
    return _around(value, float(np.std(batches, ddof=1)) / math.sqrt(len(batches)), len(batches))


def of_ratio(parts: Floats, wholes: Floats) -> Estimate:
    """Estimate sum(parts) / sum(wholes), given both of each batch; 0 where there is no whole."""
    whole = float(wholes.sum())
    if whole == 0:
        return Estimate.exactly(0.0)
    k = len(parts)
    ratio = float(parts.sum()) / whole
    residuals = parts - ratio * wholes
    error = math.sqrt(k / (k - 1) * float(residuals @ residuals)) / whole
    return _around(ratio, error, k)


def _around(value: float, error: float, batches: int) -> Estimate:
    half = student_t_quantile(batches - 1, _UPPER) * error
    return Estimate(value, value - half, value + half)
