"""A journal says how far its run came: which sessions are finished, and where its schedule was."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from profiler.measure.reached import Finished, reached_by
from profiler.measure.records import (
    Began,
    DriverSample,
    End,
    EndReason,
    Interaction,
    Outcome,
    Phase,
    Resumed,
)

S = 1_000_000_000


def turn(
    session: int, number: int, *, last=False, outcome=Outcome.OK, at_s=0, phase=Phase.MEASURE, of=""
) -> Interaction:
    return Interaction(
        trace_id=f"{of}{session}.{number}",
        session=f"{of}{session}",
        session_index=session,
        scenario="a",
        turn=number,
        last_turn=last,
        phase=phase,
        send_ns=at_s * S,
        end_ns=at_s * S,
        outcome=outcome,
    )


def began(phase: Phase, at_s: int, elapsed_s: int = 0) -> Began:
    return Began(phase=phase, at_ns=at_s * S, elapsed_ns=elapsed_s * S)


def resumed(number: int, *superseded: str) -> Resumed:
    return Resumed(
        number=number,
        tool_version="0",
        resumed_wall_ns=0,
        resumed_monotonic_ns=0,
        superseded=superseded,
    )


def test_a_session_is_finished_with_its_last_turn_and_the_others_are_not():
    reached = reached_by([turn(0, 0), turn(1, 0), turn(0, 1, last=True), turn(2, 0)])
    measured = reached.phases[Phase.MEASURE]
    assert (0 in measured.finished, 1 in measured.finished) == (True, False)
    assert (len(measured.finished), measured.sent) == (1, 2)
    assert reached.unfinished == ("1", "2")


def test_a_failure_finishes_a_session_and_an_interruption_does_not():
    failed = turn(0, 0, last=True, outcome=Outcome.TIMEOUT)
    cut_off = turn(1, 0, last=True, outcome=Outcome.CANCELLED)
    reached = reached_by([failed, cut_off])
    assert (len(reached.phases[Phase.MEASURE].finished), reached.unfinished) == (1, ("1",))


def test_sessions_of_a_shard_are_counted_within_it():
    """The second of three shards has the sessions 1, 4 and 7: its first, second and third."""
    records = [turn(1, 0, last=True), turn(7, 0, last=True)]
    finished = reached_by(records, index=1, count=3).phases[Phase.MEASURE].finished
    assert finished.gaps() == (1,)
    assert len(finished) == 2


def test_the_schedule_has_passed_as_long_as_each_process_saw_of_it_and_pauses_are_not_in_it():
    sample = DriverSample(
        at_ns=25 * S, in_flight=0, sent=0, ended=0, dropped=0, loop_lag_max_ns=0, cpu_share=0
    )
    first = [began(Phase.MEASURE, 10), turn(0, 0, last=True, at_s=13)]
    assert reached_by(first).phases[Phase.MEASURE].elapsed_ns == 3 * S
    again = [resumed(1), began(Phase.MEASURE, 20, elapsed_s=3), sample]
    assert reached_by(first + again).phases[Phase.MEASURE].elapsed_ns == 8 * S


def test_there_is_no_second_warm_up_once_measuring_has_begun():
    warming = [began(Phase.WARMUP, 0), turn(0, 0, phase=Phase.WARMUP, of="w")]
    assert reached_by(warming).needs(Phase.WARMUP)
    assert reached_by(warming).unfinished == ("w0",)
    measuring = reached_by([*warming, began(Phase.MEASURE, 1), turn(0, 0)])
    assert not measuring.needs(Phase.WARMUP)
    assert measuring.unfinished == ("0",)  # a warm-up that was cut short stays a warm-up


def test_what_was_begun_anew_is_forgotten_and_an_end_before_it_too():
    end = End(at_ns=S, reason=EndReason.INTERRUPTED)
    records = [turn(0, 0), end, resumed(1, "0"), turn(0, 0, of="again-", last=True)]
    reached = reached_by(records)
    assert (reached.unfinished, reached.resumes, reached.end) == ((), 1, None)
    assert reached.phases[Phase.MEASURE].sent == 1
    assert reached_by(records[:2]).end == end


@given(st.sets(st.integers(0, 60)), st.randoms())
def test_finished_sessions_are_a_set_of_indices(indices, shuffler):
    in_any_order = list(indices)
    shuffler.shuffle(in_any_order)
    finished = Finished(in_any_order)
    assert {index for index in range(70) if index in finished} == indices
    assert len(finished) == len(indices)
    assert finished.gaps() == tuple(sorted(set(range(max(indices, default=0))) - indices))
