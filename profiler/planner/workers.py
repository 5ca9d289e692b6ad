"""How many workers the peak needs: two closed forms beside the simulation, which decides."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from profiler.planner.queueing import servers_for
from profiler.planner.simulate import servers_for_simulated, simulate_queue

if TYPE_CHECKING:
    from profiler.planner.estimates import Floats
    from profiler.planner.simulate import QueueSimulation

DEEP = 5
"""A queue is deep when more wait than so many times the workers."""
_LATE = 0.05
_SIMULATED = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """What waiting users are promised, in seconds: 95th percentiles. None: nothing is."""

    wait_p95_s: float
    answer_p95_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizing:
    """Workers for one scale, and what their queue does.

    `decided_by` names the target that needs so many; `meets_targets` is false where the service
    alone takes longer than the answer may, so that no number of workers helps.
    """

    count: int
    slots: int
    by_erlang_c: int
    by_allen_cunneen: int
    decided_by: str
    meets_targets: bool
    service_mean_s: float
    service_cv2: float
    queue: QueueSimulation

    @property
    def threshold(self) -> int:
        """The depth of a queue that is deep."""
        return DEEP * self.count


def by_erlang_c(rate_per_s: float, service_mean_s: float, wait_p95_s: float, slots: int) -> int:
    """Return the workers whose wait stays within its target if service times are exponential."""
    return _workers(servers_for(rate_per_s, service_mean_s, wait_p95_s, _LATE), slots)


def by_allen_cunneen(
    rate_per_s: float,
    service_mean_s: float,
    wait_p95_s: float,
    slots: int,
    *,
    ca2: float,
    cs2: float,
) -> int:
    """Return the same with the variability of arrivals and of service times.

    The wait's tail is that of M/M/c with its decay divided by (ca2 + cs2) / 2, the factor by which
    Allen and Cunneen scale the mean wait: P(W > t) = C exp(-(c mu - lambda) t 2 / (ca2 + cs2)).
    """
    variability = (ca2 + cs2) / 2
    if variability == 0:
        return _workers(math.floor(rate_per_s * service_mean_s) + 1, slots)
    servers = servers_for(rate_per_s, service_mean_s, wait_p95_s / variability, _LATE)
    return _workers(servers, slots)


def _workers(servers: int, slots: int) -> int:
    return -(-servers // slots)


def cv2(times: Floats) -> float:
    """Return the squared coefficient of variation; 0 of one value."""
    return float(times.var() / times.mean() ** 2)


def size(
    *,
    rate_per_s: float,
    service_times_s: Floats,
    targets: Targets,
    slots: int,
    burstiness: float,
    seed: int,
) -> Sizing:
    """Size the workers of one scale. `service_times_s` are measured, drawn with replacement.

    The simulation searches the fewest servers (a worker is `slots` of them) that meet both targets,
    and observes the queue of the workers found. Where the measured answers alone are slower than
    promised, the wait's target decides.
    """
    mean, spread = float(service_times_s.mean()), cv2(service_times_s)
    pool = _Pool(rate_per_s, service_times_s, burstiness, seed)
    by_wait = pool.search(targets.wait_p95_s, None)
    count, decided_by, meets = _workers(by_wait, slots), "worker_wait_p95", True
    queue = pool.observe(count, slots)
    promised = targets.answer_p95_s
    if promised is not None and queue.response_percentiles_s[95].value > promised:
        try:
            both = pool.search(targets.wait_p95_s, promised)
        except _NoNumberDoesError:
            meets = False
        else:
            count, decided_by = _workers(both, slots), "answer_latency_p95"
            queue = pool.observe(count, slots)
    return Sizing(
        count=count,
        slots=slots,
        by_erlang_c=by_erlang_c(rate_per_s, mean, targets.wait_p95_s, slots),
        by_allen_cunneen=by_allen_cunneen(
            rate_per_s, mean, targets.wait_p95_s, slots, ca2=burstiness, cs2=spread
        ),
        decided_by=decided_by,
        meets_targets=meets,
        service_mean_s=mean,
        service_cv2=spread,
        queue=queue,
    )


class _NoNumberDoesError(Exception):
    """The service alone takes longer than the answer may."""


@dataclass(frozen=True, slots=True)
class _Pool:
    """Simulations of one scale, all of the same arrivals and service times."""

    rate_per_s: float
    service_times_s: Floats
    burstiness: float
    seed: int

    def search(self, wait_p95_s: float, answer_p95_s: float | None) -> int:
        """Return the fewest servers. Raises `_NoNumberDoesError`."""
        found = servers_for_simulated(
            service_times_s=self.service_times_s,
            wait_p95_s=wait_p95_s,
            response_p95_s=answer_p95_s,
            arrival_rate_per_s=self.rate_per_s,
            fano=self.burstiness,
            interactions=_SIMULATED,
            seed=self.seed,
        )
        if found is None:
            raise _NoNumberDoesError
        return found.servers

    def observe(self, count: int, slots: int) -> QueueSimulation:
        """Return what the queue of so many workers does."""
        return simulate_queue(
            servers=count * slots,
            service_times_s=self.service_times_s,
            arrival_rate_per_s=self.rate_per_s,
            fano=self.burstiness,
            interactions=_SIMULATED,
            depths=(DEEP * count,),
            seed=self.seed,
        )
