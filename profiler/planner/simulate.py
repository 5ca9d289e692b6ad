"""A queue in front of a pool of servers, simulated: measured service times, bursts, full queues.

First come, first served by `servers` alike (a worker with k slots is k servers). What closed forms
leave out is what measured agents have: service times of any shape, and arrivals that cluster.
Waits and responses are percentiles of the joint sample (a response is one interaction's wait plus
its own service), never sums of percentiles.

Equal arguments give equal results. All simulations of one search use the same arrivals and the same
service times; with those given, a wait never grows with a further server (Kiefer and Wolfowitz,
"On the theory of queues with many servers", 1955) and never shrinks with faster arrivals. So the
search finds the fewest servers, and more load never needs fewer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from heapq import heapreplace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from profiler.planner import queueing
from profiler.planner.arrivals import arrival_times, given_times
from profiler.planner.depth import waiting_over_time
from profiler.planner.estimates import BATCHES, Estimate, Floats, of_batches, of_ratio

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike

PERCENTILES = (50, 95, 99)
LEAST = 10 * BATCHES


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ServersFound:
    """The fewest servers that meet a target, and what a queue does with them."""

    servers: int
    queue: QueueSimulation


def simulate_queue(
    *,
    servers: int,
    service_times_s: ArrayLike,
    arrival_rate_per_s: float | None = None,
    arrivals_s: ArrayLike | None = None,
    fano: float = 1.0,
    interactions: int = 200_000,
    warmup_share: float = 0.1,
    queue_limit: int | None = None,
    waits_s: Sequence[float] = (),
    depths: Sequence[int] = (),
    seed: int = 1,
) -> QueueSimulation:
    """Simulate a pool and its queue.

    Service times are drawn with replacement from `service_times_s` (seconds, measured). Arrivals
    come at `arrival_rate_per_s` with the `fano` factor of a minute's count (1: Poisson), or are
    those of a trace, `arrivals_s` (seconds; then `interactions` and `fano` play no part). Of all
    interactions the first `warmup_share` are not counted. Who arrives when `queue_limit` already
    wait is turned away. `waits_s` and `depths` ask for P(wait > t) and P(waiting > n).

    Raises `ValueError` for arguments outside their domain.
    """
    queueing.whole("servers", servers, least=1)
    if queue_limit is not None:
        queueing.whole("queue_limit", queue_limit, least=0)
    rng = np.random.default_rng(seed)
    arrivals = _arrivals(rng, arrival_rate_per_s, arrivals_s, fano, interactions)
    services = _services(service_times_s, len(arrivals), seed)
    rate = arrival_rate_per_s or (len(arrivals) - 1) / arrivals[-1]
    load = float(rate * np.mean(np.asarray(service_times_s, dtype=np.float64))) / servers
    if load >= 1 and queue_limit is None:
        return _overloaded(servers, load, waits_s, depths)
    first = _first_counted(len(arrivals), warmup_share)
    return _observe(_run(arrivals, services, servers, queue_limit), servers, first, waits_s, depths)


def servers_for_simulated(
    *,
    service_times_s: ArrayLike,
    wait_p95_s: float | None = None,
    response_p95_s: float | None = None,
    arrival_rate_per_s: float | None = None,
    arrivals_s: ArrayLike | None = None,
    load_factor: float = 1.0,
    fano: float = 1.0,
    interactions: int = 200_000,
    warmup_share: float = 0.1,
    seed: int = 1,
) -> ServersFound | None:
    """Return the fewest servers whose simulated waits and responses meet the targets (seconds).

    Targets that are None are not asked for. `load_factor` makes the same arrivals come that much
    faster, bursts included. None where no number of servers would do: the service alone takes
    longer than `response_p95_s`. Never so few servers that a run of so many `interactions` would be
    over before the queue had grown to what it comes to (`_busiest`): with 200,000 of them, beyond
    99 % utilization. Raises `ValueError` as `simulate_queue` does, and without a target.
    """
    if wait_p95_s is None and response_p95_s is None:
        raise ValueError("give wait_p95_s, response_p95_s or both")
    queueing.positive("load_factor", load_factor)
    rng = np.random.default_rng(seed)
    arrivals = _arrivals(rng, arrival_rate_per_s, arrivals_s, fano, interactions) / load_factor
    services = _services(service_times_s, len(arrivals), seed)
    first = _first_counted(len(arrivals), warmup_share)
    wait_at_most = math.inf if wait_p95_s is None else wait_p95_s
    response_at_most = math.inf if response_p95_s is None else response_p95_s
    if wait_at_most < 0 or np.quantile(services[first:], 0.95) > response_at_most:
        return None

    def is_met(servers: int) -> bool:
        run = _run(arrivals, services, servers, None)
        waits = run.starts[first:] - arrivals[first:]
        return bool(
            np.quantile(waits, 0.95) <= wait_at_most
            and np.quantile(waits + services[first:], 0.95) <= response_at_most
        )

    measured = np.asarray(service_times_s, dtype=np.float64)
    mean = float(measured.mean())
    rate = (arrival_rate_per_s or (len(arrivals) - 1) / (arrivals[-1] * load_factor)) * load_factor
    busiest = _busiest(len(arrivals), fano + float(measured.var()) / mean**2)
    guess_wait = min(wait_at_most, max(0.0, response_at_most - mean))
    guess = queueing.servers_for(rate, mean, guess_wait, 0.05)
    servers = _fewest(is_met, least=math.floor(rate * mean / busiest) + 1, guess=guess)
    run = _run(arrivals, services, servers, None)
    return ServersFound(servers=servers, queue=_observe(run, servers, first, (), ()))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """Each interaction's times in seconds, in order of arrival; NaN starts: turned away."""

    arrivals: Floats
    services: Floats
    starts: Floats


