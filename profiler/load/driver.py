"""The driver: takes sessions and a schedule, speaks to the target, hands over what happened.

Closed loop: N users, each running one session after another, turn by turn. Open loop: sessions (or
single interactions) start at scheduled times, whether or not earlier ones have ended. A failed
interaction ends its session and is recorded; nothing is retried: a retry hides what is measured.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from itertools import dropwhile, groupby, islice
from typing import TYPE_CHECKING

import anyio

from profiler.clock import NS_PER_S, monotonic_ns
from profiler.endpoints.exchange import Exchange, Reply
from profiler.endpoints.retry_after import PUSHED_BACK
from profiler.load.ahead import Line
from profiler.load.backing_off import BackingOff
from profiler.load.budget import Budget, Limits
from profiler.load.composing import Composer
from profiler.load.ledger import Ledger
from profiler.load.plan import ArrivalsOf, ClosedLoop, LoadPlan, OpenLoop
from profiler.load.schedule import Trace, offsets_ns, rest_of_trace
from profiler.load.supply import Supply
from profiler.load.timer import make_timer
from profiler.load.watch import Watch
from profiler.measure.reached import NOTHING_REACHED
from profiler.measure.records import PHASES, Began, EndReason, Interaction, Outcome, Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from profiler.clock import MonotonicNs
    from profiler.endpoints.exchange import Endpoint
    from profiler.endpoints.http import Caller
    from profiler.load.live import Live
    from profiler.load.recorder import Recorder
    from profiler.load.supply import SessionSource
    from profiler.load.timer import Timer
    from profiler.measure.reached import Reached
    from profiler.measure.records import Record

_LEAD_NS = 20_000_000
_TRACE_LEAD_NS = 250_000_000
_HUSH_NS, _AWAKE_NS = 12_000_000, 1_500_000
"""How long before an instant others keep still, and from when on the driver is awake.

