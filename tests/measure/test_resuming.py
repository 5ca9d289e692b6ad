"""The journal of a resumed run reads as one: on one clock, and each interaction once."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import orjson
import pytest

from profiler.errors import JournalError
from profiler.measure import JOURNAL_NAME
from profiler.measure.journal import (
    JournalWriter,
    find_resumes,
    read_as_written,
    read_journal,
    to_line,
)
from profiler.measure.records import (
    End,
    EndReason,
    Interaction,
    LlmCall,
    Observer,
    Outcome,
    Phase,
    Resumed,
    Run,
    Timeline,
)
from profiler.measure.syncing import Fsync
from tests.measure.test_journal import RUN
from tests.measure.test_reached import turn

S = 1_000_000_000
FIRST = dataclasses.replace(RUN, started_wall_ns=1000 * S, started_monotonic_ns=100 * S)
AGAIN = Resumed(
    number=1,
    tool_version="0.1",
    resumed_wall_ns=1060 * S,  # a minute later, on a machine that has started anew
    resumed_monotonic_ns=5 * S,
    superseded=("1",),
)


def written(folder: Path, *records: object) -> Path:
    file = folder / JOURNAL_NAME
    file.write_bytes(b"".join(map(to_line, records)))  # type: ignore[arg-type]
    return file


def call(clock: Timeline) -> LlmCall:
    return LlmCall(
        trace_id="t",
        observer=Observer.RESPONSE,
        clock=clock,
        start_ns=6 * S,
        outcome=Outcome.OK,
    )


def test_times_of_a_resumed_run_are_on_its_first_clock(tmp_path):
    """By hand: the second process's 6 s are the wall's 1061 s, which are the first's 161 s."""
    after = turn(2, 0, at_s=6)
    end = End(at_ns=6 * S, reason=EndReason.COMPLETED)
    of_agent, of_harness = call(Timeline.AGENT), call(Timeline.HARNESS)
    written(tmp_path, FIRST, turn(0, 0, at_s=101), AGAIN, after, of_agent, of_harness, end)
    _, before, _, later, agents, ours, ended = read_journal(tmp_path)
    assert isinstance(before, Interaction)
    assert isinstance(later, Interaction)
    assert before.send_ns == 101 * S
    assert (later.send_ns, later.end_ns, later.intended_start_ns) == (161 * S, 161 * S, None)
    assert agents == of_agent  # a clock that is not ours
    assert ours == dataclasses.replace(of_harness, start_ns=161 * S)
    assert ended == dataclasses.replace(end, at_ns=161 * S)


def test_interactions_of_sessions_that_were_begun_anew_are_superseded(tmp_path):
    written(tmp_path, FIRST, turn(0, 0), turn(1, 0), AGAIN, turn(1, 0, of="again-"))
    found = [r for r in read_journal(tmp_path) if isinstance(r, Interaction)]
    assert [(i.session, i.phase) for i in found] == [
        ("0", Phase.MEASURE),
        ("1", Phase.SUPERSEDED),
        ("again-1", Phase.MEASURE),
    ]
    as_written = [r for r in read_as_written(tmp_path) if isinstance(r, Interaction)]
    assert {i.phase for i in as_written} == {Phase.MEASURE}


def test_only_events_that_are_asked_for_are_read_of_a_resumed_run_too(tmp_path):
    end = End(at_ns=6 * S, reason=EndReason.COMPLETED)
    written(tmp_path, FIRST, turn(0, 0), AGAIN, turn(1, 0), end)
    kinds = [type(record) for record in read_journal(tmp_path, frozenset({"end"}))]
    assert kinds == [Run, End]
    assert find_resumes(tmp_path / JOURNAL_NAME) == (AGAIN,)


def test_a_text_that_looks_like_the_event_is_none(tmp_path):
    text = dataclasses.replace(turn(0, 0), error_detail='\n{"event":"resumed","number":1}')
    assert find_resumes(written(tmp_path, FIRST, text)) == ()


def test_a_resumed_event_that_is_damaged_is_said(tmp_path):
    file = written(tmp_path, FIRST, AGAIN)
    file.write_bytes(file.read_bytes().replace(b'"number":1', b'"nomber":1'))
    with pytest.raises(JournalError, match="`resumed` event is damaged"):
        list(read_journal(tmp_path))


