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

from array import array
from dataclasses import dataclass
from math import fsum
from operator import mul
from typing import TYPE_CHECKING

from profiler.measure.records import Interaction, Outcome, Phase
from profiler.profile.quantiles import student_t_quantile
from profiler.profile.statistics import CONFIDENCE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from profiler.measure.records import Record

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
    order = sorted(range(len(starts_s)), key=starts_s.__getitem__)
    x = _centered(_batch_means([starts_s[i] for i in order]))
    y = _centered(_batch_means([latencies_s[i] for i in order]))
    squares = fsum(map(mul, x, x))
    if not squares:
        return None
    slope = fsum(map(mul, x, y)) / squares
    residuals = [b - slope * a for a, b in zip(x, y, strict=True)]
    error = (fsum(map(mul, residuals, residuals)) / (BATCHES - 2) / squares) ** 0.5
    half = student_t_quantile(BATCHES - 2, _QUANTILE) * error
    return Drift(slope, (slope - half, slope + half))


def _batch_means(values: list[float]) -> list[float]:
    """Return the means of consecutive batches; the first ones have one value more than the rest."""
    size, more = divmod(len(values), BATCHES)
    ends = [(i + 1) * size + min(i + 1, more) for i in range(BATCHES)]
    batches = (values[begin:end] for begin, end in zip([0, *ends], ends, strict=False))
    return [fsum(batch) / len(batch) for batch in batches]


def _centered(values: list[float]) -> list[float]:
    mean = fsum(values) / len(values)
    return [value - mean for value in values]


def drift_in(records: Iterable[Record]) -> Drift | None:
    """Return the drift of a journal's measured interactions that succeeded, from intended starts.

    None in closed loop, where no start was intended. Batches of equally many interactions, in the
    order of their starts, need all starts: 16 bytes are kept for each interaction, in a command
    (`capacity`) whose runs are only as long as one step of its search.
    """
    starts, latencies = array("d"), array("d")
    first_ns: int | None = None
    for record in records:
        if not isinstance(record, Interaction):
            continue
        if record.phase is not Phase.MEASURE or record.outcome is not Outcome.OK:
            continue
        if record.intended_start_ns is None:
            return None
        if first_ns is None:  # any zero will do: a slope does not depend on it
            first_ns = record.intended_start_ns
        starts.append((record.intended_start_ns - first_ns) / _NS_PER_S)
        latencies.append((record.end_ns - record.intended_start_ns) / _NS_PER_S)
    return drift_of(starts, latencies)