A core that others use is given up after slices of 3 to 4 ms: who asks early has it in time.
"""
_HUSHED_OF = 4
"""Between instants that are close to each other it is still for one part of so many."""

_SAME_NS = 500_000
"""Instants that are no further apart are one."""


class Driver:
    """Runs a load plan against one endpoint. One use only.

    `before_instant` is called a little before requests of a trace are due. `on_start` is told trace
    id, text and session id of each interaction that is about to be sent, `on_interaction` of each
    that ended, cancelled ones included, and `on_texts` of each with what was said (None: no answer
    was read). `spent_out` says why nothing more may be spent. What `reached` has of the plan is not
    done again.
    """

    def __init__(
        self,
        plan: LoadPlan,
        *,
        endpoint: Endpoint,
        caller: Caller,
        recorder: Recorder,
        measured: SessionSource,
        warmup: SessionSource,
        is_stable: Callable[[], bool] = lambda: True,
        before_instant: Callable[[], None] = lambda: None,
        on_start: Callable[[str, str, str], None] = lambda *_: None,
        on_interaction: Callable[[Interaction, tuple[Record, ...]], None] = lambda *_: None,
        on_texts: Callable[[Interaction, str, str | None], None] | None = None,
        spent_out: Callable[[], tuple[EndReason, str] | None] | None = None,
        clock: MonotonicNs = monotonic_ns,
        reached: Reached = NOTHING_REACHED,
    ) -> None:
        self._plan = plan
        self._reached = reached
        self._endpoint = endpoint
        self._caller = caller
        self.recorder = recorder
        self._sources = {Phase.WARMUP: warmup, Phase.MEASURE: measured}
        self._is_stable = is_stable
        self._before_instant = before_instant
        self._on_start = on_start
        self._ledger = Ledger(recorder, on_interaction=on_interaction, on_texts=on_texts)
        self._spent_out = spent_out
        self.backing_off = BackingOff() if plan.backs_off else None
        self._clock = clock
        self._stop_scope: anyio.CancelScope | None = None
        self._stopped: tuple[EndReason, str | None] | None = None
        self._winding_up: tuple[EndReason, str | None] | None = None
        self._began_ns = 0
        self._composer = Composer()
        self._arrived = 0
        self._timer: Timer | None = None
        self.watch = Watch(clock)
        self.phase = Phase.WARMUP
        self.budget = Budget(Limits())
        self._supply = self._supply_of(self.phase)
        self._closed = anyio.Event()

    def stop(self, reason: EndReason = EndReason.INTERRUPTED) -> None:
        """End the run at once. Interactions under way are recorded as cancelled."""
        self._stopped = (reason, None)
        self.budget.close(reason)
        if self._stop_scope is not None:
            self._stop_scope.cancel()

    def let_end(self, reason: EndReason, detail: str | None) -> None:
        """Send nothing more. Interactions under way go on to their end."""
        if self._stopped is None:
            self._winding_up = (reason, detail)
            self._close(reason, detail)

    async def run(self) -> tuple[EndReason, str | None]:
        """Warm up, measure, and say why it ended. Raises nothing that a target can cause."""
        reason: EndReason | None = None
        detail: str | None = None
        self._began_ns = self._clock()
        async with anyio.create_task_group() as watching:
            for phase in filter(self._reached.needs, PHASES):
                if phase is Phase.MEASURE:  # what the recorder still loads is no lag of the loop
                    await self.recorder.ready()
                    watching.start_soon(self.watch.run, self.recorder.put)
                reason, detail = await self._run_phase(phase)
                if reason is not EndReason.COMPLETED:
                    break
            watching.cancel_scope.cancel()
        return reason or EndReason.COMPLETED, detail

    async def _run_phase(self, phase: Phase) -> tuple[EndReason, str | None]:
        if (ended := self._stopped or self._winding_up) is not None:
            return ended
        warming = phase is Phase.WARMUP
        if warming and self._plan.warmup == 0:
            return EndReason.COMPLETED, None
        answered = self.budget.answered
        limits = self._plan.limits
        if warming:
            limits = Limits(
                requests=self._plan.warmup,
                error_limit=limits.error_limit,
                judges_target=limits.judges_target,
            )
        self.phase = phase
        self.budget = Budget(limits, is_stable=self._is_stable)
        self.budget.answered = answered
        before = self._reached.phases[phase]
        self.budget.sessions, self.budget.sent = len(before.finished), before.sent
        self.budget.before = before.sent
        self._supply = self._supply_of(phase)
        self._closed = anyio.Event()
        with anyio.CancelScope() as self._stop_scope:
            async with anyio.create_task_group() as tasks:
                timer = anyio.CancelScope()
                if not warming and self._plan.duration_ns is not None:
                    left_ns = max(0, self._plan.duration_ns - before.elapsed_ns)
                    tasks.start_soon(self._close_after, left_ns, timer)
                match self._plan.loop:
                    case ClosedLoop() as closed:
                        await self._closed_loop(closed)
                    case OpenLoop() as loop:
                        await self._open_loop(loop)
                timer.cancel()
        return self._how_it_ended()

    def _supply_of(self, phase: Phase) -> Supply:
        finished = self._reached.phases[phase].finished
        return Supply(
            self._sources[phase],
            endpoint=self._endpoint,
            composer=self._composer,
            phase=phase,
            share=self._plan.share,
            # Sessions that were cut off come first.
            instead=dict(enumerate(finished.gaps(), len(finished))),
        )

    def _how_it_ended(self) -> tuple[EndReason, str | None]:
        if self._stopped is not None:
            return self._stopped
        return self.budget.reason or EndReason.COMPLETED, self.budget.detail

    async def _close_after(self, duration_ns: int, scope: anyio.CancelScope) -> None:
        with scope:
            await anyio.sleep(duration_ns / NS_PER_S)
            self._close(EndReason.DURATION)

    def _close(self, reason: EndReason, detail: str | None = None) -> None:
        self.budget.close(reason, detail)
        self._note_closing()

    def _note_closing(self) -> None:
        if self.budget.is_closed and not self._closed.is_set():
            self._closed.set()
            if self._timer is not None:
                self._timer.wake()

    def _note_beginning(self, at_ns: int) -> None:
        elapsed_ns = self._reached.phases[self.phase].elapsed_ns
        self.recorder.put(Began(phase=self.phase, at_ns=at_ns, elapsed_ns=elapsed_ns))

    # Closed loop

    async def _closed_loop(self, loop: ClosedLoop) -> None:
        self._note_beginning(self._clock())
        share = self._plan.share
        async with anyio.create_task_group() as tasks:
            for user in range(loop.users):
                delay_ns = loop.step_ns * (user * share.count + share.index)
                tasks.start_soon(self._user, self._began_ns + delay_ns)

    async def _user(self, begin_ns: int) -> None:
        await self._sleep_until(begin_ns)
        while (live := self._next_session()) is not None:
            await self._rest_of_session(live, intended_ns=None)

    # Open loop

    async def _open_loop(self, loop: OpenLoop) -> None:
        rng = random.Random(f"{loop.seed}/arrivals/{self.phase}")
        share = self._plan.share
        offsets: Iterator[int]
        offsets = islice(offsets_ns(loop.arrivals, rng), share.index, None, share.count)
        # A fixed lead: shards that begin together keep step.
        lead_ns = _TRACE_LEAD_NS if isinstance(loop.arrivals, Trace) else _LEAD_NS
        start_ns = self._clock() + lead_ns
        self._note_beginning(start_ns)
        before = self._reached.phases[self.phase]
        if before.elapsed_ns:  # the schedule goes on from where it was
            start_ns -= before.elapsed_ns
            if isinstance(loop.arrivals, Trace):
                is_sessions = loop.arrivals_of is ArrivalsOf.SESSIONS
                ended = len(before.finished) if is_sessions else before.sent
                offsets = rest_of_trace(offsets, passed_ns=before.elapsed_ns, ended=ended)
            else:
                offsets = dropwhile(lambda offset_ns: offset_ns <= before.elapsed_ns, offsets)
        schedule = (start_ns + offset_ns for offset_ns in offsets)
        self._timer = timer = make_timer(self._clock)
        try:
            async with anyio.create_task_group() as tasks:
                if loop.arrivals_of is ArrivalsOf.SESSIONS:
                    await self._arriving_sessions(loop, schedule, timer, tasks)
                else:
                    await self._arriving_interactions(loop, schedule, timer, tasks)
        finally:
            self._timer = None
            timer.close()
            self.recorder.go_on()

    def _is_full(self, loop: OpenLoop) -> bool:
        return loop.max_in_flight is not None and self._arrived >= loop.max_in_flight

    def _is_backing_off(self) -> bool:
        return self.backing_off is not None and self._clock() < self.backing_off.until_ns

    async def _wait_out(self, intended_ns: int | None) -> int | None:
        """Wait while the target is left alone; return when the interaction is to start then."""
        while self._is_backing_off() and self.backing_off is not None:
            until_ns = self.backing_off.until_ns
            await self._sleep_until(until_ns)
            if self._closed.is_set():
                break
            intended_ns = None if intended_ns is None else max(intended_ns, until_ns)
        return intended_ns

    async def _is_over(self) -> bool:
        """Say whether nothing more is sent, once all that was let begin has begun.

        One that arrived at the same instant may be the last.
        """
        await asyncio.sleep(0)
        return self.budget.is_closed

    def _drop(self) -> None:
        if self.phase is Phase.MEASURE:
            self.watch.dropped += 1

    async def _arriving_sessions(
        self, loop: OpenLoop, schedule: Iterator[int], timer: Timer, tasks: anyio.abc.TaskGroup
    ) -> None:
        line = Line(self._next_session)
        try:
            for intended_ns, arrivals in groupby(schedule):
                count, awake_ns = sum(1 for _ in arrivals), 0
                first = line.first()  # drawn before its time: that delays nothing
                if first is None:
                    return
                if first.live.plan.is_of_arrival:
                    await self._prepare(line, count, intended_ns, timer, tasks)
                    awake_ns = _AWAKE_NS
                await timer.wait_until(intended_ns, awake_ns=awake_ns)
                for _ in range(count):
                    first = line.first()
                    if first is None or self.budget.is_closed:
                        return
                    is_dropped = self._is_full(loop) or self._is_backing_off()
                    if is_dropped:
                        stays = not first.live.plan.is_of_arrival
                        if stays and await self._is_over():
                            return
                        self._drop()
                        if stays:
                            continue
                    line.leave()
                    self._arrived += not is_dropped
                    if first.is_waiting:
                        first.let(begin=not is_dropped)
                    elif not is_dropped:
                        tasks.start_soon(self._arrived_session, first.live, intended_ns)
        finally:
            line.dismiss()

    async def _prepare(
        self,
        line: Line,
        count: int,
        intended_ns: int,
        timer: Timer,
        tasks: anyio.abc.TaskGroup,
    ) -> None:
        """Let the sessions of an instant all but begin, as far as there is time to draw them.

        A task and its first message cost 0.06 ms: at the instant itself each would delay those
        behind it.
        """
        supply = self._supply
        await supply.draw_ahead(
            self.budget.sessions, while_true=lambda: self._clock() < intended_ns - _LEAD_NS
        )
        await self._hush(intended_ns, timer)
        for standby in line.fill(count, while_true=lambda: supply.is_ahead):
            tasks.start_soon(self._session_on_word, standby.live, intended_ns, standby.wait())
        if self._clock() < intended_ns - _AWAKE_NS:
            await timer.wait_until(intended_ns - _AWAKE_NS)
            self._before_instant()  # from now on the driver stays on its core

    async def _session_on_word(
        self, live: Live, intended_ns: int, word: asyncio.Future[bool]
    ) -> None:
        live.composed = self._composer.compose(live)
        if await word:
            await self._arrived_session(live, intended_ns)

    async def _arrived_session(self, live: Live, intended_ns: int) -> None:
        try:
            await self._rest_of_session(live, intended_ns=intended_ns)
        finally:
            self._arrived -= 1

    async def _arriving_interactions(
        self, loop: OpenLoop, schedule: Iterator[int], timer: Timer, tasks: anyio.abc.TaskGroup
    ) -> None:
        waiting: deque[Live] = deque()
        for intended_ns in schedule:
            await timer.wait_until(intended_ns)
            if self.budget.is_closed:
                return
            if self._is_full(loop) or self._is_backing_off():
                if await self._is_over():
                    return
                self._drop()
                continue
            live = _pop_ready(waiting, intended_ns)
            if live is None:
                live = self._next_session()
                if live is None:
                    if not waiting and self.watch.in_flight == 0:
                        return
                    continue
            self._arrived += 1
            tasks.start_soon(self._arrived_interaction, live, intended_ns, waiting)

    async def _arrived_interaction(
        self, live: Live, intended_ns: int, waiting: deque[Live]
    ) -> None:
        try:
            goes_on = await self._interaction(live, intended_ns=intended_ns)
        finally:
            self._arrived -= 1
        if goes_on:
            live.ready_ns = self._clock() + live.plan.turns[live.turn].think_time_ns
            waiting.append(live)

    # Both

    def _next_session(self) -> Live | None:
        index = self.budget.take_session()
        return None if index is None else self._supply.session(index)

    async def _hush(self, until_ns: int, timer: Timer) -> None:
        """Keep the recorder's thread from counting while the requests of an instant are sent.

        Their prompts take it milliseconds each, of a core or of the interpreter that sending needs.
        """
        left_ns = until_ns - self._clock()
        if left_ns < _SAME_NS:
            return
        # After what was just started: that is sent in this turn of the event loop.
        asyncio.get_running_loop().call_soon(self.recorder.go_on)
        await timer.wait_until(until_ns - min(_HUSH_NS, left_ns // _HUSHED_OF))
        self.recorder.hold()

    async def _rest_of_session(self, live: Live, *, intended_ns: int | None) -> None:
        while await self._interaction(live, intended_ns=intended_ns):
            think_ns = live.plan.turns[live.turn].think_time_ns
            due_ns = self._clock() + think_ns
            if intended_ns is not None:
                intended_ns = due_ns
            if think_ns:
                await self._sleep_until(due_ns)

    async def _interaction(self, live: Live, *, intended_ns: int | None) -> bool:
        """Send the session's next message; say whether the session goes on."""
        if self.recorder.failure is not None:
            self._close(EndReason.JOURNAL_FAILED, str(self.recorder.failure))
        if self._is_backing_off():
            intended_ns = await self._wait_out(intended_ns)
        if self._spent_out is not None and (spent := self._spent_out()) is not None:
            self.let_end(*spent)
        taken = self.budget.take_interaction()
        self._note_closing()
        if not taken:
            return False
        composed = self._composer.compose(live)
        live.composed = None
        trace_id, message = composed.trace_id, composed.message
        live.user = user = message.user
        self._on_start(trace_id, user, live.plan.session_id)
        self.watch.sent += 1
        asked_ns = self._clock()
        try:
            exchange = await self._caller.call(message)
        except anyio.get_cancelled_exc_class():
            self.watch.ended += 1
            cancelled = Exchange(
                outcome=Outcome.CANCELLED,
                reply=Reply(),
                send_ns=asked_ns,
                end_ns=self._clock(),
                error_kind="interrupted",
            )
            self._record(live, trace_id, cancelled, intended_ns)
            raise
        self.watch.ended += 1
        outcome = self._record(live, trace_id, exchange, intended_ns)
        live.turn += 1
        if outcome is not Outcome.OK:
            return False
        live.dialogue.accept(user, exchange.reply)
        return live.turn < len(live.plan.turns)

    def _record(
        self, live: Live, trace_id: str, exchange: Exchange, intended_ns: int | None
    ) -> Outcome:
        ended = self._ledger.enter(live, exchange, trace_id=trace_id, intended_ns=intended_ns)
        detail = ended.error_kind if ended.error_detail is None else ended.error_detail
        self.budget.ended_with(ended.outcome, detail)
        if self._spent_out is not None and (spent := self._spent_out()) is not None:
            self.let_end(*spent)
        if ended.outcome is not Outcome.CANCELLED:
            self._back_off(ended)
        self._note_closing()
        return ended.outcome

    def _back_off(self, exchange: Exchange) -> None:
        if self.backing_off is None:
            return
        begun = self.backing_off.ended(
            rejected=exchange.http_status in PUSHED_BACK,
            send_ns=exchange.send_ns,
            now_ns=exchange.end_ns,
            retry_after_s=exchange.retry_after_s,
        )
        if begun is not None and not self.budget.is_closed:
            self.recorder.put(begun)

    async def _sleep_until(self, due_ns: int) -> None:
        """Sleep until an instant, or until nothing more may be sent."""
        while not self._closed.is_set():
            left_ns = due_ns - self._clock()
            if left_ns <= 0:
                return
            with anyio.move_on_after(left_ns / NS_PER_S):
                await self._closed.wait()


def _pop_ready(waiting: deque[Live], at_ns: int) -> Live | None:
    """Take the longest-waiting session whose user has thought long enough."""
    for position, live in enumerate(waiting):
        if live.ready_ns <= at_ns:
            del waiting[position]
            return live
    return None
