"""The driver: takes sessions and a schedule, speaks to the target, hands over what happened.

Closed loop: N users, each running one session after another, turn by turn. Open loop: sessions (or
single interactions) start at scheduled times, whether or not earlier ones have ended. A failed
interaction ends its session and is recorded; nothing is retried: a retry hides what is measured.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from itertools import dropwhile, islice
from typing import TYPE_CHECKING, Protocol

import anyio

from profiler.clock import NS_PER_S, monotonic_ns
from profiler.endpoints.exchange import Exchange, Reply
from profiler.endpoints.retry_after import PUSHED_BACK
from profiler.load.ahead import Prepared
from profiler.load.backing_off import BackingOff
from profiler.load.budget import Budget, Limits
from profiler.load.live import ANSWERED, Live, as_judged, identification
from profiler.load.plan import ArrivalsOf, ClosedLoop, LoadPlan, OpenLoop
from profiler.load.schedule import Trace, offsets_ns, rest_of_trace
from profiler.load.timer import make_timer
from profiler.load.watch import Watch
from profiler.measure.reached import NOTHING_REACHED
from profiler.measure.records import PHASES, Began, EndReason, Interaction, Outcome, Phase
from profiler.observers.response import records_in
from profiler.workload.marker import marker_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from profiler.clock import MonotonicNs
    from profiler.endpoints.exchange import Endpoint
    from profiler.endpoints.http import Caller
    from profiler.load.recorder import Recorder
    from profiler.load.timer import Timer
    from profiler.measure.reached import Reached
    from profiler.measure.records import Record
    from profiler.workload.sessions import SessionPlan, TurnPlan

_LEAD_NS = 20_000_000
_TRACE_LEAD_NS = 250_000_000
_PAUSE_S = 0.002
_AHEAD = 32
"""Sessions of a trace that are drawn before their time, at most."""

_HUSH_NS, _AWAKE_NS = 3_000_000, 1_500_000


class SessionSource(Protocol):
    """Where sessions come from: a pure function of the index."""

    def session(self, index: int) -> SessionPlan:
        """Return session `index`."""
        ...


class Driver:
    """Runs a load plan against one endpoint. One use only.

    `on_start` is told trace id, text and session id of each interaction that is about to be sent,
    `on_interaction` of each that ended, cancelled ones included, and `on_texts` of each with what
    was said (None: no answer was read). `spent_out` says why nothing more may be spent. What
    `reached` has of the plan is not done again.
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
        self._on_start = on_start
        self._on_interaction = on_interaction
        self._on_texts = on_texts
        self._spent_out = spent_out
        self.backing_off = BackingOff() if plan.backs_off else None
        self._clock = clock
        self._stop_scope: anyio.CancelScope | None = None
        self._stopped: tuple[EndReason, str | None] | None = None
        self._winding_up: tuple[EndReason, str | None] | None = None
        self._began_ns = 0
        self._ids = random.Random()  # the system's randomness: two runs never share an id
        self._arrived = 0
        self._drawn: deque[Live] = deque()
        self._gaps: dict[int, int] = {}
        self._timer: Timer | None = None
        self.watch = Watch(clock)
        self.phase = Phase.WARMUP
        self.budget = Budget(Limits())
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
        self._gaps = dict(enumerate(before.finished.gaps(), len(before.finished)))
        self._closed = anyio.Event()
        self._drawn.clear()
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
        while (index := self.budget.take_session()) is not None:
            await self._rest_of_session(self._begin(index), intended_ns=None)

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

    def _drop(self) -> None:
        if self.phase is Phase.MEASURE:
            self.watch.dropped += 1

    async def _arriving_sessions(
        self, loop: OpenLoop, schedule: Iterator[int], timer: Timer, tasks: anyio.abc.TaskGroup
    ) -> None:
        live: Live | None = None
        for intended_ns in schedule:
            if live is None:  # drawn before its time, so that drawing delays nothing
                index = self.budget.take_session()
                if index is None:
                    return
                live = self._begin(index)
            if live.plan.is_of_arrival:
                await self._draw_ahead(intended_ns)
                await self._hush(intended_ns, timer)
            await timer.wait_until(intended_ns)
            if self.budget.is_closed:
                return
            if self._is_full(loop) or self._is_backing_off():
                self._drop()
                if live.plan.is_of_arrival:
                    live = None
                continue
            self._arrived += 1
            tasks.start_soon(self._arrived_session, live, intended_ns)
            live = None

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
                self._drop()
                continue
            live = _pop_ready(waiting, intended_ns)
            if live is None:
                index = self.budget.take_session()
                if index is None:
                    if not waiting and self.watch.in_flight == 0:
                        return
                    continue
                live = self._begin(index)
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

    def _begin(self, index: int) -> Live:
        return self._drawn.popleft() if self._drawn else self._draw(index)

    def _draw(self, index: int) -> Live:
        share = self._plan.share
        if self._gaps:  # sessions that were cut off come first
            index = self._gaps.get(index, index)
        plan = self._sources[self.phase].session(index * share.count + share.index)
        return Live(plan, self._endpoint.begin(plan.session_id), self.phase)

    async def _draw_ahead(self, until_ns: int) -> None:
        """Draw the sessions that come next while there is time: a trace has many at one instant.

        Prompts of thousands of tokens take a millisecond to make. What was just started is sent
        first, and the loop turns between two.
        """
        while len(self._drawn) < _AHEAD and self._clock() < until_ns - _LEAD_NS:
            await anyio.sleep(_PAUSE_S)
            live = self._draw(self.budget.sessions + len(self._drawn))
            live.dialogue = Prepared(live.dialogue, live.plan.turns[0].user)
            self._drawn.append(live)

    async def _hush(self, until_ns: int, timer: Timer) -> None:
        """Keep the recorder's thread from counting while the requests of an instant are sent.

        Their prompts take it milliseconds each, of a core or of the interpreter that sending needs.
        Shortly before the instant the core is kept awake as well.
        """
        if self._clock() >= until_ns - _HUSH_NS:
            return  # of the same instant as the last one
        # After what was just started: that is sent in this turn of the event loop.
        asyncio.get_running_loop().call_soon(self.recorder.go_on)
        await timer.wait_until(until_ns - _HUSH_NS)
        self.recorder.hold()
        await timer.wait_until(until_ns, awake_ns=_AWAKE_NS)

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
        turn = live.plan.turns[live.turn]
        trace_id = f"{self._ids.getrandbits(128):032x}"
        tag = f"\n{marker_of(trace_id)}" if live.plan.is_tagged else ""
        live.user = user = turn.user + tag
        self._on_start(trace_id, user, live.plan.session_id)
        self.watch.sent += 1
        span_id = f"{self._ids.getrandbits(64):016x}"
        asked_ns = self._clock()
        try:
            exchange = await self._caller.call(
                live.dialogue, user, identification(live.plan, turn, trace_id, span_id)
            )
        except anyio.get_cancelled_exc_class():
            self.watch.ended += 1
            cancelled = Exchange(
                outcome=Outcome.CANCELLED,
                reply=Reply(),
                send_ns=asked_ns,
                end_ns=self._clock(),
                error_kind="interrupted",
            )
            self._record(live, turn, trace_id, cancelled, intended_ns)
            raise
        self.watch.ended += 1
        outcome = self._record(live, turn, trace_id, exchange, intended_ns)
        live.turn += 1
        if outcome is not Outcome.OK:
            return False
        live.dialogue.accept(user, exchange.reply)
        return live.turn < len(live.plan.turns)

    def _record(
        self,
        live: Live,
        turn: TurnPlan,
        trace_id: str,
        exchange: Exchange,
        intended_ns: int | None,
    ) -> Outcome:
        ended = as_judged(exchange, turn)
        said = ended.reply.text if ended.outcome in ANSWERED else None
        counted = self.recorder.count_now(
            live.plan.session_id, user=live.user, reply=said, is_last=live.ends_with(ended.outcome)
        )
        interaction = live.interaction(
            ended, trace_id=trace_id, intended_ns=intended_ns, counted=counted
        )
        inside = records_in(ended.reply, trace_id)
        if counted is not None:
            self.recorder.put(interaction, *inside)
        else:
            self.recorder.put_uncounted(interaction, inside, user=live.user, reply=said)
        self._on_interaction(interaction, inside)
        if self._on_texts is not None:
            self._on_texts(interaction, live.user, said)
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
