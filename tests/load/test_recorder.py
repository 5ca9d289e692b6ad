"""The recorder writes everything it is given, in order, with counted tokens."""

from __future__ import annotations

import threading

import pytest

from profiler.errors import JournalError
from profiler.load.recorder import Recorder
from profiler.measure.records import (
    ClientTokens,
    DriverSample,
    Interaction,
    Observer,
    Outcome,
    Phase,
    Record,
    StateKind,
    StateOp,
)


class ListJournal:
    def __init__(self) -> None:
        self.records: list[Record] = []
        self.threads: set[int] = set()

    def append(self, records: list[Record]) -> None:
        self.threads.add(threading.get_ident())
        self.records.extend(records)


def words(text: str) -> int:
    return len(text.split())


def interaction(session: str = "s", turn: int = 0, *, last: bool = False) -> Interaction:
    return Interaction(
        trace_id=f"{session}-{turn}",
        session=session,
        session_index=0,
        scenario="x",
        turn=turn,
        last_turn=last,
        phase=Phase.MEASURE,
        send_ns=1,
        end_ns=2,
        outcome=Outcome.OK,
    )


def sample(at_ns: int) -> DriverSample:
    return DriverSample(
        at_ns=at_ns, in_flight=0, sent=0, ended=0, dropped=0, loop_lag_max_ns=0, cpu_share=0.0
    )


def test_history_is_the_sum_of_what_was_said_before_in_the_session():
    journal = ListJournal()
    recorder = Recorder(journal, words)
    recorder.start()
    recorder.put_interaction(interaction("a", 0), (), user="one two", reply="three four five")
    recorder.put_interaction(interaction("b", 0), (), user="other", reply="session")
    recorder.put_interaction(interaction("a", 1), (), user="six", reply=None)
    recorder.put_interaction(interaction("a", 2, last=True), (), user="seven", reply="")
    recorder.put_interaction(interaction("a", 0), (), user="anew", reply="x")
    recorder.close()
    counted = [r.counted for r in journal.records if isinstance(r, Interaction)]
    assert counted == [
        ClientTokens(user=2, history=0, output=3),
        ClientTokens(user=1, history=0, output=1),
        ClientTokens(user=1, history=5, output=None),
        ClientTokens(user=1, history=6, output=0),
        ClientTokens(user=1, history=0, output=1),
    ]


def test_records_come_in_order_each_interaction_followed_by_what_was_inside():
    journal = ListJournal()
    recorder = Recorder(journal, words)
    recorder.start()
    inside = StateOp(
        trace_id="s-0", observer=Observer.RESPONSE, store="m", kind=StateKind.READ, count=1
    )
    for at_ns in range(1000):
        recorder.put(sample(at_ns))
    recorder.put_interaction(interaction(), (inside,), user="x", reply="y")
    recorder.close()
    assert [r.at_ns for r in journal.records if isinstance(r, DriverSample)] == list(range(1000))
    assert journal.records[-1] == inside
    assert isinstance(journal.records[-2], Interaction)


def test_the_journal_is_written_on_another_thread():
    journal = ListJournal()
    recorder = Recorder(journal, words)
    recorder.start()
    recorder.put(sample(1))
    recorder.close()
    assert journal.threads == journal.threads - {threading.get_ident()}
    assert len(journal.threads) == 1


def test_a_journal_that_cannot_be_written_is_told_and_close_returns():
    class FullDisk:
        def append(self, records: list[Record]) -> None:
            raise JournalError("no space left on device")

    recorder = Recorder(FullDisk(), words)
    recorder.start()
    recorder.put(sample(1))
    recorder.close()
    assert recorder.failure is not None
    assert "no space left" in str(recorder.failure)


def test_a_bug_in_the_recorder_is_raised_by_close():
    def broken(_text: str) -> int:
        raise ZeroDivisionError("bug")

    recorder = Recorder(ListJournal(), broken)
    recorder.start()
    recorder.put_interaction(interaction(), (), user="x", reply="y")
    with pytest.raises(ZeroDivisionError):
        recorder.close()