@pytest.mark.parametrize("cut", [2, 20, 150])
def test_a_torn_last_line_is_cut_off_before_a_run_goes_on(tmp_path, cut):
    file = written(tmp_path, FIRST, turn(0, 0), turn(1, 0))
    os.truncate(file, file.stat().st_size - cut)
    writer = JournalWriter(file, resume=True)
    writer.append([turn(2, 0)])
    writer.close()
    found = [r.session for r in read_journal(tmp_path) if isinstance(r, Interaction)]
    assert found == ["0", "2"]


def test_a_last_line_that_lacks_only_its_end_is_kept(tmp_path):
    file = written(tmp_path, FIRST, turn(0, 0))
    os.truncate(file, file.stat().st_size - 1)
    writer = JournalWriter(file, resume=True)
    writer.append([turn(1, 0)])
    writer.close()
    found = [r.session for r in read_journal(tmp_path) if isinstance(r, Interaction)]
    assert found == ["0", "1"]


def test_a_tail_of_zeros_as_a_power_failure_leaves_it_is_cut_off(tmp_path):
    file = written(tmp_path, FIRST, turn(0, 0))
    whole = file.read_bytes()
    file.write_bytes(whole + bytes(200_000))
    JournalWriter(file, resume=True).close()
    assert file.read_bytes() == whole


def test_a_journal_without_a_whole_first_line_cannot_be_gone_on_with(tmp_path):
    file = written(tmp_path, FIRST)
    os.truncate(file, 50)
    with pytest.raises(JournalError, match=r"no whole first line.*Run the workload again"):
        JournalWriter(file, resume=True)
    with pytest.raises(JournalError, match="cannot open the journal: No such file"):
        JournalWriter(tmp_path / "other", resume=True)


def test_two_writers_cannot_hold_one_journal(tmp_path):
    file = tmp_path / JOURNAL_NAME
    first = JournalWriter(file)
    first.append([FIRST])
    with pytest.raises(JournalError, match="another process is writing"):
        JournalWriter(file, resume=True)
    first.close()
    JournalWriter(file, resume=True).close()


@pytest.mark.parametrize(
    ("mode", "least", "most"),
    [(Fsync.ALWAYS, 1, 500), (Fsync.INTERVAL, 1, 20), (Fsync.NEVER, 0, 0)],
)
def test_what_was_written_is_forced_to_the_disk_as_often_as_asked_for(
    tmp_path, monkeypatch, mode, least, most
):
    synced: list[int] = []
    file = tmp_path / JOURNAL_NAME
    size = os.fstat
    monkeypatch.setattr(os, "fdatasync", lambda fd: synced.append(size(fd).st_size))
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(size(fd).st_size))
    writer = JournalWriter(file, fsync=mode)
    for number in range(200):
        writer.append([FIRST if number == 0 else turn(number, 0)])
    writer.close()
    assert least <= len(synced) <= most
    if least:
        assert synced[-1] == file.stat().st_size  # at the end, all of it


def test_a_disk_that_fails_when_it_is_told_to_keep_ends_the_writing(tmp_path, monkeypatch):
    def refuse(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", refuse)
    writer = JournalWriter(tmp_path / JOURNAL_NAME, fsync=Fsync.ALWAYS)
    writer.append([FIRST])
    thread = writer._syncer._thread
    assert thread is not None
    thread.join()
    with pytest.raises(JournalError, match=r"Input/output error.*run --resume"):
        writer.append([turn(0, 0)])
    with pytest.raises(JournalError, match="Input/output error"):
        writer.close()


def test_a_disk_that_is_full_leaves_a_journal_that_can_be_read_and_gone_on_with(tmp_path):
    """A limit on the size of files stands in for the full disk; it holds in a child only."""
    file = tmp_path / JOURNAL_NAME
    child = os.fork()
    if child == 0:  # pragma: no cover - another process
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
        writer = JournalWriter(file)
        writer.append([FIRST])
        try:
            for number in range(1000):
                writer.append([turn(number, 0, last=True)])
        except JournalError:
            os._exit(7)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    kept = [r for r in read_journal(tmp_path) if isinstance(r, Interaction)]
    line = len(to_line(turn(0, 0, last=True)))
    # As many whole lines as there was room for, within the digits of their numbers.
    assert (5000 - len(to_line(FIRST))) // (line + 8) <= len(kept) <= 5000 // line
    writer = JournalWriter(file, resume=True)
    writer.append([AGAIN])
    writer.close()
    assert orjson.loads(file.read_bytes().splitlines()[-1])["event"] == "resumed"
