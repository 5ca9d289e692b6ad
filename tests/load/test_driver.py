"""The driver in virtual time: schedules, sessions and endings, to the microsecond."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from itertools import pairwise

import anyio
import pytest

from profiler.endpoints.exchange import Exchange, Outgoing, Reply
from profiler.load.budget import Limits
from profiler.load.driver import Driver
from profiler.load.plan import WHOLE, ArrivalsOf, ClosedLoop, LoadPlan, OpenLoop, Share
from profiler.load.schedule import ConstantGaps, PoissonGaps, Process, Trace, flat
from profiler.measure.reached import NOTHING_REACHED
from profiler.measure.records import (
    Began,
    ClientTokens,
    DriverSample,
    EndReason,
    Interaction,
    Outcome,
    Phase,
)
from profiler.workload.checks import Check
from profiler.workload.sessions import SessionPlan, TurnPlan
from tests.load.virtual_time import run_virtual

TRACE = {"llm_calls": [{"outcome": "ok"}], "tool_calls": []}
MS = 1_000_000
S = 1_000_000_000


@dataclass
class FakeTarget:
    """Stands in for caller and endpoint: answers after `latency_s`, or as `script` says."""

    latency_s: float = 0.1
    opening_s: float = 0
    script: object = None
    clock: object = None
    heard: list = field(default_factory=list)
    headers: list = field(default_factory=list)
    most_in_flight: int = 0
    in_flight: int = 0
    requests: int = 0

    def begin(self, session_id):
        return FakeDialogue(session_id)

    async def call(self, message):
        dialogue, user = message.dialogue, message.user
        opened_ns = None
        if self.opening_s and not dialogue.said:
            await anyio.sleep(self.opening_s)
            opened_ns = self.clock()
        send_ns = self.clock()
        index = len(self.heard)
        self.requests += dialogue.requests
        self.heard.append((dialogue.session_id, user, tuple(dialogue.said)))
        self.headers.append(message.headers)
        outcome, latency_s, status = Outcome.OK, self.latency_s, 200
        if self.script is not None:
            outcome, latency_s, status = self.script(index)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await anyio.sleep(latency_s)
        finally:
            self.in_flight -= 1
        return Exchange(
            outcome=outcome,
            reply=Reply(text=f"re: {user}", trace=TRACE),
            send_ns=send_ns,
            end_ns=self.clock(),
            http_status=status,
            error_kind=None if outcome is Outcome.OK else "x",
            error_detail=None if outcome is Outcome.OK else "detail",
            opened_ns=opened_ns,
        )


class FakeDialogue:
    def __init__(self, session_id):
        self.session_id = session_id
        self.said = []
        self.requests = 0

    def request(self, user):
        self.requests += 1
        return Outgoing(url="", headers={}, session_headers={}, body=b"")

    def accept(self, user, reply):
        self.said.append((user, reply.text))


@dataclass
class FakeRecorder:
    failure: object = None
    interactions: list = field(default_factory=list)
    inside: list = field(default_factory=list)
    texts: list = field(default_factory=list)
    samples: list = field(default_factory=list)
    began: list = field(default_factory=list)
    ready_after_s: float = 0
    ready_when: tuple[int, int] | None = None  # how many had ended, and when it was
    counting: list = field(default_factory=list)  # (may it, since when)

    def hold(self):
        self.counting.append((False, round(asyncio.get_running_loop().time() * S)))

    def go_on(self):
        self.counting.append((True, round(asyncio.get_running_loop().time() * S)))

    async def ready(self):
        if self.ready_after_s:
            await anyio.sleep(self.ready_after_s)
        loop = asyncio.get_running_loop()
        self.ready_when = len(self.interactions), round(loop.time() * S)

    def put(self, *records):
        (record,) = records
        if isinstance(record, Began):
            self.began.append(record)
            return
        assert isinstance(record, DriverSample)
        self.samples.append(record)

    def count_now(self, session, *, user, reply, is_last):
        return None

    def put_uncounted(self, interaction, inside, *, user, reply):
        self.interactions.append(interaction)
        self.inside.append(inside)
        self.texts.append((user, reply))


@dataclass
class FakeSessions:
    turns: int = 2
    think_ns: int = 0
    prefix: str = "m"
    checks: tuple = ()
    is_tagged: bool = False
    is_of_arrival: bool = False
    output_tokens: int | None = None

    def session(self, index):
        turns = tuple(
            TurnPlan(
                user=f"{self.prefix}{index}.{turn}",
                think_time_ns=self.think_ns if turn else 0,
                checks=self.checks,
                output_tokens=self.output_tokens,
            )
            for turn in range(self.turns)
        )
        return SessionPlan(
            index=index,
            session_id=f"{self.prefix}-{index}",
            scenario="order status",
            conversation=f"c/{index}",
            turns=turns,
            is_tagged=self.is_tagged,
            is_of_arrival=self.is_of_arrival,
        )


@dataclass
class Ran:
    reason: EndReason
    detail: str | None
    recorder: FakeRecorder
    target: FakeTarget
    started_ns: int
    ended_ns: int
    driver: Driver

    @property
    def measured(self) -> list[Interaction]:
        return [i for i in self.recorder.interactions if i.phase is Phase.MEASURE]


def drive(
    loop,
    *,
    target=None,
    source=None,
    recorder=None,
    warmup=0,
    duration_ns=None,
    before=None,
    is_stable=lambda: True,
    share=WHOLE,
    on_start=lambda *_: None,
    before_instant=lambda: None,
    reached=NOTHING_REACHED,
    **limits,
) -> Ran:
    target = target or FakeTarget()
    recorder = recorder or FakeRecorder()

    async def main(clock):
        target.clock = clock
        driver = Driver(
            LoadPlan(
                loop=loop,
                warmup=warmup,
                limits=Limits(**limits),
                duration_ns=duration_ns,
                share=share,
            ),
            endpoint=target,
            caller=target,
            recorder=recorder,
            measured=source or FakeSessions(),
            warmup=FakeSessions(prefix="w"),
            is_stable=is_stable,
            on_start=on_start,
            before_instant=before_instant,
            clock=clock,
            reached=reached,
        )
        started_ns = clock()
        async with anyio.create_task_group() as tasks:
            if before is not None:
                tasks.start_soon(before, driver)
            reason, detail = await driver.run()
            tasks.cancel_scope.cancel()
        return Ran(reason, detail, recorder, target, started_ns, clock(), driver)

    ran: Ran = run_virtual(main)
    return ran


def open_loop(rate, *, of=ArrivalsOf.SESSIONS, poisson=False, most=None) -> OpenLoop:
    process = Process(rate=flat(rate), gaps=PoissonGaps() if poisson else ConstantGaps())
    return OpenLoop(arrivals=process, arrivals_of=of, seed=1, max_in_flight=most)


def test_a_closed_loop_keeps_so_many_users_busy():
    ran = drive(ClosedLoop(users=4), requests=40)
    assert ran.reason is EndReason.COMPLETED
    assert len(ran.measured) == 40
    assert ran.target.most_in_flight == 4
    # 40 interactions of 100 ms by 4 users: ten rounds.
    assert ran.ended_ns - ran.started_ns == pytest.approx(10 * 100 * MS, abs=MS)
    assert all(i.intended_start_ns is None for i in ran.measured)


def test_a_session_goes_turn_by_turn_and_carries_what_was_said():
    ran = drive(ClosedLoop(users=1), source=FakeSessions(turns=3), requests=3)
    assert [heard[1] for heard in ran.target.heard] == ["m0.0", "m0.1", "m0.2"]
    assert ran.target.heard[2][2] == (("m0.0", "re: m0.0"), ("m0.1", "re: m0.1"))
    assert [i.last_turn for i in ran.measured] == [False, False, True]


def test_think_time_passes_between_turns_and_not_before_the_first():
    ran = drive(ClosedLoop(users=1), source=FakeSessions(think_ns=2 * S), requests=2)
    first, second = ran.measured
    assert first.send_ns == ran.started_ns
    assert second.send_ns - first.end_ns == pytest.approx(2 * S, abs=1000)
    assert (first.think_time_ns, second.think_time_ns) == (0, 2 * S)


def test_the_warm_up_is_sent_first_marked_and_not_counted():
    ran = drive(ClosedLoop(users=2), warmup=5, requests=10)
    phases = [i.phase for i in ran.recorder.interactions]
    assert phases == [Phase.WARMUP] * 5 + [Phase.MEASURE] * 10
    assert all(heard[0].startswith("w-") for heard in ran.target.heard[:5])
    assert ran.target.heard[5][1] == "m0.0"


def test_constant_arrivals_start_sessions_on_time_however_slow_the_target_is():
    ran = drive(
        open_loop(10.0), target=FakeTarget(latency_s=30), source=FakeSessions(turns=1), requests=50
    )
    starts = [i.intended_start_ns for i in ran.measured]
    offsets = [round((start - starts[0]) / MS) for start in starts]
    assert offsets == [100 * k for k in range(50)]
    assert all(i.send_ns - i.intended_start_ns <= 1000 for i in ran.measured)
    assert ran.target.most_in_flight == 50


def test_later_turns_of_an_arrived_session_are_intended_after_the_think_time():
    source = FakeSessions(turns=2, think_ns=3 * S)
    ran = drive(open_loop(1.0), source=source, sessions=3, target=FakeTarget(latency_s=0.5))
    for session in ("m-0", "m-1", "m-2"):
        first, second = (i for i in ran.measured if i.session == session)
        assert second.intended_start_ns - first.end_ns == 3 * S


def test_a_first_message_is_intended_when_its_session_is_open():
    target = FakeTarget(latency_s=0.5, opening_s=0.2)
    ran = drive(open_loop(1.0), source=FakeSessions(turns=2), sessions=3, target=target)
    firsts = [i for i in ran.measured if i.turn == 0]
    assert [i.send_ns - i.intended_start_ns for i in firsts] == [0, 0, 0]
    assert [round((b.send_ns - a.send_ns) / MS) for a, b in pairwise(firsts)] == [1000, 1000]
    closed = drive(ClosedLoop(users=1), sessions=1, target=FakeTarget(opening_s=0.2))
    assert closed.measured[0].intended_start_ns is None


def test_poisson_arrivals_are_seeded():
    first = drive(open_loop(5.0, poisson=True), source=FakeSessions(turns=1), requests=30)
    second = drive(open_loop(5.0, poisson=True), source=FakeSessions(turns=1), requests=30)
    assert [i.intended_start_ns for i in first.measured] == [
        i.intended_start_ns for i in second.measured
    ]
    gaps = {b.intended_start_ns - a.intended_start_ns for a, b in pairwise(first.measured)}
    assert len(gaps) > 20


def test_arrivals_of_interactions_go_on_with_waiting_sessions_first():
    ran = drive(
        open_loop(10.0, of=ArrivalsOf.INTERACTIONS),
        source=FakeSessions(turns=3),
        target=FakeTarget(latency_s=0.15),
        requests=6,
    )
    intended = sorted(i.intended_start_ns for i in ran.measured)
    assert [round((b - a) / MS) for a, b in pairwise(intended)] == [100] * 5
    # An answer takes 1.5 gaps: two sessions take turns, and a third is not needed before both end.
    assert {i.session for i in ran.measured} == {"m-0", "m-1"}


def test_a_failed_interaction_ends_its_session_and_the_run_goes_on():
    def second_fails(index):
        outcome = Outcome.HTTP_5XX if index == 1 else Outcome.OK
        return outcome, 0.1, 500 if index == 1 else 200

    ran = drive(
        ClosedLoop(users=1),
        target=FakeTarget(script=second_fails),
        source=FakeSessions(turns=3),
        requests=5,
    )
    assert [i.outcome for i in ran.measured][:2] == [Outcome.OK, Outcome.HTTP_5XX]
    assert [heard[1] for heard in ran.target.heard] == ["m0.0", "m0.1", "m1.0", "m1.1", "m1.2"]
    assert ran.measured[1].last_turn
    assert ran.recorder.texts[1] == ("m0.1", None)


def test_a_failed_check_is_an_outcome_of_its_own():
    source = FakeSessions(checks=(Check.model_validate({"contains": "nowhere"}),))
    ran = drive(ClosedLoop(users=1), source=source, requests=3)
    assert {i.outcome for i in ran.measured} == {Outcome.CHECK_FAILED}
    assert {i.turn for i in ran.measured} == {0}


def test_a_target_that_refuses_everything_stops_the_run_at_once():
    target = FakeTarget(script=lambda _index: (Outcome.CONNECT_ERROR, 0.001, None))
    ran = drive(ClosedLoop(users=8), target=target, warmup=10, requests=1000)
    assert (ran.reason, ran.detail) == (EndReason.ERROR_LIMIT, "detail")
    assert len(ran.recorder.interactions) == 8


def test_a_target_that_gives_no_reason_is_told_by_what_went_wrong():
    class Silent(FakeTarget):
        async def call(self, *given):
            return replace(await super().call(*given), error_detail=None)

    target = Silent(script=lambda _index: (Outcome.HTTP_5XX, 0.1, 500))
    ran = drive(ClosedLoop(users=1), target=target, requests=1000, error_limit=0.5)
    assert ran.detail == "20 of 20 interactions failed; last: x"


def test_the_error_limit_stops_the_run():
    target = FakeTarget(script=lambda _index: (Outcome.HTTP_5XX, 0.1, 500))
    ran = drive(ClosedLoop(users=1), target=target, requests=1000, error_limit=0.5)
    assert ran.reason is EndReason.ERROR_LIMIT
    assert len(ran.measured) == 20


def test_nothing_starts_after_the_duration_and_what_is_under_way_ends():
    ran = drive(ClosedLoop(users=1), target=FakeTarget(latency_s=0.4), duration_ns=S)
    assert ran.reason is EndReason.DURATION
    assert [i.outcome for i in ran.measured] == [Outcome.OK] * 3
    assert ran.ended_ns - ran.started_ns == pytest.approx(1.2 * S, abs=MS)


def test_the_duration_ends_a_long_think_time():
    source = FakeSessions(think_ns=3600 * S)
    ran = drive(ClosedLoop(users=1), source=source, duration_ns=S)
    assert len(ran.measured) == 1
    assert ran.ended_ns - ran.started_ns == pytest.approx(S, abs=MS)


def test_a_stop_records_what_was_under_way_as_cancelled():
    async def stop_soon(driver):
        await anyio.sleep(0.25)
        driver.stop()

    ran = drive(ClosedLoop(users=3), requests=1000, before=stop_soon)
    assert ran.reason is EndReason.INTERRUPTED
    outcomes = [i.outcome for i in ran.measured]
    assert outcomes == [Outcome.OK] * 6 + [Outcome.CANCELLED] * 3
    assert ran.measured[-1].end_ns - ran.measured[-1].send_ns == pytest.approx(50 * MS, abs=MS)


def test_a_stop_during_the_warm_up_skips_the_measurement():
    async def stop_soon(driver):
        await anyio.sleep(0.05)
        driver.stop()

    ran = drive(ClosedLoop(users=1), warmup=100, requests=100, before=stop_soon)
    assert ran.reason is EndReason.INTERRUPTED
    assert ran.measured == []


def test_a_journal_that_cannot_be_written_stops_the_run():
    recorder = FakeRecorder(failure="no space left")
    ran = drive(ClosedLoop(users=2), recorder=recorder, requests=100)
    assert (ran.reason, ran.detail) == (EndReason.JOURNAL_FAILED, "no space left")
    assert ran.target.heard == []


def test_every_interaction_carries_its_trace_and_what_it_belongs_to():
    ran = drive(ClosedLoop(users=1), requests=2)
    for headers, interaction in zip(ran.target.headers, ran.measured, strict=True):
        version, trace_id, span_id, flags = headers["traceparent"].split("-")
        assert (version, trace_id, flags) == ("00", interaction.trace_id, "01")
        assert len(trace_id) == 32
        assert len(span_id) == 16
        assert headers["baggage"] == (
            "agent_profiler.session=m-0,agent_profiler.scenario=order%20status,"
            "agent_profiler.conversation=c%2F0"
        )
    assert len({i.trace_id for i in ran.measured}) == 2


def test_observers_are_told_of_an_interaction_before_it_is_sent():
    started = []
    ran = drive(ClosedLoop(users=1), requests=2, on_start=lambda *told: started.append(told))
    assert started == [(i.trace_id, f"m0.{turn}", "m-0") for turn, i in enumerate(ran.measured)]


def test_a_tagged_text_carries_its_trace_and_so_does_the_history():
    ran = drive(ClosedLoop(users=1), source=FakeSessions(turns=2, is_tagged=True), requests=2)
    first, second = (f"m0.{n}\n[ap:{i.trace_id[:16]}]" for n, i in enumerate(ran.measured))
    assert [heard[1] for heard in ran.target.heard] == [first, second]
    assert ran.target.heard[1][2] == ((first, f"re: {first}"),)


def test_what_the_response_says_of_itself_becomes_records():
    ran = drive(ClosedLoop(users=1), requests=1)
    (inside,) = ran.recorder.inside
    assert [record.trace_id for record in inside] == [ran.measured[0].trace_id]


def test_sessions_are_played_whole_when_sessions_are_the_limit():
    ran = drive(ClosedLoop(users=3), source=FakeSessions(turns=4), sessions=5)
    assert sorted({i.session for i in ran.measured}) == [f"m-{k}" for k in range(5)]
    assert len(ran.measured) == 20
    assert ran.reason is EndReason.COMPLETED


@pytest.mark.parametrize("of", list(ArrivalsOf))
def test_open_loop_arrivals_end_when_the_sessions_are_used_up(of):
    ran = drive(open_loop(10.0, of=of), sessions=3)
    assert ran.reason is EndReason.COMPLETED
    assert len(ran.measured) == 6


def test_the_harness_samples_itself_about_once_a_second():
    ran = drive(ClosedLoop(users=2), target=FakeTarget(latency_s=0.5), requests=20)
    # Ten rounds of half a second; whether the fifth second is still sampled is a matter of order.
    assert len(ran.recorder.samples) in {4, 5}
    assert {sample.in_flight for sample in ran.recorder.samples} == {2}
    assert all(sample.loop_lag_max_ns <= MS for sample in ran.recorder.samples)


@pytest.mark.parametrize("of", list(ArrivalsOf))
def test_arrivals_beyond_the_most_in_flight_are_dropped_and_counted(of):
    loop = open_loop(10.0, of=of, most=3)
    slow = FakeTarget(latency_s=0.55)
    ran = drive(loop, target=slow, source=FakeSessions(turns=1), requests=9)
    assert ran.target.most_in_flight == 3
    # Three arrivals start at 0, 0.1 and 0.2 s; until 0.55 s three more find no room; and so on.
    assert ran.driver.watch.dropped == 6
    sent = sorted(i.intended_start_ns for i in ran.measured)
    assert [round((at - sent[0]) / MS / 100) for at in sent] == [0, 1, 2, 6, 7, 8, 12, 13, 14]


@pytest.mark.parametrize("count", [1, 2])
def test_a_dropped_arrival_of_a_trace_takes_its_session_with_it(count):
    """By hand: 0.3 s an answer, room for one; of arrivals 0.1 s apart every third is sent."""
    trace = Trace(offsets_ns=tuple(range(0, 1000 * MS, 100 * MS)))
    loop = OpenLoop(arrivals=trace, arrivals_of=ArrivalsOf.SESSIONS, seed=1, max_in_flight=1)
    source = FakeSessions(turns=1, is_of_arrival=True)
    slow = FakeTarget(latency_s=0.25 * count)
    ran = drive(loop, target=slow, source=source, share=Share(index=0, count=count))
    assert [i.session_index for i in ran.measured] == [
        round((i.intended_start_ns - ran.measured[0].intended_start_ns) / MS / 100)
        for i in ran.measured
    ]
    assert len(ran.measured) == (4 if count == 1 else 2)
    assert (
        ran.recorder.samples[-1].dropped
        == ran.driver.watch.dropped
        == 10 // count - len(ran.measured)
    )


def test_a_trace_is_drawn_ahead_and_each_request_is_made_once():
    trace = Trace(offsets_ns=(0, 0, 0, 500 * MS, 500 * MS, 900 * MS))
    loop = OpenLoop(arrivals=trace, arrivals_of=ArrivalsOf.SESSIONS, seed=1)
    ran = drive(loop, source=FakeSessions(turns=1, is_of_arrival=True, output_tokens=7))
    assert sorted(i.session_index for i in ran.measured) == list(range(6))
    assert [heard[1] for heard in ran.target.heard] == [f"m{n}.0" for n in range(6)]
    assert ran.target.requests == 6
    assert all(h["baggage"].endswith(",agent_profiler.output_tokens=7") for h in ran.target.headers)


def test_the_first_messages_of_an_instant_are_made_before_it():
    trace = Trace(offsets_ns=(0, 500 * MS, 500 * MS, 500 * MS))
    loop = OpenLoop(arrivals=trace, arrivals_of=ArrivalsOf.SESSIONS, seed=1)
    made_ns = {}

    class Noting(FakeTarget):
        def begin(self, session_id):
            dialogue = super().begin(session_id)
            request = dialogue.request

            def noted(user):
                made_ns[user] = self.clock()
                return request(user)

            dialogue.request = noted
            return dialogue

    ran = drive(loop, target=Noting(), source=FakeSessions(turns=2, is_of_arrival=True))
    first, second = ([i for i in ran.measured if i.turn == turn] for turn in (0, 1))
    assert len(first) == len(second) == 4
    for interaction in first:
        assert made_ns[f"m{interaction.session_index}.0"] <= interaction.intended_start_ns - 2 * MS
        assert interaction.send_ns == interaction.intended_start_ns
    for interaction in second:  # what is said depends on the answer
        assert made_ns[f"m{interaction.session_index}.1"] == interaction.send_ns


def test_what_stands_by_when_the_run_closes_is_not_sent():
    trace = Trace(offsets_ns=(0, 500 * MS, 500 * MS, 500 * MS))
    loop = OpenLoop(arrivals=trace, arrivals_of=ArrivalsOf.SESSIONS, seed=1)
    source = FakeSessions(turns=1, is_of_arrival=True)
    # A trace begins 250 ms after its phase: the run is closed a millisecond before the instant.
    ran = drive(loop, source=source, duration_ns=749 * MS)
    assert ran.reason is EndReason.DURATION
    assert [i.session_index for i in ran.measured] == [0]
    assert ran.driver.watch.sent == ran.driver.watch.ended == 1
    assert ran.driver.watch.dropped == 0


def test_what_stands_by_and_finds_no_room_is_dropped_with_its_session():
    trace = Trace(offsets_ns=(0, 0, 500 * MS, 500 * MS, 500 * MS, 900 * MS))
    loop = OpenLoop(arrivals=trace, arrivals_of=ArrivalsOf.SESSIONS, seed=1, max_in_flight=2)
    ran = drive(loop, source=FakeSessions(turns=1, is_of_arrival=True))
    assert [i.session_index for i in ran.measured] == [0, 1, 2, 3, 5]
    assert ran.driver.watch.dropped == 1


@pytest.mark.parametrize("requests", [1, 2, 3])
def test_no_more_of_an_instant_is_sent_than_is_asked_for(requests):
    trace = Trace(offsets_ns=(0, 500 * MS, 500 * MS, 500 * MS))
    loop = OpenLoop(arrivals=trace, arrivals_of=ArrivalsOf.SESSIONS, seed=1)
    source = FakeSessions(turns=1, is_of_arrival=True)
    ran = drive(loop, source=source, requests=requests)
    assert sorted(i.session_index for i in ran.measured) == list(range(requests))
    assert ran.reason is EndReason.COMPLETED


def test_nothing_is_counted_while_the_requests_of_an_instant_are_sent():
    at_ms = (0, 0, 500, 500, 500.4, 520.4)  # 0.4 ms later is the same instant
    trace = Trace(offsets_ns=tuple(round(at * MS) for at in at_ms))
    loop = OpenLoop(arrivals=trace, arrivals_of=ArrivalsOf.SESSIONS, seed=1)
    recorder, counting = FakeRecorder(), []
    ran = drive(
        loop,
        source=FakeSessions(turns=1, is_of_arrival=True),
        recorder=recorder,
        before_instant=lambda: counting.append(recorder.counting[-1][0]),
    )
    instants = (ran.measured[0].intended_start_ns + round(at * MS) for at in (0, 500, 520.4))
    held = [at for may, at in recorder.counting if not may]
    # From 12 ms before on, or where the next is near, a quarter of the 20 ms between.
    expected = [at - lead * MS for at, lead in zip(instants, (12, 12, 5), strict=True)]
    assert held == [pytest.approx(at, abs=MS) for at in expected]
    for at, lead in zip(held, (12, 12, 5), strict=True):
        let_go = min(when for may, when in ran.recorder.counting if may and when > at)
        assert at + lead * MS - MS <= let_go, "it may count before the requests are sent"
    assert ran.recorder.counting[-1][0]
    assert counting == [False] * 3


def test_a_recorded_trace_is_replayed_to_its_end():
    trace = Trace(offsets_ns=(0, 5 * MS, 5 * MS, 250 * MS))
    loop = OpenLoop(arrivals=trace, arrivals_of=ArrivalsOf.SESSIONS, seed=1)
    ran = drive(loop, source=FakeSessions(turns=1))
    starts = sorted(i.intended_start_ns for i in ran.measured)
    assert [start - starts[0] for start in starts] == [0, 5 * MS, 5 * MS, 250 * MS]
    assert ran.reason is EndReason.COMPLETED


def test_shares_of_a_run_send_together_what_one_would_have_sent():
    sent = []
    for index in range(3):
        share = Share(index=index, count=3)
        ran = drive(open_loop(10.0, poisson=True), share=share, sessions=4)
        starts = {i.session: i.intended_start_ns for i in ran.measured if i.turn == 0}
        sent += [(session, at - ran.started_ns) for session, at in starts.items()]
    alone = drive(open_loop(10.0, poisson=True), sessions=12)
    starts = {i.session: i.intended_start_ns for i in alone.measured if i.turn == 0}
    assert sorted(sent) == sorted((s, at - alone.started_ns) for s, at in starts.items())


def test_an_interaction_whose_tokens_are_known_is_recorded_with_them():
    class Knowing(FakeRecorder):
        def count_now(self, session, *, user, reply, is_last):
            self.texts.append((session, user, reply, is_last))
            return ClientTokens(user=1, history=2, output=3)

        def put(self, *records):
            first, *inside = records
            if isinstance(first, Interaction):
                self.interactions.append(first)
                self.inside.append(tuple(inside))

    ran = drive(ClosedLoop(users=1), recorder=Knowing(), requests=2)
    assert [i.counted for i in ran.measured] == [ClientTokens(user=1, history=2, output=3)] * 2
    assert [len(inside) for inside in ran.recorder.inside] == [1, 1]
    assert ran.recorder.texts == [
        ("m-0", "m0.0", "re: m0.0", False),
        ("m-0", "m0.1", "re: m0.1", True),
    ]


def test_what_the_recorder_still_loads_is_waited_for_between_warm_up_and_time_zero():
    recorder = FakeRecorder(ready_after_s=3)
    ran = drive(open_loop(10), recorder=recorder, warmup=5, requests=60)
    ended, ready_ns = recorder.ready_when
    assert {i.phase for i in recorder.interactions[:ended]} == {Phase.WARMUP}
    assert len(ran.measured) == 60
    assert min(i.intended_start_ns for i in ran.measured) >= ready_ns
    assert min(i.at_ns for i in recorder.samples) > ready_ns  # loading was no lag of the loop


def test_a_run_that_is_stopped_while_the_recorder_loads_measures_nothing():
    async def stop_soon(driver):
        await anyio.sleep(2)
        driver.stop()

    recorder = FakeRecorder(ready_after_s=3)
    ran = drive(ClosedLoop(users=1), recorder=recorder, warmup=2, requests=10, before=stop_soon)
    assert ran.reason is EndReason.INTERRUPTED
    assert ran.measured == []
