"""What a stage carries while it keeps what is promised, and what binds there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from profiler.planner.limit_fit import binding
from profiler.planner.queueing import wait_tail
from profiler.planner.stage_load import last

if TYPE_CHECKING:
    from profiler.planner.limit_fit import LimitFit
    from profiler.planner.stage_load import Loads

_LATE = 0.05
_LOWEST, _HIGHEST = 2.0**-10, 2.0**20
"""Of the load at which all slots are busy, and of the demand: beyond, nothing binds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """The growth factor up to which a stage keeps targets and headroom, and what binds there."""

    factor: float
    binds: str


def capacity(loads: Loads, workers: int | None, *, routing: bool) -> Capacity | None:
    """Return what a stage carries; None: nothing that is known binds.

    `workers` None: as many as the peak needs. With `routing`, what one model cannot take goes to
    its fallback. It may be less than the launch, and more than the demand's end.
    """
    found = [by_limits(loads, routing=routing)]
    if workers is not None:
        found.append(by_workers(loads, workers))
    return min((each for each in found if each), key=lambda each: each.factor, default=None)


def by_workers(loads: Loads, workers: int) -> Capacity:
    """Return what so many workers carry within the targets of the service level, simulated.

    A target that no number of workers meets is left aside, as it is where workers are counted.
    """
    numbers, at_launch = loads.scaling.point.numbers, loads.sizing(loads.launch)
    wait_s = numbers["service_level.worker_wait_p95"]
    promised = numbers.get("service_level.answer_latency_p95")
    answer_s = promised if promised is not None and at_launch.meets_targets else math.inf
    rate_per_s = loads.rate_per_s(1.0)
    full = workers * at_launch.slots / (rate_per_s * at_launch.service_mean_s)

    slots = workers * at_launch.slots
    variability = (numbers["traffic.burstiness"] + at_launch.service_cv2) / 2

    def kept(factor: float) -> bool:
        return loads.stream(factor).keeps(slots, wait_p95_s=wait_s, response_p95_s=answer_s)

    def expected(factor: float) -> bool:  # as `workers.by_allen_cunneen` has it
        scaled_s = wait_s / variability if variability else math.inf
        return wait_tail(slots, rate_per_s * factor, at_launch.service_mean_s, scaled_s) <= _LATE

    lowest = full * _LOWEST
    factor = last(lowest, full, kept, guess=last(lowest, full, expected))
    return Capacity(factor=factor, binds=f"{workers} workers")


def by_limits(loads: Loads, *, routing: bool) -> Capacity | None:
    """Return what the models' limits admit within the headroom; None: no limit binds."""
    models, headroom = loads.demand.models, loads.scaling.point.numbers["headroom"]
    if not routing:
        fit = binding(loads.fits(loads.launch))
        if fit is None:
            return None
        factor = loads.launch * headroom / fit.utilization
        return Capacity(factor=factor, binds=f"{fit.model} {fit.limit}")
    relieved = {name for name, model in models.items() if model.fallback is not None}

    def fullest(factor: float) -> LimitFit | None:
        left = (fit for fit in loads.fits(factor) if fit.model not in relieved)
        return max(left, key=lambda fit: fit.utilization, default=None)

    def holds(factor: float) -> bool:
        fit = fullest(factor)
        return fit is None or fit.utilization <= 1

    high = loads.end * _HIGHEST
    if holds(high):
        return None
    factor = last(loads.launch / _HIGHEST, high, holds, precision=1e-9)
    first = fullest(factor * 1.01)  # just beyond, where it is certain to be there
    assert first is not None  # noqa: S101 - `high` does not hold
    return Capacity(factor=factor * headroom, binds=f"{first.model} {first.limit}")
