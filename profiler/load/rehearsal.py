"""What a load plan would send, and when, without a target: the driver's rules in virtual time.

Every answer takes the same time and succeeds. With a time of zero, every interaction is sent at the
earliest that it can be: sessions are taken in order by whoever is free first, so that answers which
take longer put no interaction earlier. The end is then a lower bound.
"""

from __future__ import annotations

import random
from array import array
from collections import deque
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from typing import TYPE_CHECKING, NamedTuple

from profiler.load.budget import Budget, Limits
from profiler.load.plan import ArrivalsOf, ClosedLoop, LoadPlan, OpenLoop
from profiler.load.schedule import offsets_ns
from profiler.measure.records import EndReason, Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from profiler.workload.sessions import SessionPlan

MOST_INTERACTIONS = 20_000
_MOST_ARRIVALS = 1_000_000


class Sent(NamedTuple):
    """One interaction, so long after its phase began."""

    at_ns: int
    session: SessionPlan
    turn: int


@dataclass(slots=True)
class _Live:
    plan: SessionPlan
    turn: int = 0


class _Due(NamedTuple):
    """A user, or a session, that goes on at a time; `number` keeps those of one time in order.

    `live` is None for a user without a session, and for the end of an arrival.
    """

    at_ns: int
    number: int
    live: _Live | None


