"""A resumed run sends what is missing, from where its schedule was, and nothing twice."""

from __future__ import annotations

import random

import pytest

from profiler.load.plan import ClosedLoop
from profiler.measure.reached import Finished, Reached
from profiler.measure.records import EndReason, Phase
from tests.load.test_driver import MS, FakeSessions, FakeTarget, S, drive, open_loop


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
