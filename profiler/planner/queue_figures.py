"""What a simulated queue does: waits, responses and depths, each with its 95 % interval."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from profiler.planner.depth import waiting_over_time
from profiler.planner.estimates import BATCHES, Estimate, Floats, of_batches, of_ratio

if TYPE_CHECKING:
    from collections.abc import Sequence

    from profiler.planner.served import Served

PERCENTILES = (50, 95, 99)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSimulation:
    """What a simulated queue does in steady state, each figure with its 95 % interval.

    Where arrivals bring more work than the servers do there is no steady state: `is_stable` is
    false, waits and depths are infinite and every P(> x) is 1, as in `queueing`.
    """

    servers: int
    interactions: int
    """How many the figures are of: without the warm-up, with those turned away."""

    is_stable: bool
    utilization: Estimate
    """Work brought in by those who were let in, over what the servers could do."""

    rejected: Estimate
    """The share of interactions that found the queue full; 0 without a limit."""

    wait_mean_s: Estimate
    wait_percentiles_s: dict[int, Estimate]
    """Seconds from arrival to service, of those let in, by 50, 95, 99."""

    response_mean_s: Estimate
    response_percentiles_s: dict[int, Estimate]
    """Seconds from arrival to the end of service, of those let in, by 50, 95, 99."""

    wait_exceeds: dict[float, Estimate]
    """P(wait > t), by t in seconds."""

    waiting_mean: Estimate
    waiting_percentiles: dict[int, Estimate]
    """How many wait, not counting those in service, over time (not as arrivals see it)."""

    waiting_exceeds: dict[int, Estimate]
    """The share of time in which more than n wait, by n."""


def observe(
    run: Served, servers: int, first: int, waits_s: Sequence[float], depths: Sequence[int]
) -> QueueSimulation:
    """Take the figures of all interactions from `first` on."""
    edges = np.linspace(first, len(run.arrivals), BATCHES + 1).astype(np.int64)
    is_in = ~np.isnan(run.starts)
    waits, responses = [], []
    for low, high in pairwise(edges):
        part = slice(low, high)
        waits.append((run.starts[part] - run.arrivals[part])[is_in[part]])
        responses.append(waits[-1] + run.services[part][is_in[part]])
    sizes = np.diff(edges).astype(np.float64)
    work = np.add.reduceat(np.where(is_in, run.services, 0.0), edges[:-1])
    cuts_s = np.append(run.arrivals[edges[:-1]], run.arrivals[-1])
    turned_away = sizes - np.array([len(batch) for batch in waits])
    depth = waiting_over_time(run.arrivals[is_in], run.starts[is_in], cuts_s)
    return QueueSimulation(
        servers=servers,
        interactions=len(run.arrivals) - first,
        is_stable=True,
        utilization=of_ratio(work, np.diff(cuts_s) * servers),
        rejected=of_ratio(turned_away, sizes),
        wait_mean_s=_mean(waits),
        wait_percentiles_s=_percentiles(waits),
        response_mean_s=_mean(responses),
        response_percentiles_s=_percentiles(responses),
        wait_exceeds={
            t: _mean([(batch > t).astype(np.float64) for batch in waits]) for t in waits_s
        },
        waiting_mean=depth.mean(),
        waiting_percentiles={p: depth.percentile(p) for p in PERCENTILES},
        waiting_exceeds={n: depth.exceeds(n) for n in depths},
    )


def _mean(batches: list[Floats]) -> Estimate:
    sums = np.array([batch.sum() for batch in batches])
    return of_ratio(sums, np.array([float(len(batch)) for batch in batches]))


def _percentiles(batches: list[Floats]) -> dict[int, Estimate]:
    shares = [percent / 100 for percent in PERCENTILES]
    whole = np.quantile(np.concatenate(batches), shares)
    each = np.array([np.quantile(batch, shares) for batch in batches if len(batch)])
    found = zip(PERCENTILES, whole.tolist(), each.T, strict=True)
    return {percent: of_batches(value, column) for percent, value, column in found}


def overloaded(
    servers: int, load: float, waits_s: Sequence[float], depths: Sequence[int]
) -> QueueSimulation:
    """Return the figures of a queue to which more work comes than its servers do."""
    endless, always = Estimate.exactly(math.inf), Estimate.exactly(1.0)
    return QueueSimulation(
        servers=servers,
        interactions=0,
        is_stable=False,
        utilization=Estimate.exactly(load),
        rejected=Estimate.exactly(0.0),
        wait_mean_s=endless,
        wait_percentiles_s=dict.fromkeys(PERCENTILES, endless),
        response_mean_s=endless,
        response_percentiles_s=dict.fromkeys(PERCENTILES, endless),
        wait_exceeds=dict.fromkeys(waits_s, always),
        waiting_mean=endless,
        waiting_percentiles=dict.fromkeys(PERCENTILES, endless),
        waiting_exceeds=dict.fromkeys(depths, always),
    )
