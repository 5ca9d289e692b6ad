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
from typing import TYPE_CHECKING

import numpy as np

from profiler.planner import queueing
from profiler.planner.arrivals import arrival_times, given_times
from profiler.planner.estimates import BATCHES, Floats
from profiler.planner.queue_figures import QueueSimulation, observe, overloaded
from profiler.planner.served import Served, starts_limited, starts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike

LEAST = 10 * BATCHES


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
    stream = Stream(
        service_times_s=service_times_s,
        arrival_rate_per_s=arrival_rate_per_s,
        arrivals_s=arrivals_s,
        fano=fano,
        interactions=interactions,
        warmup_share=warmup_share,
        seed=seed,
    )
    return stream.observe(servers, queue_limit=queue_limit, waits_s=waits_s, depths=depths)


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
    stream = Stream(
        service_times_s=service_times_s,
        arrival_rate_per_s=arrival_rate_per_s,
        arrivals_s=arrivals_s,
        load_factor=load_factor,
        fano=fano,
        interactions=interactions,
        warmup_share=warmup_share,
        seed=seed,
    )
    servers = stream.fewest(wait_p95_s=wait_p95_s, response_p95_s=response_p95_s)
    if servers is None:
        return None
    return ServersFound(servers=servers, queue=stream.observe(servers))


class Stream:
    """Interactions as they arrive with their service times, before any number of servers.

    What `simulate_queue` and `servers_for_simulated` ask once, of the same arguments; here several
    questions share the arrivals, and what one number of servers does with them is run once.
    """

    def __init__(
        self,
        *,
        service_times_s: ArrayLike,
        arrival_rate_per_s: float | None = None,
        arrivals_s: ArrayLike | None = None,
        load_factor: float = 1.0,
        fano: float = 1.0,
        interactions: int = 200_000,
        warmup_share: float = 0.1,
        seed: int = 1,
    ) -> None:
        queueing.positive("load_factor", load_factor)
        rng = np.random.default_rng(seed)
        drawn = _arrivals(rng, arrival_rate_per_s, arrivals_s, fano, interactions)
        self._arrivals = drawn / load_factor
        self._services = _services(service_times_s, len(drawn), seed)
        self._first = _first_counted(len(drawn), warmup_share)
        measured = np.asarray(service_times_s, dtype=np.float64)
        self._mean_s = float(measured.mean())
        self._rate_per_s = (arrival_rate_per_s or (len(drawn) - 1) / drawn[-1]) * load_factor
        self._variability = fano + float(measured.var()) / self._mean_s**2
        self._lists = self._arrivals.tolist(), self._services.tolist()
        self._runs: dict[int, Served] = {}

    def observe(
        self,
        servers: int,
        *,
        queue_limit: int | None = None,
        waits_s: Sequence[float] = (),
        depths: Sequence[int] = (),
    ) -> QueueSimulation:
        """Return what so many servers and their queue do: see `simulate_queue`."""
        queueing.whole("servers", servers, least=1)
        load = self._rate_per_s * self._mean_s / servers
        if queue_limit is not None:
            queueing.whole("queue_limit", queue_limit, least=0)
            starts = starts_limited(*self._lists, servers, queue_limit)
            run = Served(arrivals=self._arrivals, services=self._services, starts=starts)
        elif load >= 1:
            return overloaded(servers, load, waits_s, depths)
        else:
            run = self._run(servers)
        return observe(run, servers, self._first, waits_s, depths)

    def keeps(self, servers: int, *, wait_p95_s: float, response_p95_s: float) -> bool:
        """Say whether the 95th percentiles of waits and of responses are within these."""
        if self._rate_per_s * self._mean_s >= servers:
            return False
        run, first = self._run(servers), self._first
        waits = run.starts[first:] - run.arrivals[first:]
        return bool(
            np.quantile(waits, 0.95) <= wait_p95_s
            and (
                math.isinf(response_p95_s)
                or np.quantile(waits + run.services[first:], 0.95) <= response_p95_s
            )
        )

    def response_p95_s(self, servers: int) -> float:
        """Return the 95th percentile of responses, without the rest of what `observe` returns."""
        if self._rate_per_s * self._mean_s >= servers:
            return math.inf
        run, first = self._run(servers), self._first
        waits = run.starts[first:] - run.arrivals[first:]
        return float(np.quantile(waits + run.services[first:], 0.95))

    def waiting_mean(self, servers: int) -> float:
        """Return how many wait, over time: `observe`'s `waiting_mean`, without the rest of it."""
        if self._rate_per_s * self._mean_s >= servers:
            return math.inf
        run = self._run(servers)
        begin, end = run.arrivals[self._first], run.arrivals[-1]
        waited_s = np.minimum(run.starts, end) - np.maximum(run.arrivals, begin)
        return float(np.maximum(waited_s, 0.0).sum() / (end - begin))

    def fewest(self, *, wait_p95_s: float | None, response_p95_s: float | None) -> int | None:
        """Return the fewest servers that keep the targets: see `servers_for_simulated`."""
        if wait_p95_s is None and response_p95_s is None:
            raise ValueError("give wait_p95_s, response_p95_s or both")
        wait_at_most = math.inf if wait_p95_s is None else wait_p95_s
        response_at_most = math.inf if response_p95_s is None else response_p95_s
        alone = np.quantile(self._services[self._first :], 0.95)
        if wait_at_most < 0 or alone > response_at_most:
            return None
        busiest = _busiest(len(self._arrivals), self._variability)
        guess_wait = min(wait_at_most, max(0.0, response_at_most - self._mean_s))
        return _fewest(
            lambda n: self.keeps(n, wait_p95_s=wait_at_most, response_p95_s=response_at_most),
            least=math.floor(self._rate_per_s * self._mean_s / busiest) + 1,
            guess=queueing.servers_for(self._rate_per_s, self._mean_s, guess_wait, 0.05),
        )

    def _run(self, servers: int) -> Served:
        if servers not in self._runs:
            starts = starts_of(*self._lists, servers)
            run = Served(arrivals=self._arrivals, services=self._services, starts=starts)
            self._runs[servers] = run
        return self._runs[servers]


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