@dataclass(slots=True)
class Rehearsal:
    """One phase of a plan, played through once by `interactions`; the rest is known after that.

    `arrivals_ns` are the schedule's (open loop), drops included. `is_cut`: it would go on after the
    first `most` interactions. `is_ended_by_duration`: more would have been sent later.
    """

    plan: LoadPlan
    phase: Phase
    session: Callable[[int], SessionPlan]
    latency_ns: int = 0
    most: int = MOST_INTERACTIONS
    end_ns: int = 0
    sessions: int = 0
    dropped: int = 0
    arrivals_ns: array[int] = field(default_factory=lambda: array("q"))
    is_cut: bool = False
    is_ended_by_duration: bool = False
    _limits: Limits = field(default_factory=Limits)
    _budget: Budget = field(default_factory=lambda: Budget(Limits()))
    _sent: int = 0
    _numbers: int = 0
    _in_flight: int = 0

    def interactions(self) -> Iterator[Sent]:
        """Yield what is sent, in order: `most` interactions, of a million arrivals, at most."""
        limits = self.plan.limits
        if self.phase is Phase.WARMUP:
            if not self.plan.warmup:
                return
            limits = Limits(requests=self.plan.warmup)
        # Nothing fails here, and nobody judges stability.
        self._limits = replace(limits, until_stable=False)
        self._budget = Budget(self._limits)
        match self.plan.loop:
            case ClosedLoop() as loop:
                yield from self._closed_loop(loop)
            case OpenLoop(arrivals_of=ArrivalsOf.SESSIONS) as loop:
                yield from self._arriving_sessions(loop)
            case OpenLoop() as loop:
                yield from self._arriving_interactions(loop)

    # The driver's loops (`driver`), with a queue of what is due in place of tasks that sleep

    def _closed_loop(self, loop: ClosedLoop) -> Iterator[Sent]:
        is_first = self.phase is Phase.WARMUP or not self.plan.warmup
        step_ns = loop.step_ns if is_first else 0
        queue = [self._due(n * step_ns, None) for n in range(min(loop.users, self.most))]
        while queue:
            at_ns, _, live = heappop(queue)
            if live is None and (self._has_no_more_sessions() or self._is_over(at_ns)):
                continue
            if live is None and (live := self._begin()) is None:
                continue
            if (sent := self._send(at_ns, live)) is None:
                return
            yield sent
            heappush(queue, self._next(at_ns, live))

    def _arriving_sessions(self, loop: OpenLoop) -> Iterator[Sent]:
        queue: list[_Due] = []
        live: _Live | None = None
        for arrival_ns in self._schedule(loop):
            if live is None and (live := self._begin()) is None:
                break
            yield from self._going_on(queue, arrival_ns)
            if self._budget.is_closed or self.is_cut or self._is_over(arrival_ns):
                return
            self.arrivals_ns.append(arrival_ns)
            if loop.max_in_flight is not None and self._in_flight >= loop.max_in_flight:
                self.dropped += 1
                if live.plan.is_of_arrival:
                    live = None
                continue
            if (sent := self._send(arrival_ns, live)) is None:
                return
            self._in_flight += 1
            yield sent
            heappush(queue, self._next(arrival_ns, live))
            live = None
        yield from self._going_on(queue, None)

    def _going_on(self, queue: list[_Due], until_ns: int | None) -> Iterator[Sent]:
        """Yield what sessions send that have arrived, until the next one does."""
        while queue and (until_ns is None or queue[0].at_ns <= until_ns):
            at_ns, _, live = heappop(queue)
            if live is None:
                self._in_flight -= 1
                continue
            if (sent := self._send(at_ns, live)) is None:
                return
            yield sent
            heappush(queue, self._next(at_ns, live))

    def _arriving_interactions(self, loop: OpenLoop) -> Iterator[Sent]:
        under_way: list[tuple[int, _Due]] = []  # until when, and what follows
        waiting: deque[_Due] = deque()
        earliest_ns = 0  # none of those waiting is ready before: most arrivals need not look
        for arrival_ns in self._schedule(loop):
            if self._budget.is_closed or self._is_over(arrival_ns):
                return
            while under_way and under_way[0][0] <= arrival_ns:
                _, following = heappop(under_way)
                if following.live is not None:
                    waiting.append(following)
                    earliest_ns = min(earliest_ns, following.at_ns)
            self.arrivals_ns.append(arrival_ns)
            if loop.max_in_flight is not None and len(under_way) >= loop.max_in_flight:
                self.dropped += 1
                continue
            live = None
            if waiting and arrival_ns >= earliest_ns:
                live = _pop_ready(waiting, arrival_ns)
                if live is None:
                    earliest_ns = min(due.at_ns for due in waiting)
            if live is None and (live := self._begin()) is None:
                if not waiting and not under_way:
                    return
                continue
            if (sent := self._send(arrival_ns, live)) is None:
                return
            yield sent
            following = self._next(arrival_ns, live)
            heappush(under_way, (arrival_ns + self.latency_ns, following))

    def _schedule(self, loop: OpenLoop) -> Iterator[int]:
        rng = random.Random(f"{loop.seed}/arrivals/{self.phase}")
        for number, offset_ns in enumerate(offsets_ns(loop.arrivals, rng)):
            if number >= _MOST_ARRIVALS:
                self.is_cut = True
                return
            yield offset_ns

    def _has_no_more_sessions(self) -> bool:
        limit = self._limits.sessions
        return limit is not None and self._budget.sessions >= limit

    def _begin(self) -> _Live | None:
        index = self._budget.take_session()
        return None if index is None else _Live(self.session(index))

    def _is_over(self, at_ns: int) -> bool:
        """Say whether the duration is, and let nothing more be sent then."""
        duration_ns = None if self.phase is Phase.WARMUP else self.plan.duration_ns
        if duration_ns is None or at_ns < duration_ns:
            return False
        self.is_ended_by_duration |= not self._budget.is_closed
        self._budget.close(EndReason.DURATION)
        return True

    def _send(self, at_ns: int, live: _Live) -> Sent | None:
        if self._budget.is_closed or self._is_over(at_ns):
            return None
        if self._sent >= self.most:
            self.is_cut = True
            return None
        if not self._budget.take_interaction():
            return None
        self._sent += 1
        self.sessions += live.turn == 0
        self.end_ns = max(self.end_ns, at_ns + self.latency_ns)
        return Sent(at_ns, live.plan, live.turn)

    def _next(self, at_ns: int, live: _Live) -> _Due:
        """Return what follows an interaction: the session's next one, or its end."""
        live.turn += 1
        end_ns = at_ns + self.latency_ns
        if live.turn == len(live.plan.turns):
            return self._due(end_ns, None)
        return self._due(end_ns + live.plan.turns[live.turn].think_time_ns, live)

    def _due(self, at_ns: int, live: _Live | None) -> _Due:
        self._numbers += 1
        return _Due(at_ns, self._numbers, live)


def _pop_ready(waiting: deque[_Due], at_ns: int) -> _Live | None:
    """Take the longest-waiting session whose user has thought long enough."""
    for position, due in enumerate(waiting):
        if due.at_ns <= at_ns:
            del waiting[position]
            return due.live
    return None