def _run(arrivals: Floats, services: Floats, servers: int, queue_limit: int | None) -> _Run:
    if queue_limit is None:
        starts = _starts(arrivals.tolist(), services.tolist(), servers)
    else:
        starts = _starts_limited(arrivals.tolist(), services.tolist(), servers, queue_limit)
    return _Run(arrivals=arrivals, services=services, starts=np.array(starts))


def _starts(arrivals: list[float], services: list[float], servers: int) -> list[float]:
    """Return when each is served: at once, or when the first of the busy servers is free."""
    free = [0.0] * servers  # a heap of when each server will be free
    starts: list[float] = []
    append = starts.append
    for arrival, service in zip(arrivals, services, strict=True):
        start = free[0]
        if start < arrival:  # noqa: PLR1730 - max() would take a third of the time
            start = arrival
        heapreplace(free, start + service)
        append(start)
    return starts


def _starts_limited(
    arrivals: list[float], services: list[float], servers: int, queue_limit: int
) -> list[float]:
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
    return starts


def _observe(
    run: _Run, servers: int, first: int, waits_s: Sequence[float], depths: Sequence[int]
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


def _overloaded(
    servers: int, load: float, waits_s: Sequence[float], depths: Sequence[int]
) -> QueueSimulation:
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


def _fewest(is_met: Callable[[int], bool], *, least: int, guess: int) -> int:
    """Return the fewest servers from `least` on that meet the target; `is_met` is monotone."""
    high, step = max(guess, least), 1
    low = high  # the most servers known to be too few will be below `low`
    if is_met(high):
        while low > least:
            low = max(least, high - step)
            if not is_met(low):
                break
            high, step = low, 2 * step
        else:
            return high
    else:
        while True:
            low, high, step = high, high + step, 2 * step
            if is_met(high):
                break
    while high - low > 1:
        middle = (low + high) // 2
        if is_met(middle):
            high = middle
        else:
            low = middle
    return high


def _busiest(interactions: int, variability: float) -> float:
    """Return the utilization above which a run is too short to see the queue's steady state.

    A queue forgets where it began within 4 / (1 - u)^2 arrivals, times half the sum of both squared
    coefficients of variation (the spectral gap of M/M/c in heavy traffic: Gamarnik and Goldberg,
    "On the rate of convergence to stationarity of the M/M/n queue in the Halfin-Whitt regime",
    2013). A run is to last for two such times.
    """
    return 1 - min(0.5, math.sqrt(2 * 4 * variability / 2 / interactions))


def _arrivals(
    rng: np.random.Generator,
    rate_per_s: float | None,
    arrivals_s: ArrayLike | None,
    fano: float,
    interactions: int,
) -> Floats:
    if (rate_per_s is None) == (arrivals_s is None):
        raise ValueError("give either arrival_rate_per_s or arrivals_s")
    queueing.whole("interactions", interactions, least=LEAST)
    if rate_per_s is not None:
        return arrival_times(rng, rate_per_s=rate_per_s, count=interactions, fano=fano)
    times = given_times(np.asarray(arrivals_s, dtype=np.float64))
    if len(times) < LEAST:
        raise ValueError(f"arrivals_s holds {len(times)} times: for an interval it takes {LEAST}")
    return times


def _services(service_times_s: ArrayLike, count: int, seed: int) -> Floats:
    measured = np.asarray(service_times_s, dtype=np.float64)
    if (
        measured.ndim != 1
        or not len(measured)
        or not (np.isfinite(measured) & (measured >= 0)).all()
    ):
        raise ValueError("service_times_s has to hold finite times from 0 s on, at least one")
    if not measured.any():
        raise ValueError("service_times_s are all 0")
    rng = np.random.default_rng((seed, 1))  # its own: not moved by how arrivals are drawn
    drawn: Floats = measured[rng.integers(0, len(measured), count)]
    return drawn


def _first_counted(count: int, warmup_share: float) -> int:
    if not 0 <= warmup_share <= 0.9:  # noqa: PLR2004 - something has to be left
        raise ValueError(f"warmup_share is {warmup_share!r}: it has to be from 0 to 0.9")
    return int(count * warmup_share)
