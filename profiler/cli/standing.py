"""How far a run is and what it has shown so far: one value, which every way of showing it shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from profiler.clock import NS_PER_S, monotonic_ns
from profiler.load.plan import OpenLoop, load_plan
from profiler.load.schedule import Process, rate_at
from profiler.measure.records import Phase

if TYPE_CHECKING:
    from profiler.clock import MonotonicNs
    from profiler.load.driver import Driver
    from profiler.load.glimpse import Overview
    from profiler.load.schedule import Rate
    from profiler.load.so_far import CallsSoFar, SoFar
    from profiler.load.tally import Tally
    from profiler.workload.model import Load, Workload

_S_PER_US = 1e-6
_LEAST_S = 1.0
_LEAST_SHARE = 0.02
"""Of a run whose end is estimated: before it, an estimate of the time left is a guess."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Harness:
    """How the harness itself did within the last second or so; of several `shards`, the worst."""

    loop_lag_s: float
    cpu_share: float
    shards: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the measured interactions have shown. `course_s`: the median of each stretch of time."""

    p50_s: float | None
    p95_s: float | None
    course_s: tuple[float | None, ...]
    course_width_s: float
    errors: dict[str, int]
    calls: CallsSoFar | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How far a run is. `ended`, `failed` and `total` are those of its phase.

    None is not known: a run has no `total` of interactions where sessions or time end it, no
    `share` of it is done where nothing tells its end, and nobody asks for a rate in closed loop.
    `sessions_per_s` are those that began.
    """

    phase: Phase
    ended: int
    failed: int
    in_flight: int
    dropped: int | None = None
    total: int | None = None
    elapsed_s: float = 0.0
    share: float | None = None
    left_s: float | None = None
    asked_per_s: float | None = None
    asked_of: str | None = None
    achieved_per_s: float | None = None
    sessions_per_s: float | None = None
    backing_off_s: float | None = None
    seen: Seen | None = None
    harness: Harness | None = None


class DriverStanding:
    """Tells how far a run in one process is."""

    def __init__(
        self, driver: Driver, workload: Workload, so_far: SoFar, *, until_stable: bool = False
    ) -> None:
        self._driver = driver
        self._so_far = so_far
        self._goal = _Goal(workload, until_stable=until_stable)

    def __call__(self) -> Standing:
        """Return how far it is now."""
        driver, so_far = self._driver, self._so_far
        elapsed_s = so_far.elapsed_s()
        is_measuring = driver.phase is Phase.MEASURE
        ended = driver.budget.before + driver.budget.ended
        share = self._goal.share(ended, so_far.sessions_ended, elapsed_s) if is_measuring else None
        return Standing(
            phase=driver.phase,
            ended=ended,
            failed=driver.budget.failed,
            in_flight=driver.watch.in_flight,
            dropped=driver.watch.dropped,
            total=self._goal.total(driver.phase),
            elapsed_s=elapsed_s,
            share=share,
            left_s=self._goal.left_s(share, elapsed_s),
            asked_per_s=self._goal.asked_per_s(elapsed_s),
            asked_of=self._goal.asked_of,
            achieved_per_s=so_far.ended / elapsed_s if elapsed_s else None,
            sessions_per_s=so_far.sessions_begun / elapsed_s if elapsed_s else None,
            backing_off_s=_backing_off_s(driver),
            seen=_seen(so_far),
            harness=_harness(driver),
        )


