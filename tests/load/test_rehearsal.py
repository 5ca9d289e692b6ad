"""The rehearsal against the driver itself, in virtual time; and what bounds it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from profiler.load.budget import Limits
from profiler.load.plan import ArrivalsOf, ClosedLoop, LoadPlan, OpenLoop
from profiler.load.rehearsal import Rehearsal
from profiler.load.schedule import GammaGaps, Process, Trace, flat
from profiler.measure.records import Phase
from profiler.workload.sessions import SessionPlan, TurnPlan
from tests.load.test_driver import MS, FakeSessions, FakeTarget, S, drive, open_loop


@dataclass
class Uneven:
    """Sessions of 1 to 5 turns, with pauses of 0 to 1.2 s: no two interactions fall together."""

    def session(self, index):
        turns = tuple(
            TurnPlan(
                user=f"{index}.{turn}",
                think_time_ns=(index * 7919 + turn * 104_729) % 12 * 100 * MS if turn else 0,
            )
            for turn in range(index * 31 % 5 + 1)
        )
        return SessionPlan(
            index=index, session_id=f"s{index}", scenario="x", conversation=None, turns=turns
        )


def rehearsed(loop, *, latency_ns=100 * MS, duration_ns=None, source=None, warmup=0, **options):
    plan = LoadPlan(loop=loop, warmup=warmup, limits=Limits(**options), duration_ns=duration_ns)
    source = source or Uneven()
    rehearsal = Rehearsal(plan, Phase.MEASURE, source.session, latency_ns=latency_ns)
    return rehearsal, list(rehearsal.interactions())


def answers_end_together(sent):
    """Whether two sessions that go on are sent to, and so answered, within 0.1 ms of each other.

    Who waits the longest is then for the event loop to say.
    """
    going_on = sorted(each.at_ns for each in sent if each.turn + 1 < len(each.session.turns))
    return any(after - before < MS // 10 for before, after in pairwise(going_on))


def assert_the_driver_does_the_same(loop, *, latency_s, lead_ns, **options):
    rehearsal, sent = rehearsed(loop, latency_ns=round(latency_s * S), **options)
    ran = drive(loop, target=FakeTarget(latency_s=latency_s), source=Uneven(), **options)
    # Real timers wake a little late, and pauses begin at ends: order and times to 5 ms.
    driven = sorted(
        (i.send_ns - ran.started_ns - lead_ns, i.session_index, i.turn) for i in ran.measured
    )
    assert sorted((i, t) for _, i, t in driven) == sorted((s.session.index, s.turn) for s in sent)
    by_turn = {(s.session.index, s.turn): s.at_ns for s in sent}
    for at_ns, index, turn in driven:
        assert at_ns == pytest.approx(by_turn[index, turn], abs=5 * MS)
    assert rehearsal.dropped == ran.driver.watch.dropped
    assert ran.ended_ns - ran.started_ns - lead_ns == pytest.approx(rehearsal.end_ns, abs=25 * MS)


# Latencies that no sum of pauses meets, so that nothing depends on who is first of two.
latencies = st.sampled_from([0.0371, 0.4133, 1.7177])


@settings(max_examples=30, deadline=None)
@given(users=st.integers(1, 6), sessions=st.integers(1, 20), latency_s=latencies)
def test_a_closed_loop_of_sessions_sends_what_the_driver_sends(users, sessions, latency_s):
    assert_the_driver_does_the_same(
        ClosedLoop(users=users), latency_s=latency_s, lead_ns=0, sessions=sessions
    )


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(1, 1000),
    requests=st.integers(1, 40),
    latency_s=latencies,
    of=st.sampled_from(list(ArrivalsOf)),
    most=st.none() | st.integers(1, 4),
)
# After the last that is sent comes another within a microsecond.
@example(seed=80, requests=8, latency_s=0.4133, of=ArrivalsOf.INTERACTIONS, most=1)
def test_an_open_loop_sends_what_the_driver_sends(seed, requests, latency_s, of, most):
    loop = OpenLoop(
        arrivals=Process(rate=flat(2.0), gaps=GammaGaps(burstiness=3.0)),
        arrivals_of=of,
        seed=seed,
        max_in_flight=most,
    )
    _, sent = rehearsed(loop, latency_ns=round(latency_s * S), requests=requests)
    assume(not answers_end_together(sent))
    assert_the_driver_does_the_same(loop, latency_s=latency_s, lead_ns=20 * MS, requests=requests)


@pytest.mark.parametrize("of", ArrivalsOf)
def test_the_duration_ends_it_as_it_ends_the_driver(of):
    loop = open_loop(3.0, of=of, poisson=True)
    options = {"latency_s": 0.4133, "lead_ns": 20 * MS, "duration_ns": 7 * S}
    assert_the_driver_does_the_same(loop, **options)
    assert rehearsed(loop, duration_ns=7 * S)[0].is_ended_by_duration


def test_a_closed_loop_by_hand():
    """Two users, sessions of two turns, 1 s a turn, 3 s between: each session takes 5 s."""
    source = FakeSessions(turns=2, think_ns=3 * S)
    rehearsal, sent = rehearsed(ClosedLoop(users=2), latency_ns=S, source=source, sessions=3)
    assert [(s.at_ns // S, s.session.index, s.turn) for s in sent] == [
        (0, 0, 0), (0, 1, 0), (4, 0, 1), (4, 1, 1), (5, 2, 0), (9, 2, 1),
    ]  # fmt: skip
    assert (rehearsal.end_ns, rehearsal.sessions) == (10 * S, 3)
    assert not rehearsal.is_ended_by_duration


@given(
    users=st.integers(1, 6),
    requests=st.integers(1, 60),
    latency_ns=st.integers(0, 3 * S),
    more_ns=st.integers(0, 3 * S),
)
def test_answers_that_take_longer_never_end_it_sooner(users, requests, latency_ns, more_ns):
    loop = ClosedLoop(users=users)
    soon, _ = rehearsed(loop, latency_ns=latency_ns, requests=requests)
    late, _ = rehearsed(loop, latency_ns=latency_ns + more_ns, requests=requests)
    assert soon.end_ns <= late.end_ns


def test_a_trace_ends_with_its_last_request():
    loop = OpenLoop(arrivals=Trace(offsets_ns=(0, 5, 70)), arrivals_of=ArrivalsOf.SESSIONS, seed=1)
    rehearsal, sent = rehearsed(loop, source=FakeSessions(turns=1), latency_ns=7)
    assert [s.at_ns for s in sent] == [0, 5, 70]
    assert rehearsal.end_ns == 77
    assert list(rehearsal.arrivals_ns) == [0, 5, 70]


def test_what_has_no_end_is_cut_and_says_so():
    plan = LoadPlan(loop=ClosedLoop(users=3), warmup=0, limits=Limits(), duration_ns=S)
    rehearsal = Rehearsal(plan, Phase.MEASURE, FakeSessions().session, most=50)
    assert len(list(rehearsal.interactions())) == 50
    assert rehearsal.is_cut


def test_a_session_that_nobody_waits_for_does_not_keep_arrivals_coming_for_ever(monkeypatch):
    """One session that thinks for a day, and a thousand arrivals a second for it."""
    monkeypatch.setattr("profiler.load.rehearsal._MOST_ARRIVALS", 20_000)
    source = FakeSessions(turns=2, think_ns=86_400 * S)
    loop = open_loop(1000.0, of=ArrivalsOf.INTERACTIONS)
    rehearsal, sent = rehearsed(loop, source=source, sessions=1)
    assert len(sent) == 1
    assert rehearsal.is_cut


def test_the_warm_up_is_so_many_interactions_of_its_own():
    plan = LoadPlan(loop=ClosedLoop(users=2), warmup=5, limits=Limits(requests=99), duration_ns=1)
    rehearsal = Rehearsal(plan, Phase.WARMUP, FakeSessions().session)
    assert len(list(rehearsal.interactions())) == 5
    assert not rehearsal.is_ended_by_duration


@settings(max_examples=20, deadline=None)
@given(users=st.integers(1, 5), requests=st.integers(1, 40), latency_s=latencies)
def test_a_closed_loop_of_interactions_sends_what_the_driver_sends(users, requests, latency_s):
    """Users that began together may fall due together: who of them has the last one is open."""
    loop = ClosedLoop(users=users)
    _, sent = rehearsed(loop, latency_ns=round(latency_s * S), requests=requests)
    ran = drive(loop, target=FakeTarget(latency_s=latency_s), source=Uneven(), requests=requests)
    driven = sorted((i.send_ns - ran.started_ns, i.session_index, i.turn) for i in ran.measured)
    times_ns = sorted(s.at_ns for s in sent)
    assert [at_ns for at_ns, _, _ in driven] == [pytest.approx(t, abs=5 * MS) for t in times_ns]
    before_last = {(s.session.index, s.turn) for s in sent if s.at_ns < times_ns[-1] - 10 * MS}
    assert before_last <= {(index, turn) for _, index, turn in driven}
