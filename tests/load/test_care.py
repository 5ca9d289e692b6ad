"""The driver's care for a target, in virtual time: how it begins, pauses and stops spending."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from profiler.load.budget import Limits
from profiler.load.driver import Driver
from profiler.load.plan import WHOLE, ArrivalsOf, ClosedLoop, LoadPlan, OpenLoop, Share
from profiler.load.schedule import ConstantGaps, Process, flat
from profiler.measure.records import Backoff, EndReason, Outcome
from tests.load.test_driver import FakeRecorder, FakeSessions, FakeTarget
from tests.load.virtual_time import run_virtual

S = 1_000_000_000
OK = (Outcome.OK, 0.1, 200)
BUSY = (Outcome.HTTP_429, 0.1, 429)


@dataclass
class Recorder(FakeRecorder):
    pauses: list = field(default_factory=list)

    def put(self, *records):
        if isinstance(records[0], Backoff):
            self.pauses.extend(records)
        else:
            super().put(*records)


def drive(loop, script=lambda _: OK, *, backs_off=True, share=WHOLE, warmup=0, spent=None, **more):
    target, recorder, seen = FakeTarget(script=script), Recorder(), {}

    async def main(clock):
        target.clock = clock
        seen["driver"] = driver = Driver(
            LoadPlan(
                loop=loop, warmup=warmup, limits=Limits(**more), share=share, backs_off=backs_off
            ),
            endpoint=target,
            caller=target,
            recorder=recorder,
            measured=FakeSessions(turns=1),
            warmup=FakeSessions(turns=1, prefix="w"),
            spent_out=None if spent is None else lambda: spent(recorder),
            clock=clock,
        )
        seen["began_ns"] = clock()
        seen["end"] = await driver.run()

    run_virtual(main)
    sends_s = [(i.send_ns - seen["began_ns"]) / S for i in recorder.interactions]
    return sends_s, recorder, seen


def test_users_begin_evenly_one_after_the_other():
    sends_s, *_ = drive(
        ClosedLoop(users=4, step_ns=S), requests=4, script=lambda _: (*OK[:1], 9, 200)
    )
    assert sorted(sends_s) == pytest.approx([0, 1, 2, 3])


def test_the_users_of_a_shard_begin_when_they_would_in_the_whole():
    slow = (Outcome.OK, 9, 200)
    sends_s, *_ = drive(
        ClosedLoop(users=2, step_ns=S),
        requests=2,
        script=lambda _: slow,
        share=Share(index=1, count=2),
    )
    assert sorted(sends_s) == pytest.approx([1, 3])


def test_a_warm_up_that_is_over_soon_does_not_let_all_begin_at_once():
    sends_s, *_ = drive(
        ClosedLoop(users=3, step_ns=S), requests=3, warmup=1, script=lambda _: (*OK[:1], 9, 200)
    )
    # One of the warm-up at 0, which takes 9 s: all may begin after it.
    assert sorted(sends_s) == pytest.approx([0, 9, 9, 9])


def test_after_twenty_rejections_nothing_is_sent_for_a_second_then_for_two():
    sends_s, recorder, _ = drive(
        ClosedLoop(users=1), requests=23, script=lambda n: BUSY if n < 21 else OK
    )
    assert sends_s[:20] == pytest.approx([0.1 * n for n in range(20)])
    # The 20th ends at 2.0, the 21st (sent at 3.0) at 3.1, and two seconds later all is well.
    assert sends_s[20:] == pytest.approx([3.0, 5.1, 5.2])
    assert [(p.until_ns - p.at_ns) / S for p in recorder.pauses] == pytest.approx([1, 2])


def test_it_goes_on_at_full_load_where_that_is_asked_for():
    sends_s, recorder, _ = drive(
        ClosedLoop(users=1), requests=25, script=lambda _: BUSY, backs_off=False
    )
    assert sends_s == pytest.approx([0.1 * n for n in range(25)])
    assert not recorder.pauses


@pytest.mark.parametrize("of", list(ArrivalsOf))
def test_a_schedule_is_not_bent_arrivals_of_a_pause_are_dropped_and_counted(of):
    process = Process(rate=flat(10), gaps=ConstantGaps())
    loop = OpenLoop(arrivals=process, arrivals_of=of, seed=1)
    sends_s, recorder, seen = drive(loop, requests=30, script=lambda n: BUSY if n < 20 else OK)
    ticks = [round((s - sends_s[0]) * 10, 6) for s in sends_s]
    assert ticks == [round(tick) for tick in ticks]  # each at its own time of the schedule
    dropped = seen["driver"].watch.dropped
    assert dropped == ticks[-1] + 1 - 30
    assert dropped in (9, 10)  # a second of ten arrivals; its edges may fall on one
    assert all(i.intended_start_ns == i.send_ns for i in recorder.interactions)


def test_what_is_under_way_when_the_money_is_spent_goes_on_to_its_end():
    def spent(recorder):
        is_spent = len(recorder.interactions) >= 4
        return (EndReason.MAX_COST, "enough") if is_spent else None

    _, recorder, seen = drive(ClosedLoop(users=3), requests=100, spent=spent)
    assert seen["end"] == (EndReason.MAX_COST, "enough")
    # The 4th ends while two others are under way, and nothing is sent after it.
    assert len(recorder.interactions) == 6
    assert {i.outcome for i in recorder.interactions} == {Outcome.OK}


def test_money_that_is_spent_in_the_warm_up_leaves_none_for_measuring():
    _, recorder, seen = drive(
        ClosedLoop(users=1),
        requests=9,
        warmup=5,
        spent=lambda recorder: (EndReason.MAX_TOKENS, "x") if recorder.interactions else None,
    )
    assert seen["end"][0] is EndReason.MAX_TOKENS
    assert len(recorder.interactions) == 1
