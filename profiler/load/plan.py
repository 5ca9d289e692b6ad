"""What one driver is to do: a load plan, made from a workload, and its share of a larger run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, assert_never

from profiler.clock import seconds_to_ns
from profiler.errors import WorkloadError
from profiler.load.budget import Limits
from profiler.load.schedule import (
    Arrivals,
    ConstantGaps,
    GammaGaps,
    Gaps,
    Piece,
    PoissonGaps,
    Process,
    Rate,
    Trace,
    flat,
    ramp,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from profiler.workload.arrivals import RateSpec
    from profiler.workload.model import Load, Workload

UNTIL_STABLE_FACTOR = 10
"""How many times `requests` `--until-stable` goes on to where the user set no limit."""


class ArrivalsOf(StrEnum):
    """What one arrival of an open loop starts."""

    SESSIONS = "sessions"
    INTERACTIONS = "interactions"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedLoop:
    """So many users, each sending its next message when it has its answer and has thought.

    User k of the whole run (from 0) begins k times `step_ns` after the run does.
    """

    users: int
    step_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenLoop:
    """Arrivals by a schedule, whether or not the target keeps up.

    An arrival that finds `max_in_flight` of them under way is dropped and counted.
    """

    arrivals: Arrivals
    arrivals_of: ArrivalsOf
    seed: int
    max_in_flight: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Part `index` of `count` equal parts of a run: every count-th session, user and arrival."""

    index: int = 0
    count: int = 1

    def of(self, total: int) -> int:
        """Return how many of `total` fall to this part."""
        return (total - self.index + self.count - 1) // self.count


WHOLE = Share()
"""The share of a run that is not split."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlan:
    """What the driver is to do. Nothing starts later than `duration_ns` after measuring began.

    Users, warm-up and limits are those of the share alone; a schedule is the whole run's, of which
    the share takes its arrivals. With `backs_off`, a target that only says 429 or 503 gets pauses.
    """

    loop: ClosedLoop | OpenLoop
    warmup: int
    limits: Limits
    duration_ns: int | None = None
    share: Share = WHOLE
    backs_off: bool = False


def load_plan(workload: Workload, *, until_stable: bool = False) -> LoadPlan:
    """Turn the load section of a workload into what one driver does alone."""
    load = workload.load
    loop: ClosedLoop | OpenLoop
    if load.is_open:
        loop = OpenLoop(
            arrivals=_arrivals(load),
            arrivals_of=_arrivals_of(workload),
            seed=load.seed,
            max_in_flight=load.max_in_flight,
        )
    else:
        users = load.users if load.users is not None else 1
        loop = ClosedLoop(users=users, step_ns=seconds_to_ns((load.ramp_up_s or 0) / users))
    ceiling = load.max_requests
    if until_stable and ceiling is None and load.requests is not None:
        ceiling = load.requests * UNTIL_STABLE_FACTOR
    return LoadPlan(
        loop=loop,
        warmup=load.warmup,
        limits=Limits(
            requests=load.requests,
            sessions=load.sessions,
            max_requests=ceiling,
            until_stable=until_stable,
            error_limit=load.error_limit,
        ),
        duration_ns=None if load.duration_s is None else seconds_to_ns(load.duration_s),
        backs_off=load.backoff,
    )


def _arrivals_of(workload: Workload) -> ArrivalsOf:
    """Return what arrives; where every session has one turn, sessions: it is the same."""
    if all(scenario.generated is not None for scenario in workload.scenarios):
        return ArrivalsOf.SESSIONS
    return ArrivalsOf(workload.load.arrivals_of)


def _arrivals(load: Load) -> Arrivals:
    trace = load.arrivals.trace
    if trace is not None:
        return Trace(offsets_ns=tuple(seconds_to_ns(at_s / load.speed) for at_s in trace.offsets_s))
    gaps: Gaps = PoissonGaps()
    if load.arrivals.constant:
        gaps = ConstantGaps()
    elif load.arrivals.gamma is not None:
        gaps = GammaGaps(burstiness=load.arrivals.gamma.burstiness)
    return Process(rate=_rate(load.rate), gaps=gaps)


def _rate(spec: RateSpec | None) -> Rate:
    if spec is None:
        raise WorkloadError("an open loop has no rate", where="load.rate", fix="Give one")
    if spec.ramp is not None:
        return ramp(
            start_per_s=spec.ramp.from_per_s,
            end_per_s=spec.ramp.to_per_s,
            duration_s=spec.ramp.over_s,
        )
    if spec.steps is not None:
        pieces = tuple(
            Piece(start_per_s=s.rate_per_s, end_per_s=s.rate_per_s, duration_s=s.for_s)
            for s in spec.steps
        )
        return Rate(pieces=pieces, then_per_s=spec.steps[-1].rate_per_s)
    return flat(spec.flat_per_s if spec.flat_per_s is not None else 1.0)


def parts_of(plan: LoadPlan, most: int) -> int:
    """Return into how many parts, `most` or fewer, a plan splits so that each has work to do.

    A user, a place in flight, a session or an interaction cannot be halved.
    """
    limits, loop = plan.limits, plan.loop
    places = loop.users if isinstance(loop, ClosedLoop) else loop.max_in_flight
    units = (places, limits.requests, limits.sessions, limits.max_requests)
    return min(most, *(unit for unit in units if unit is not None), most)


def shared(plan: LoadPlan, share: Share) -> LoadPlan:
    """Return the part of a plan that falls to a share. The shares together are the plan.

    Where a plan does not split into so many parts (`parts_of`), the first shares take all of it
    and the others have nothing to do: `is_idle` says so.
    """
    parts = parts_of(plan, share.count)
    if share.index >= parts:
        return _part_of(plan, lambda _: 0, share)
    share = replace(share, count=parts)
    return _part_of(plan, share.of, share)


def _part_of(plan: LoadPlan, part: Callable[[int], int], share: Share) -> LoadPlan:
    def some(total: int | None) -> int | None:
        return None if total is None else part(total)

    limits, loop = plan.limits, plan.loop
    if isinstance(loop, ClosedLoop):
        loop = replace(loop, users=part(loop.users))
    else:
        loop = replace(loop, max_in_flight=some(loop.max_in_flight))
    return replace(
        plan,
        loop=loop,
        warmup=part(plan.warmup),
        limits=replace(
            limits,
            requests=some(limits.requests),
            sessions=some(limits.sessions),
            max_requests=some(limits.max_requests),
        ),
        share=share,
    )


def most_connections(plan: LoadPlan) -> int:
    """Return how many connections a plan may have open at once; 0 where nothing bounds them."""
    match plan.loop:
        case ClosedLoop(users=users):
            return users
        case OpenLoop(max_in_flight=most):
            return 0 if most is None else most
        case _:
            assert_never(plan.loop)


def is_idle(plan: LoadPlan) -> bool:
    """Say whether a plan (a share of one) has nothing to send."""
    loop = plan.loop
    places = loop.users if isinstance(loop, ClosedLoop) else loop.max_in_flight
    limits = plan.limits
    return 0 in (places, limits.requests, limits.sessions, limits.max_requests)