class TallyStanding:
    """Tells how far all shards of a run are together, and what they have shown."""

    def __init__(
        self, workload: Workload, *, until_stable: bool = False, clock: MonotonicNs = monotonic_ns
    ) -> None:
        self._clock = clock
        self._goal = _Goal(workload, until_stable=until_stable)
        self._began_ns: int | None = None
        self._ended_before = self._begun_before = 0

    def __call__(self, tally: Tally, overview: Overview) -> Standing:
        """Return how far it is now. Time counts from when all were first seen to measure."""
        warming = tally.phase is Phase.WARMUP
        if not warming and self._began_ns is None:
            self._began_ns, self._ended_before = self._clock(), tally.ended
            self._begun_before = overview.sessions_begun
        began_ns = self._began_ns
        elapsed_s = 0.0 if began_ns is None else (self._clock() - began_ns) / NS_PER_S
        sessions_ended = overview.sessions_ended
        ended = tally.before + tally.ended
        share = None if warming else self._goal.share(ended, sessions_ended, elapsed_s)
        return Standing(
            phase=tally.phase,
            ended=tally.warmup_ended if warming else ended,
            failed=tally.warmup_failed if warming else tally.failed,
            in_flight=tally.in_flight,
            dropped=overview.dropped,
            total=self._goal.total(tally.phase),
            elapsed_s=elapsed_s,
            share=share,
            left_s=self._goal.left_s(share, elapsed_s),
            asked_per_s=self._goal.asked_per_s(elapsed_s),
            asked_of=self._goal.asked_of,
            achieved_per_s=(
                (tally.ended - self._ended_before) / elapsed_s if elapsed_s >= _LEAST_S else None
            ),
            sessions_per_s=(
                (overview.sessions_begun - self._begun_before) / elapsed_s
                if elapsed_s >= _LEAST_S
                else None
            ),
            seen=_seen(overview),
            harness=_worst(overview),
        )


class _Goal:
    """When a run ends, and what rate it is to have meanwhile."""

    def __init__(self, workload: Workload, *, until_stable: bool) -> None:
        self._load: Load = workload.load
        self._until_stable = until_stable
        loop = load_plan(workload, until_stable=until_stable).loop
        self._rate: Rate | None = None
        self.asked_of: str | None = None
        if isinstance(loop, OpenLoop) and isinstance(loop.arrivals, Process):
            self._rate, self.asked_of = loop.arrivals.rate, loop.arrivals_of.value

    def total(self, phase: Phase) -> int | None:
        return self._load.warmup if phase is Phase.WARMUP else self._load.requests

    def share(self, ended: int, sessions_ended: int, elapsed_s: float) -> float | None:
        """Return how much is done, 0 to 1, by what ends the run first."""
        load = self._load
        shares = []
        if load.duration_s is not None:
            shares.append(elapsed_s / load.duration_s)
        if load.requests is not None and not self._until_stable:
            shares.append(ended / load.requests)
        if load.sessions is not None and not self._until_stable:
            shares.append(sessions_ended / load.sessions)
        return min(1.0, max(shares)) if shares else None

    def left_s(self, share: float | None, elapsed_s: float) -> float | None:
        """Return the time left if it goes on as it went so far."""
        if share is None or share < _LEAST_SHARE:
            return None if self._load.duration_s is None else self._load.duration_s - elapsed_s
        return elapsed_s * (1 - share) / share

    def asked_per_s(self, elapsed_s: float) -> float | None:
        return None if self._rate is None else rate_at(self._rate, elapsed_s)


def _seen(so_far: SoFar | Overview) -> Seen:
    p50_us, p95_us = so_far.latency.percentile(50), so_far.latency.percentile(95)
    return Seen(
        p50_s=_seconds(p50_us),
        p95_s=_seconds(p95_us),
        course_s=tuple(_seconds(median) for median in so_far.course.medians_us()),
        course_width_s=so_far.course.width_ns / NS_PER_S,
        errors=dict(so_far.errors.most_common()),
        calls=so_far.calls(),
    )


def _seconds(us: int | None) -> float | None:
    return None if us is None else us * _S_PER_US


def _backing_off_s(driver: Driver) -> float | None:
    """Return how long the target is still left alone; None where it is not."""
    if driver.backing_off is None:
        return None
    left_ns = driver.backing_off.until_ns - monotonic_ns()
    return left_ns / NS_PER_S if left_ns > 0 else None


def _harness(driver: Driver) -> Harness | None:
    latest = driver.watch.latest
    if latest is None:
        return None
    return Harness(loop_lag_s=latest.loop_lag_max_ns / NS_PER_S, cpu_share=latest.cpu_share)


def _worst(overview: Overview) -> Harness | None:
    worst = overview.worst()
    if worst is None:
        return None
    lag_ns, cpu_share = worst
    return Harness(loop_lag_s=lag_ns / NS_PER_S, cpu_share=cpu_share, shards=overview.shards)
