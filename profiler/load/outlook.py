"""The outlook of a run: its sessions drawn and its plan rehearsed, without a target."""

from __future__ import annotations

from typing import TYPE_CHECKING

from profiler.clock import NS_PER_S, seconds_to_ns
from profiler.load.plan import ArrivalsOf, LoadPlan, OpenLoop, load_plan
from profiler.load.rehearsal import MOST_INTERACTIONS, Rehearsal
from profiler.measure.records import PHASES
from profiler.workload.outlook import Arrivals, Draws, Expected, Outlook
from profiler.workload.sessions import SessionSampler

if TYPE_CHECKING:
    from collections.abc import Callable

    from profiler.workload.model import Workload


def outlook(
    workload: Workload,
    count: Callable[[str], int],
    *,
    latency_s: float | None = None,
    most: int = MOST_INTERACTIONS,
) -> Outlook:
    """Draw the first `most` interactions of a run of this workload, and say what it comes to.

    The same seed draws the same sessions as the run. Which of those that are last are cut off by
    `requests` or `duration` depends on how fast the agent is. `count` gives the tokens of a text;
    `latency_s` is what every answer takes, None where that is not known.
    """
    plan = load_plan(workload)
    latency_ns = 0 if latency_s is None else seconds_to_ns(latency_s)
    rehearsals: list[Rehearsal] = []
    for phase in PHASES:
        sampler = SessionSampler(workload, seed=workload.load.seed, stream=phase)
        rehearsals.append(Rehearsal(plan, phase, sampler.session, latency_ns=latency_ns, most=most))
    warming, measuring = rehearsals
    warmup = sum(1 for _ in warming.interactions())
    draws = Draws(workload, count)
    for sent in measuring.interactions():
        draws.add(sent.session, sent.turn)
    end_ns = measuring.end_ns
    if measuring.is_ended_by_duration and plan.duration_ns is not None:
        end_ns = max(end_ns, plan.duration_ns)
    return Outlook(
        drawn=draws.whole,
        scenarios=draws.scenarios,
        independent_sessions=draws.independent_sessions,
        arrivals=_arrivals(workload, plan, measuring),
        expected=Expected(
            warmup=warmup,
            interactions=draws.whole.interactions,
            duration_s=(warming.end_ns + end_ns) / NS_PER_S,
            latency_s=latency_s,
            is_bound=latency_s is None
            and _is_up_to_the_target(plan, goes_on=max(draws.whole.turns, default=1) > 1),
            is_cut=measuring.is_cut or warming.is_cut,
            dropped=measuring.dropped,
        ),
    )


def _is_up_to_the_target(plan: LoadPlan, *, goes_on: bool) -> bool:
    """Say whether a slower target is sent less: time ends the run, or arrivals may be dropped.

    `goes_on`: sessions have more than one turn, so that what an arrival brings depends on it.
    """
    loop = plan.loop
    may_drop = isinstance(loop, OpenLoop) and loop.max_in_flight is not None
    if plan.duration_ns is not None:
        return not isinstance(loop, OpenLoop) or may_drop or goes_on
    return may_drop and plan.limits.requests is None


def _arrivals(workload: Workload, plan: LoadPlan, rehearsal: Rehearsal) -> Arrivals | None:
    if not isinstance(plan.loop, OpenLoop):
        return None
    of = "sessions"
    if plan.loop.arrivals_of is ArrivalsOf.INTERACTIONS:
        of = "interactions"
    elif all(scenario.generated is not None for scenario in workload.scenarios):
        of = "requests"
    return Arrivals(offsets_ns=rehearsal.arrivals_ns, of=of)
