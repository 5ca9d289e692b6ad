"""How many workers the peak needs: two closed forms beside the simulation, which decides."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from profiler.planner.queueing import servers_for
from profiler.planner.simulate import Stream

if TYPE_CHECKING:
    from profiler.planner.estimates import Floats
    from profiler.planner.queue_figures import QueueSimulation

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
    stream = Stream(
        service_times_s=service_times_s,
        arrival_rate_per_s=rate_per_s,
        fano=burstiness,
        interactions=_SIMULATED,
        seed=seed,
    )
    by_wait = stream.fewest(wait_p95_s=targets.wait_p95_s, response_p95_s=None)
    assert by_wait is not None  # noqa: S101 - enough servers leave nobody waiting
    count, decided_by, meets = _workers(by_wait, slots), "worker_wait_p95", True
    promised_s = targets.answer_p95_s
    if promised_s is not None and not stream.keeps(
        count * slots, wait_p95_s=math.inf, response_p95_s=promised_s
    ):
        both = stream.fewest(wait_p95_s=targets.wait_p95_s, response_p95_s=promised_s)
        meets = both is not None
        if both is not None:
            count, decided_by = _workers(both, slots), "answer_latency_p95"
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
        queue=stream.observe(count * slots, depths=(DEEP * count,)),
    )
