"""What the peak asks of queue and state stores, and how much they have to hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from profiler.planner.arithmetic import session_interactions

if TYPE_CHECKING:
    from profiler.planner.arithmetic import PeakLoad, Volume
    from profiler.planner.behaviour import Behaviour
    from profiler.planner.inputs import Numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class StateLoad:
    """Operations per second at the peak, bytes held, bytes added a month. None: not known."""

    reads_per_s: float | None
    writes_per_s: float | None
    queue_operations_per_s: float
    hot_sessions: float
    hot_memory_bytes: float | None
    cold_growth_bytes_per_month: float | None


def state_load(numbers: Numbers, behaviour: Behaviour, peak: PeakLoad, volume: Volume) -> StateLoad:
    """Return the load of one scale.

    Sessions in hot state: those of the users who are there, and those that ended less than
    `session_idle` ago (Little: sessions begun per second x the time that their state outlives
    them), the peak taken to last longer than that.
    """
    interactions_per_s = peak.interactions_per_minute / 60.0
    begun_per_s = interactions_per_s / session_interactions(numbers, behaviour)
    sessions = peak.users + begun_per_s * numbers["workers.session_idle"]
    memory = numbers.get("workers.memory_per_session")
    cold = numbers.get("workers.cold_bytes_per_interaction")
    per_interaction = numbers["workers.queue_operations_per_interaction"]
    return StateLoad(
        reads_per_s=_times(behaviour.state_reads, interactions_per_s),
        writes_per_s=_times(behaviour.state_writes, interactions_per_s),
        queue_operations_per_s=per_interaction * interactions_per_s,
        hot_sessions=sessions,
        hot_memory_bytes=_times(memory, sessions),
        cold_growth_bytes_per_month=_times(cold, volume.interactions),
    )


def _times(each: float | None, count: float) -> float | None:
    return None if each is None else each * count
