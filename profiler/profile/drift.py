"""Whether latency grows while a constant load goes on: the sign of a target that falls behind.

When arrivals come at a rate r and the latency of one that arrives at t is L(t), interactions
complete at the rate r / (1 + dL/dt). A target that keeps up has a slope of 0, whatever its latency;
one that is offered x % too much lets latency grow by x/100 seconds a second, from the first second
on, long before a percentile of so short a run shows it.

The slope is that of the least squares line through means of consecutive batches: means, since
interactions near in time are alike (they queue behind each other). Source: Law, *Simulation
Modeling and Analysis*, 5th ed. (2015), section 9.5.3 (batch means); the interval of a regression's
slope with Student's t is any textbook's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtrit

from profiler.profile.columns import MISSING
from profiler.profile.statistics import CONFIDENCE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from profiler.profile.columns import Columns

BATCHES = 10
FEWEST = 5 * BATCHES
TOLERANCE = 0.02
"""Seconds of latency that may be gained a second: 2 % more offered than completed."""

_QUANTILE = 1 - (1 - CONFIDENCE) / 2
_NS_PER_S = 1e9


@dataclass(frozen=True, slots=True)
class Drift:
    """By how many seconds latency grows in each second, and the 95 % interval of that."""

    slope: float
    slope_ci95: tuple[float, float]

    @property
    def falls_behind(self) -> bool:
        """Whether the target surely completes less than it is offered."""
        return self.slope_ci95[0] > TOLERANCE

    @property
    def completed_share(self) -> float:
        """How much of what is offered is completed as it comes: 1 / (1 + slope), at most 1."""
        return 1 / (1 + max(0.0, self.slope))


def drift_of(starts_s: Sequence[float], latencies_s: Sequence[float]) -> Drift | None:
    """Return how latency changes with the time of arrival; None for fewer than `FEWEST`.

    Both in seconds, one pair for each interaction, in any order.
    """
    if len(starts_s) < FEWEST:
        return None
    starts, latencies = np.asarray(starts_s), np.asarray(latencies_s)
    order = np.argsort(starts, kind="stable")
    x = np.array([batch.mean() for batch in np.array_split(starts[order], BATCHES)])
    y = np.array([batch.mean() for batch in np.array_split(latencies[order], BATCHES)])
    x, y = x - x.mean(), y - y.mean()
    squares = float(x @ x)
    if not squares:
        return None
    slope = float(x @ y) / squares
    residuals = y - slope * x
    error = (float(residuals @ residuals) / (BATCHES - 2) / squares) ** 0.5
    half = float(stdtrit(BATCHES - 2, _QUANTILE)) * error
    return Drift(slope, (slope - half, slope + half))


def drift_in(columns: Columns) -> Drift | None:
    """Return the drift of a journal's measured interactions that succeeded, from intended starts.

    None in closed loop, where no start was intended.
    """
    table = columns.interactions
    kept = (table["measured"] == 1) & (table["ok"] == 1)
    start, end = table["intended_start_ns"][kept], table["end_ns"][kept]
    if (start == MISSING).any():
        return None
    first = start.min() if start.size else 0
    return drift_of(((start - first) / _NS_PER_S).tolist(), ((end - start) / _NS_PER_S).tolist())
