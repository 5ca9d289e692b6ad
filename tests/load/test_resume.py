"""A resumed run sends what is missing, from where its schedule was, and nothing twice."""

from __future__ import annotations

import random
from contextlib import closing

import pytest

from profiler.load.plan import ArrivalsOf, ClosedLoop, OpenLoop
from profiler.load.resume import ended_before
from profiler.load.schedule import Trace
from profiler.measure.journal import JournalWriter
from profiler.measure.reached import Finished, Reached
from profiler.measure.records import EndReason, LlmCall, Observer, Outcome, Phase, Timeline
from tests.load.test_driver import MS, FakeSessions, FakeTarget, S, drive, open_loop
from tests.measure.test_journal import RUN
from tests.measure.test_reached import turn


def reached(finished: set[int], *, sent: int, elapsed_ns: int = 0) -> Reached:
    found = Reached()
    measured = found.phases[Phase.MEASURE]
    measured.finished, measured.sent = Finished(finished), sent
    measured.elapsed_ns, measured.has_begun = elapsed_ns, True
    return found


@pytest.mark.parametrize("loop", [ClosedLoop(users=3), open_loop(20.0)])
def test_only_missing_sessions_are_sent_the_cut_off_ones_first(loop):
    ran = drive(loop, sessions=8, warmup=5, reached=reached({0, 1, 3, 5}, sent=8))
    sent = [i.session for i in ran.measured if i.turn == 0]
    assert (sorted(sent[:3]), sent[3:]) == (["m-2", "m-4", "m-6"], ["m-7"])
    assert len(ran.recorder.interactions) == 8  # two turns each, and no second warm-up
    assert ran.reason is EndReason.COMPLETED


def test_interactions_of_both_processes_add_up_to_the_quota():
    ran = drive(ClosedLoop(users=2), requests=20, reached=reached({0, 2, 3}, sent=6))
    assert len(ran.measured) == 14
    nothing_left = drive(ClosedLoop(users=2), requests=6, reached=reached({0, 1, 2}, sent=6))
    assert (nothing_left.measured, nothing_left.reason) == ([], EndReason.COMPLETED)


def test_a_schedule_goes_on_from_the_offset_at_which_it_was():
    whole = drive(open_loop(5.0, poisson=True), source=FakeSessions(turns=1), sessions=30)
    zero_ns = whole.recorder.began[-1].at_ns
    offsets = [i.intended_start_ns - zero_ns for i in whole.measured]
    cut_ns = offsets[11] + MS
    rest = drive(
        open_loop(5.0, poisson=True),
        source=FakeSessions(turns=1),
        sessions=30,
        reached=reached(set(range(12)), sent=12, elapsed_ns=cut_ns),
    )
    (began,) = rest.recorder.began
    assert began.elapsed_ns == cut_ns
    again = [i.intended_start_ns - began.at_ns + cut_ns for i in rest.measured]
    assert again == offsets[12:]
    assert [i.session for i in rest.measured] == [i.session for i in whole.measured[12:]]


def test_a_trace_goes_on_with_those_cut_off_at_once_and_the_others_when_they_would_have():
    trace = Trace(offsets_ns=tuple(range(0, 1000 * MS, 100 * MS)))
    # Of the six that had arrived half a second in, four ended: 1 and 4 were under way.
    ran = drive(
        OpenLoop(arrivals=trace, arrivals_of=ArrivalsOf.SESSIONS, seed=1),
        source=FakeSessions(turns=1),
        sessions=10,
        reached=reached({0, 2, 3, 5}, sent=4, elapsed_ns=520 * MS),
    )
    (began,) = ran.recorder.began
    zero_ns = began.at_ns - began.elapsed_ns
    assert [(i.session, (i.intended_start_ns - zero_ns) // MS) for i in ran.measured] == [
        *(("m-1", 520), ("m-4", 520)),
        *(("m-6", 600), ("m-7", 700), ("m-8", 800), ("m-9", 900)),
    ]


def call(trace_id: str, observer: Observer = Observer.RESPONSE) -> LlmCall:
    return LlmCall(trace_id=trace_id, observer=observer, clock=Timeline.AGENT, outcome=Outcome.OK)


def test_interactions_before_are_kept_but_those_of_sessions_that_begin_anew(tmp_path):
    seen_elsewhere = call("1.0", Observer.GATEWAY)
    with closing(JournalWriter(tmp_path / "journal.jsonl")) as journal:
        journal.append([RUN, turn(0, 0), call("0.0"), seen_elsewhere, turn(1, 0), call("1.0")])
        journal.append([turn(0, 1), call("0.1"), call("0.1"), turn(2, 0)])
    kept = [
        (one.trace_id, [record.trace_id for record in inside])
        for one, inside in ended_before(tmp_path / "journal.jsonl", {"1"})
    ]
    assert kept == [("0.0", ["0.0"]), ("0.1", ["0.1", "0.1"]), ("2.0", [])]


def test_a_duration_is_that_of_all_processes_together():
    ran = drive(
        ClosedLoop(users=1),
        target=FakeTarget(latency_s=0.4),
        duration_ns=10 * S,
        reached=reached({0}, sent=2, elapsed_ns=7 * S),
    )
    assert ran.reason is EndReason.DURATION
    # Of 10 s 3 were left; what was sent at 2.8 s of them ended 0.4 s later.
    assert ran.ended_ns - ran.started_ns == pytest.approx(3200 * MS, abs=MS)


def test_a_warm_up_that_was_cut_short_is_gone_on_with():
    found = Reached()
    found.phases[Phase.WARMUP].finished.add(0)
    found.phases[Phase.WARMUP].sent = 2
    ran = drive(ClosedLoop(users=1), warmup=6, requests=2, reached=found)
    warmed = [i.session for i in ran.recorder.interactions if i.phase is Phase.WARMUP]
    assert warmed == ["w-1", "w-1", "w-2", "w-2"]
    assert len(ran.measured) == 2


@pytest.mark.parametrize("seed", range(5))
def test_whatever_was_finished_each_session_is_sent_once_in_all(seed):
    rng = random.Random(seed)
    before = {index for index in range(12) if rng.random() < 0.6}
    found = reached(before, sent=2 * len(before))
    ran = drive(ClosedLoop(users=4), sessions=20, reached=found)
    sent = [int(i.session.removeprefix("m-")) for i in ran.measured if i.turn == 0]
    assert sorted([*before, *sent]) == list(range(20))
