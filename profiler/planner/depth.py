"""How many wait, over time: what an operator's gauge would show, not what arrivals see."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from profiler.planner.estimates import Estimate, Floats, of_batches, of_ratio


@dataclass(frozen=True, slots=True)
class DepthOverTime:
    """Seconds spent at each depth: a row for each batch, a column for each number waiting."""

    seconds: Floats

    def mean(self) -> Estimate:
        """Return the time average of the number waiting."""
        return of_ratio(self.seconds @ np.arange(self.seconds.shape[1]), self.seconds.sum(axis=1))

    def percentile(self, percent: float) -> Estimate:
        """Return the depth that was not exceeded for that share of the time."""
        share = percent / 100
        each = np.array([_not_exceeded(row, share) for row in self.seconds if row.any()])
        return of_batches(_not_exceeded(self.seconds.sum(axis=0), share), each)

    def exceeds(self, n: int) -> Estimate:
        """Return the share of time in which more than `n` waited."""
        return of_ratio(self.seconds[:, n + 1 :].sum(axis=1), self.seconds.sum(axis=1))


def waiting_over_time(arrivals_s: Floats, starts_s: Floats, cuts_s: Floats) -> DepthOverTime:
    """Add up the time at each depth between neighbouring cuts. All three are in order.

    An interaction waits from its arrival until its start.
    """
    times = np.concatenate((arrivals_s, starts_s, cuts_s))
    steps = np.zeros(len(times), dtype=np.int64)
    steps[: len(arrivals_s)] = 1
    steps[len(arrivals_s) : len(arrivals_s) + len(starts_s)] = -1
    order = np.argsort(times, kind="stable")  # arrivals first: nobody starts before arriving
    times = times[order]
    depths = np.cumsum(steps[order])[:-1]
    batches = np.searchsorted(cuts_s, times[:-1], side="right") - 1
    is_inside = (batches >= 0) & (batches < len(cuts_s) - 1)
    columns = int(depths.max(initial=0)) + 1
    cells = batches[is_inside] * columns + depths[is_inside]
    rows = len(cuts_s) - 1
    seconds = np.bincount(cells, weights=np.diff(times)[is_inside], minlength=rows * columns)
    return DepthOverTime(seconds.astype(np.float64).reshape(rows, columns))


def _not_exceeded(seconds: Floats, share: float) -> float:
    reached = np.cumsum(seconds)
    return float(np.searchsorted(reached, share * reached[-1]))
