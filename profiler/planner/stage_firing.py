"""At which load the trigger of a stage fires."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from profiler.planner.limit_fit import CONCURRENT, counting
from profiler.planner.limit_risk import risk
from profiler.planner.plan import WINDOWS_S
from profiler.planner.queueing import erlang_b, mean_wait
from profiler.planner.stage_load import last
from profiler.planner.workers import cv2

if TYPE_CHECKING:
    from collections.abc import Callable

    from profiler.planner.evaluate import Point
    from profiler.planner.limit_fit import LimitFit
    from profiler.planner.stage_load import Loads
    from profiler.planner.stages import StageTrigger

STATED = "stated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing:
    """When a trigger fires, and what its metric is at the demand's launch and end.

    `factors` holds the growth factor by the way in which limits are enforced, where that is not
    known (one entry, `stated`, where it is, or plays no part); None: not within the demand.
    `limit` is the one that is hit.
    """

    factors: dict[str, float | None]
    at_launch: float
    at_end: float
    limit: tuple[str, str] | None = None

    @property
    def factor(self) -> float | None:
        """The earliest; None: none is within the demand."""
        return min((one for one in self.factors.values() if one is not None), default=None)


def firing(loads: Loads, trigger: StageTrigger, workers: int | None) -> Firing | str:
    """Return when a trigger fires while there are so many workers; words: why nobody can tell.

    `workers` None: as many as the peak needs.
    """
    if trigger.metric == "rate_limited_share":
        return _rate_limits(loads, trigger.above)
    if trigger.metric == "active_sessions":
        return _found(loads, loads.active_sessions, trigger.above)
    if workers is None:
        return "the stage before it adds workers as the demand grows, so that no queue builds up"
    if trigger.metric == "queue_depth_per_worker":
        return _queue_depth(loads, trigger.above, workers)
    slots = workers * loads.demand.workers.slots
    return _found(loads, lambda factor: loads.stream(factor).response_p95_s(slots), trigger.above)


def _queue_depth(loads: Loads, above: float, workers: int) -> Firing:
    """Find when so many wait for each worker; simulated, from where Allen and Cunneen expect it."""
    slots, times = workers * loads.demand.workers.slots, loads.scaling.agent.service_times_s
    mean_s, cs2 = float(times.mean()), cv2(times)
    ca2 = loads.scaling.point.numbers["traffic.burstiness"]

    def expected(factor: float) -> bool:
        rate_per_s = loads.rate_per_s(factor)
        wait_s = mean_wait(slots, rate_per_s, mean_s, ca2, cs2)
        return wait_s * rate_per_s / workers <= above  # Little's law

    return _found(
        loads,
        lambda factor: loads.stream(factor).waiting_mean(slots) / workers,
        above,
        guess=last(loads.launch, loads.end, expected),
    )


def _found(
    loads: Loads, value: Callable[[float], float], above: float, guess: float | None = None
) -> Firing:
    at_launch, at_end = value(loads.launch), value(loads.end)
    factor = _crossing(loads, value, above, (at_launch, at_end), guess)
    return Firing(factors={STATED: factor}, at_launch=at_launch, at_end=at_end)


def _crossing(
    loads: Loads,
    value: Callable[[float], float],
    above: float,
    ends: tuple[float, float],
    guess: float | None = None,
) -> float | None:
    if ends[0] > above:
        return loads.launch
    if not ends[1] > above:
        return None
    return last(loads.launch, loads.end, lambda factor: value(factor) <= above, guess=guess)


def _rate_limits(loads: Loads, above: float) -> Firing | str:
    """Find when limits reject for that share of the time.

    An attempt that arrives at random sees what time averages show (PASTA): the share of attempts
    answered by a 429, which production can count, is that share of the time, and with retries a
    little more.
    """
    if not loads.fits(loads.end):
        return "the demand names no limit of a model: write limits under models"
    found: dict[str, float | None] = {}
    ways = _ways(loads)
    for name, way in ways.items():

        def share(factor: float, way: _Way = way) -> float:
            return limited(loads, factor, way)[0]

        ends = share(loads.launch), share(loads.end)
        found[name] = _crossing(loads, share, above, ends)
    earliest = min((one for one in found.values() if one is not None), default=loads.end)
    return Firing(
        factors=found if len(found) > 1 else {STATED: next(iter(found.values()))},
        at_launch=max(limited(loads, loads.launch, way)[0] for way in ways.values()),
        at_end=max(limited(loads, loads.end, way)[0] for way in ways.values()),
        limit=max(limited(loads, earliest, way) for way in ways.values())[1],
    )


@dataclass(frozen=True, slots=True)
class _Way:
    """How limits may be enforced, where the demand does not say."""

    window_s: float
    is_bucket: bool


def _ways(loads: Loads) -> dict[str, _Way]:
    """Return the ways that the demand leaves open, by what they are called; one if it says all."""
    models = loads.demand.models
    limits = [models[fit.model].limits for fit in loads.fits(loads.end) if fit.limit != CONCURRENT]
    known = [each for each in limits if each is not None]
    is_open = any(each.window is None and each.enforced != "bucket" for each in known)
    windows = WINDOWS_S if is_open else WINDOWS_S[:1]
    ways = {f"windows of {window_s:g} s": _Way(window_s, is_bucket=False) for window_s in windows}
    if not is_open:
        ways = {"windows": _Way(windows[0], is_bucket=False)}
    if any(each.enforced is None for each in known):
        ways["a bucket"] = _Way(windows[0], is_bucket=True)
    return ways


def limited(loads: Loads, factor: float, way: _Way) -> tuple[float, tuple[str, str]]:
    """Return the largest share of time in which a limit rejects, and that limit.

    `way` stands in for what the demand does not state.
    """
    return max((_limited(loads, fit, way), (fit.model, fit.limit)) for fit in loads.fits(factor))


def _limited(loads: Loads, fit: LimitFit, way: _Way) -> float:
    if fit.limit == CONCURRENT:
        return erlang_b(int(fit.allowed), fit.demand)  # what is refused does not wait there
    scaling, limits = loads.scaling, loads.demand.models[fit.model].limits
    assert limits is not None  # noqa: S101 - a fit is of a limit
    if limits.enforced == "bucket" or (limits.enforced is None and way.is_bucket):
        # A bucket carries bursts over: it rejects what is more than it is refilled with.
        return max(0.0, 1 - 1 / fit.utilization)
    return risk(
        kind=fit.limit,
        sample=scaling.samples[fit.model],
        how=counting(limits, scaling.setting.providers.get(fit.model)),
        demand_per_minute=fit.demand,
        allowed_per_minute=fit.allowed,
        window_s=way.window_s if limits.window is None else limits.window,
        burstiness=scaling.point.numbers["traffic.burstiness"],
        seed=scaling.seed,
    ).limited_time


def pressure(loads: Loads, trigger: StageTrigger, found: Firing, point: Point | None) -> float:
    """Return how hard the launch presses on what a trigger is about: erlangs, a share, sessions.

    A trigger fires at a certain pressure, and pressure is proportional to the users: so a draw's
    factor is the plan's times the quotient of the pressures. `point` None: the plan's own.
    """
    at = loads.scaling.point if point is None else point
    if trigger.metric == "active_sessions":
        return loads.active_sessions(loads.launch, at)
    if found.limit is not None:
        used = {(fit.model, fit.limit): fit.utilization for fit in loads.fits(loads.launch, at)}
        return used.get(found.limit, 0.0)
    return loads.peak(loads.launch, at).interactions_per_minute * at.behaviour.latency_s
