"""The recorder writes everything it is given, in order, with counted tokens."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import anyio
import pytest

from profiler.errors import AgentProfilerError, JournalError
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

    def append(self, records) -> None:
        self.threads.add(threading.get_ident())
        self.records.extend(records)


class Words:
    """Counts words; knows at once only those texts that it was told or has counted."""

    def __init__(self, *known: str) -> None:
        self.known = set(known)

    def prepare(self) -> None:
        pass

    def count_text(self, text: str, *, between=lambda: None) -> int:
        between()
        self.known.add(text)
        return len(text.split())

    def quick_count(self, text: str) -> int | None:
        return len(text.split()) if text in self.known else None


def record(recorder: Recorder, turn: Interaction, user: str, reply: str | None, inside=()) -> bool:
    """Record a turn as the driver does; say whether its tokens were known at once."""
    counted = recorder.count_now(turn.session, user=user, reply=reply, is_last=turn.last_turn)
    if counted is None:
        recorder.put_uncounted(turn, inside, user=user, reply=reply)
        return False
    recorder.put(replace(turn, counted=counted), *inside)
    return True


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


def counted_of(journal: ListJournal) -> list[ClientTokens | None]:
    return [r.counted for r in journal.records if isinstance(r, Interaction)]


def test_history_is_the_sum_of_what_was_said_before_in_the_session():
    journal = ListJournal()
    recorder = Recorder(journal, Words())
    recorder.start()
    record(recorder, interaction("a", 0), "one two", "three four five")
    record(recorder, interaction("b", 0), "other", "session")
    record(recorder, interaction("a", 1), "six", None)
    record(recorder, interaction("a", 2, last=True), "seven", "")
    recorder.close()
    assert {(c.user, c.history, c.output) for c in counted_of(journal) if c is not None} == {
        (2, 0, 3),
        (1, 0, 1),
        (1, 5, None),
        (1, 6, 0),
    }


def test_the_history_of_a_session_ends_with_it():
    journal = ListJournal()
    recorder = Recorder(journal, Words("hello", "there"))
    assert record(recorder, interaction("a", 0, last=True), "hello", "there")
    assert record(recorder, interaction("a", 0), "hello", "there")
    assert [c.history for c in counted_of(journal) if c is not None] == [0, 0]


def test_texts_that_are_known_are_counted_and_written_at_once():
    journal = ListJournal()
    recorder = Recorder(journal, Words("hello", "there"))  # its thread was never started
    assert record(recorder, interaction("a", 0), "hello", "there")
    assert record(recorder, interaction("a", 1), "hello", None)
    assert counted_of(journal) == [
        ClientTokens(user=1, history=0, output=1),
        ClientTokens(user=1, history=2, output=None),
    ]


def test_a_known_turn_waits_for_an_unknown_one_of_its_session_before_it():
    journal = ListJournal()
    recorder = Recorder(journal, Words("hello", "there"))
    assert not record(recorder, interaction("a", 0), "three new words", "there")
    assert not record(recorder, interaction("a", 1), "hello", "there")
    assert record(recorder, interaction("b", 0), "hello", "there")
    recorder.start()
    recorder.close()
    assert counted_of(journal) == [
        ClientTokens(user=1, history=0, output=1),
        ClientTokens(user=3, history=0, output=1),
        ClientTokens(user=1, history=4, output=1),
    ]


def test_an_interaction_is_followed_by_what_was_inside_it():
    journal = ListJournal()
    recorder = Recorder(journal, Words())
    recorder.start()
    inside = StateOp(
        trace_id="s-0", observer=Observer.RESPONSE, store="m", kind=StateKind.READ, count=1
    )
    record(recorder, interaction("s", 0), "x", "y", (inside,))
    recorder.close()
    assert [type(r) for r in journal.records] == [Interaction, StateOp]


def test_new_texts_are_counted_on_another_thread():
    journal = ListJournal()
    recorder = Recorder(journal, Words())
    recorder.start()
    record(recorder, interaction(), "new", "text")
    recorder.close()
    assert threading.get_ident() not in journal.threads
    assert len(journal.threads) == 1


def test_nothing_is_lost_between_two_threads():
    journal = ListJournal()
    recorder = Recorder(journal, Words("known"))
    recorder.start()
    for turn in range(500):
        record(recorder, interaction("a", turn), f"new {turn}", "known")
        record(recorder, interaction("b", turn), "known", "known")
    recorder.close()
    turns = [(r.session, r.turn) for r in journal.records if isinstance(r, Interaction)]
    assert [turn for session, turn in turns if session == "a"] == list(range(500))
    assert [turn for session, turn in turns if session == "b"] == list(range(500))
    histories = [c.history for c in counted_of(journal) if c is not None and c.user == 2]
    assert histories == [3 * turn for turn in range(500)]


class FullDisk:
    def append(self, records) -> None:
        raise JournalError("no space left on device")


def test_a_journal_that_cannot_be_written_is_told_and_close_returns():
    recorder = Recorder(FullDisk(), Words())
    recorder.start()
    record(recorder, interaction(), "x", "y")
    recorder.close()
    assert "no space left" in str(recorder.failure)


def test_after_a_failed_write_nothing_more_is_written():
    recorder = Recorder(FullDisk(), Words("x"))
    recorder.put(sample(1))
    first = recorder.failure
    recorder.put(sample(2))
    assert recorder.failure is first is not None


def test_a_bug_in_the_recorder_is_raised_by_close():
    class Broken(Words):
        def count_text(self, text: str, *, between=lambda: None) -> int:
            raise ZeroDivisionError("bug")

    recorder = Recorder(ListJournal(), Broken())
    recorder.start()
    record(recorder, interaction(), "x", "y")
    with pytest.raises(ZeroDivisionError):
        recorder.close()


def test_nothing_is_counted_while_it_is_held_not_even_the_rest_of_a_text():
    class Long(Words):
        def __init__(self) -> None:
            super().__init__()
            self.pieces: list[str] = []
            self.may_end = threading.Event()

        def count_text(self, text: str, *, between=lambda: None) -> int:
            for piece in text.split():
                between()
                self.pieces.append(piece)
                assert self.may_end.wait(20) or len(self.pieces) == 1
            return len(text.split())

    counter, journal = Long(), ListJournal()
    recorder = Recorder(journal, counter)
    recorder.start()
    recorder.hold()
    record(recorder, interaction(), "one two three", None)
    time.sleep(0.05)
    assert (counter.pieces, journal.records) == ([], [])
    recorder.go_on()
    wait_for(lambda: counter.pieces == ["one"])
    recorder.hold()
    counter.may_end.set()
    time.sleep(0.05)
    assert counter.pieces == ["one"]
    recorder.close()  # which holds nothing
    assert counter.pieces == ["one", "two", "three"]
    assert len(counted_of(journal)) == 1


def wait_for(is_so) -> None:
    for _ in range(2_000):
        if is_so():
            return
        time.sleep(0.01)
    pytest.fail("it did not come")


class Slow(Words):
    """Has to be waited for."""

    def __init__(self, *known: str) -> None:
        super().__init__(*known)
        self.may_load = threading.Event()
        self.loaded_in: list[str] = []

    def prepare(self) -> None:
        assert self.may_load.wait(20)
        self.loaded_in.append(threading.current_thread().name)


def test_nobody_waits_for_what_the_first_count_needs():
    counter, journal = Slow(), ListJournal()
    recorder = Recorder(journal, counter)
    recorder.start()
    assert not record(recorder, interaction("a", 0), "one two", "three")
    assert not record(recorder, interaction("a", 1), "one two", "three")
    recorder.put(sample(1))
    assert [type(r) for r in journal.records] == [DriverSample]
    counter.may_load.set()
    recorder.close()
    assert [c.history for c in counted_of(journal) if c is not None] == [0, 3]
    assert counter.loaded_in == ["recorder"]


async def test_who_waits_until_counting_is_cheap_has_it_loaded():
    counter = Slow()
    recorder = Recorder(ListJournal(), counter)
    recorder.start()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(recorder.ready)
        await anyio.lowlevel.checkpoint()
        assert counter.loaded_in == []
        counter.may_load.set()
    assert counter.loaded_in == ["recorder"]
    await recorder.ready()
    recorder.close()
    assert counter.loaded_in == ["recorder"]


async def test_what_was_prepared_is_not_waited_for():
    counter = Slow()
    counter.may_load.set()
    recorder = Recorder(ListJournal(), counter)
    recorder.prepare()
    await recorder.ready()  # its thread was never started
    assert counter.loaded_in == ["MainThread"]


def test_a_recorder_that_nobody_used_loads_nothing():
    recorder = Recorder(ListJournal(), Slow())
    recorder.start()
    recorder.close()


async def test_a_counter_that_cannot_be_loaded_is_told_and_keeps_nobody_waiting():
    class Damaged(Words):
        def prepare(self) -> None:
            raise AgentProfilerError("the rank file is damaged")

    recorder = Recorder(ListJournal(), Damaged())
    recorder.start()
    await recorder.ready()
    assert "damaged" in str(recorder.failure)
    with pytest.raises(AgentProfilerError, match="damaged"):
        recorder.close()
