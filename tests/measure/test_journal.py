"""What was appended can be read again, whatever ended the run; what is damaged is said."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
from enum import Enum
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.errors import JournalError
from profiler.measure import JOURNAL_NAME, journal
from profiler.measure.journal import JournalWriter, read_journal, to_line
from profiler.measure.records import (
    SCHEMA_VERSION,
    DriverSample,
    End,
    EndReason,
    Interaction,
    LlmAttempt,
    LlmCall,
    Observer,
    ObserverNote,
    Outcome,
    Phase,
    RateLimit,
    Record,
    Run,
    StateDelta,
    StateKind,
    StateOp,
    Timeline,
    TokenParts,
    ToolCall,
    ToolRoundTrip,
    Usage,
    Watched,
)

KINDS: list[type[Any]] = [
    Interaction,
    LlmCall,
    LlmAttempt,
    ToolCall,
    ToolRoundTrip,
    StateOp,
    StateDelta,
    Watched,
    ObserverNote,
    DriverSample,
    End,
]

RUN = Run(
    run_id="r1",
    tool_version="0.1",
    argv=("run", "smoke.yaml"),
    started_wall_ns=1,
    started_monotonic_ns=2,
    workload="smoke",
    digests={"workload": "abc"},
    seeds={"sessions": 1},
    host={"cpus": 4},
    target={"url": "http://127.0.0.1:1"},
    load={"users": 2},
    encoding="o200k_base",
    observers=("client",),
)
TOOL = ToolCall(
    trace_id="t",
    observer=Observer.RESPONSE,
    clock=Timeline.AGENT,
    name="search",
    outcome=Outcome.OK,
)
END = End(at_ns=9, reason=EndReason.COMPLETED)

json_values = st.none() | st.booleans() | st.text(max_size=5) | st.lists(st.integers(0, 9))
SCALARS: dict[Any, st.SearchStrategy[Any]] = {
    # What orjson can write: integers of 64 bits and finite floats.
    int: st.integers(-(2**63), 2**63 - 1),
    float: st.floats(allow_nan=False, allow_infinity=False),
    str: st.text(max_size=20),
    bool: st.booleans(),
    Any: json_values,
}


def values_of(hint: Any) -> st.SearchStrategy[Any]:
    if hint in SCALARS:
        return SCALARS[hint]
    if get_origin(hint) is UnionType:
        kind, none = get_args(hint)
        assert none is type(None)
        return st.none() | values_of(kind)
    if get_origin(hint) is tuple:
        return st.lists(values_of(get_args(hint)[0]), max_size=3).map(tuple)
    if get_origin(hint) is dict:
        return st.dictionaries(*map(values_of, get_args(hint)), max_size=3)
    return st.sampled_from(list(hint)) if issubclass(hint, Enum) else record_of(hint)


@cache  # a strategy that is made anew for each example is examined anew, for 20 ms
def record_of(kind: type[Any]) -> st.SearchStrategy[Any]:
    return st.builds(kind, **{name: values_of(hint) for name, hint in get_type_hints(kind).items()})


def written(tmp_path: Path, *lines: bytes) -> Path:
    file = tmp_path / JOURNAL_NAME
    file.write_bytes(b"".join(lines))
    return file


def line_of(record: Record, **changes: Any) -> bytes:
    return orjson.dumps({**orjson.loads(to_line(record)), **changes}) + b"\n"


@pytest.mark.parametrize("kind", [Run, *KINDS])
@given(data=st.data())
def test_a_record_is_read_as_it_was_written(kind, data):
    record = data.draw(record_of(kind))
    name, *_ = next(iter(orjson.loads(to_line(record)).items()))
    assert name == "event"
    if kind is Run:
        record = dataclasses.replace(record, schema_version=SCHEMA_VERSION)
    lines = [to_line(record)] if kind is Run else [to_line(RUN), to_line(record)]
    assert list(journal._records(lines, Path("j"), None))[-1] == record


def test_a_run_is_read_in_the_order_in_which_it_was_written(tmp_path):
    records: list[Record] = [
        RUN,
        TOOL,
        StateOp(
            trace_id="t", observer=Observer.RESPONSE, store="redis", kind=StateKind.READ, count=0
        ),
        END,
    ]
    writer = JournalWriter(tmp_path / JOURNAL_NAME)
    writer.append(records[:1])
    writer.append(records[1:])
    writer.append([])
    writer.close()
    assert list(read_journal(tmp_path)) == records
    assert list(read_journal(tmp_path / JOURNAL_NAME)) == records


def test_only_events_that_are_asked_for_are_read_and_the_run(tmp_path):
    written(tmp_path, *map(to_line, (RUN, TOOL, END)))
    assert list(read_journal(tmp_path, frozenset({"end"}))) == [RUN, END]


def test_a_line_begins_with_its_event_and_leaves_out_what_was_not_observed():
    assert to_line(TOOL) == (
        b'{"event":"tool_call","trace_id":"t","observer":"response","clock":"agent",'
        b'"name":"search","outcome":"ok"}\n'
    )
    call = LlmCall(
        trace_id="t",
        observer=Observer.GATEWAY,
        clock=Timeline.HARNESS,
        outcome=Outcome.OK,
        usage=Usage(input_tokens=0),
        tokens=TokenParts(),
        rate_limit=RateLimit(retry_after_ns=5),
        tool_calls=(),
    )
    assert to_line(call) == (
        b'{"event":"llm_call","trace_id":"t","observer":"gateway","clock":"harness",'
        b'"outcome":"ok","usage":{"input_tokens":0},"tokens":{},'
        b'"rate_limit":{"retry_after_ns":5},"tool_calls":[]}\n'
    )


def test_what_was_appended_is_there_before_the_journal_is_closed(tmp_path):
    writer = JournalWriter(tmp_path / JOURNAL_NAME)
    writer.append([RUN, TOOL])
    assert list(read_journal(tmp_path)) == [RUN, TOOL]
    writer.close()
    writer.close()


@pytest.mark.parametrize("cut", [1, 2, 20])
def test_a_torn_last_line_is_left_out(tmp_path, cut):
    torn = to_line(TOOL)[: -1 - cut]
    assert list(read_journal(written(tmp_path, to_line(RUN), to_line(TOOL), torn))) == [RUN, TOOL]


def test_a_last_line_that_lacks_only_its_end_is_read(tmp_path):
    file = written(tmp_path, to_line(RUN), to_line(TOOL)[:-1])
    assert list(read_journal(file)) == [RUN, TOOL]


@pytest.mark.parametrize(
    "line",
    [
        to_line(TOOL)[:-9] + b"\n",
        b"\n",
        b"5\n",
        b"[]\n",
        b"{}\n",
        b'{"event":[]}\n',
        b'{"event":"tool_call"}\n',
        line_of(TOOL, outcome="splendid"),
        line_of(
            LlmCall(trace_id="t", observer=Observer.OTEL, clock=Timeline.AGENT, outcome=Outcome.OK),
            usage=5,
        ),
        b"\xff\xfe\n",
    ],
)
def test_a_damaged_line_in_the_middle_is_an_error_that_names_it(tmp_path, line):
    file = written(tmp_path, to_line(RUN), to_line(TOOL), line, to_line(END))
    with pytest.raises(JournalError) as caught:
        list(read_journal(file))
    assert str(caught.value).startswith(f"{file}:3: the line is damaged. ")
    assert "\n" not in str(caught.value)


def test_an_empty_journal_is_an_error(tmp_path):
    with pytest.raises(JournalError, match="empty"):
        list(read_journal(written(tmp_path)))


def test_a_damaged_journal_says_how_many_lines_of_it_are_good_which_are_a_journal(tmp_path):
    lines = (to_line(RUN), to_line(TOOL), b"\0" * 9 + b"\n", to_line(END))
    with pytest.raises(JournalError, match="its first 2 lines are a journal"):
        list(read_journal(written(tmp_path, *lines)))
    (tmp_path / JOURNAL_NAME).unlink()
    assert list(read_journal(written(tmp_path, *lines[:2]))) == [RUN, TOOL]


@pytest.mark.parametrize("line", [b"PK\x03\x04\n", b'{"a":1}\n'])
def test_a_first_line_that_is_no_event_is_an_error(tmp_path, line):
    with pytest.raises(JournalError, match=rf"{JOURNAL_NAME}:1: ") as caught:
        list(read_journal(written(tmp_path, line)))
    assert "its first" not in str(caught.value)


def test_a_run_that_was_killed_within_its_first_line_sent_nothing(tmp_path):
    with pytest.raises(JournalError, match="no whole first line: nothing was sent"):
        list(read_journal(written(tmp_path, to_line(RUN)[:-9])))


@pytest.mark.parametrize("line", [to_line(TOOL), b'{"event":"of_the_future"}\n'])
def test_a_journal_that_does_not_begin_with_its_run_is_refused(tmp_path, line):
    with pytest.raises(JournalError, match="no journal of agent-profiler"):
        list(read_journal(written(tmp_path, line, to_line(RUN))))


def test_a_newer_schema_is_refused_with_what_to_do(tmp_path):
    file = written(tmp_path, line_of(RUN, schema_version=SCHEMA_VERSION + 1))
    with pytest.raises(JournalError, match=r"version 2 is newer .*Upgrade agent-profiler"):
        list(read_journal(file))


@pytest.mark.parametrize("version", [None, "1", 1.5])
def test_a_schema_version_that_is_no_integer_is_damage(tmp_path, version):
    with pytest.raises(JournalError, match=":1: the line is damaged"):
        list(read_journal(written(tmp_path, line_of(RUN, schema_version=version))))


def test_unknown_events_and_fields_are_skipped(tmp_path):
    call = LlmCall(
        trace_id="t",
        observer=Observer.OTEL,
        clock=Timeline.AGENT,
        outcome=Outcome.OK,
        usage=Usage(input_tokens=3),
    )
    file = written(
        tmp_path,
        line_of(RUN, moon="full"),
        b'{"event":"of_the_future","x":1}\n',
        line_of(call, colour="red", usage={"input_tokens": 3, "dream_tokens": 1}),
    )
    assert list(read_journal(file)) == [RUN, call]


def test_a_journal_is_never_overwritten(tmp_path):
    file = written(tmp_path, to_line(RUN))
    with pytest.raises(JournalError, match=r"already there.*--out"):
        JournalWriter(file)
    assert list(read_journal(file)) == [RUN]


def test_a_directory_that_cannot_be_written_is_said_at_once(tmp_path):
    with pytest.raises(JournalError, match=r"No such file or directory.*writable"):
        JournalWriter(tmp_path / "missing" / JOURNAL_NAME)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(JournalError, match="Not a directory"):
        JournalWriter(tmp_path / "file" / JOURNAL_NAME)


def test_a_directory_without_a_journal_is_said(tmp_path):
    with pytest.raises(JournalError, match="cannot read the journal: No such file"):
        list(read_journal(tmp_path))


@pytest.fixture
def full_disk(tmp_path, monkeypatch) -> JournalWriter:
    """A journal on /dev/full, which takes no byte."""
    real_open = os.open
    monkeypatch.setattr(os, "open", lambda *_: real_open("/dev/full", os.O_WRONLY))
    writer = JournalWriter(tmp_path / JOURNAL_NAME)
    monkeypatch.undo()
    return writer


def test_a_full_disk_is_one_line_that_says_what_is_kept(full_disk, tmp_path):
    with pytest.raises(JournalError, match="No space left on device") as caught:
        full_disk.append([RUN])
    assert f"agent-profiler profile {tmp_path}" in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(JournalError, match="No space left"):
        full_disk.append([TOOL])
    with pytest.raises(JournalError, match="cannot write"):  # /dev/full has no fsync
        full_disk.close()
    full_disk.close()


class FillingDisk:
    """os.write on a disk that has room for so many bytes more."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.write = os.write

    def __call__(self, fd: int, data: memoryview) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = self.write(fd, data[: self.room])
        self.room -= taken
        return taken


def test_half_an_append_does_not_stay_in_the_journal(tmp_path, monkeypatch):
    writer = JournalWriter(tmp_path / JOURNAL_NAME)
    writer.append([RUN])
    disk = FillingDisk(room=30)
    monkeypatch.setattr(os, "write", disk)
    with pytest.raises(JournalError, match="No space left"):
        writer.append([TOOL])
    disk.room = 10_000
    writer.append([END])
    writer.close()
    assert list(read_journal(tmp_path)) == [RUN, END]


def test_nothing_is_written_behind_half_a_line_that_cannot_be_taken_back(tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, "I/O error")

    writer = JournalWriter(tmp_path / JOURNAL_NAME)
    writer.append([RUN])
    disk = FillingDisk(room=30)
    monkeypatch.setattr(os, "write", disk)
    monkeypatch.setattr(os, "ftruncate", refuse)
    with pytest.raises(JournalError, match="No space left"):
        writer.append([TOOL])
    disk.room = 10_000
    with pytest.raises(JournalError, match="half a line"):
        writer.append([END])
    writer.close()
    assert list(read_journal(tmp_path)) == [RUN]


def test_a_closed_journal_takes_no_more(tmp_path):
    writer = JournalWriter(tmp_path / JOURNAL_NAME)
    writer.append([RUN])
    writer.close()
    with pytest.raises(JournalError, match="closed"):
        writer.append([TOOL])


def interaction(**fields: Any) -> Interaction:
    return Interaction(
        trace_id="t",
        session="s",
        session_index=0,
        scenario="smoke",
        turn=0,
        phase=Phase.MEASURE,
        send_ns=1,
        end_ns=2,
        outcome=Outcome.AGENT_ERROR,
        **fields,
    )


def test_text_that_utf8_cannot_hold_does_not_end_a_run(tmp_path):
    line = to_line(interaction(error_detail="bad \ud800 text"))
    assert json.loads(line)["error_detail"] == "bad ? text"
    read = list(read_journal(written(tmp_path, to_line(RUN), line)))
    assert read[1] == interaction(error_detail="bad ? text")


def test_an_integer_beyond_64_bits_does_not_end_a_run():
    line = to_line(interaction(usage=Usage(input_tokens=10**30)))
    assert json.loads(line)["usage"] == {"input_tokens": 10**30}
    assert line.startswith(b'{"event":"interaction",')
    assert line.endswith(b"}\n")
