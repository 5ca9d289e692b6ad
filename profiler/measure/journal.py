"""The journal: the append-only event log of a run, one JSON object a line, `"event"` first.

A field that is absent was not observed. A torn last line (the run was killed while writing it) is
no error; a torn line anywhere else is. A run that is resumed appends to the journal that it has.
"""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING, Any

import orjson

from profiler.errors import JournalError
from profiler.measure import JOURNAL_NAME
from profiler.measure.lines import EVENTS, build, to_line
from profiler.measure.records import SCHEMA_VERSION, Resumed, Run
from profiler.measure.resuming import on_one_clock
from profiler.measure.writing import JournalWriter, nothing_sent

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from profiler.measure.records import Record

__all__ = ["JournalWriter", "find_resumes", "read_as_written", "read_journal", "to_line"]

_RESUMED = "resumed"
_RESUMED_LINE = b'\n{"event":"resumed",'


def read_journal(path: Path, events: frozenset[str] | None = None) -> Iterator[Record]:
    """Yield the records of a journal in the order in which they were written.

    Given `events`, only those of these names and the first: the others cost less than half of it.
    Of a resumed run all times are on the clock of its first process, and interactions of sessions
    that were begun anew are of the phase `superseded`.

    `path` is a journal file or the run directory that holds one. Events of unknown names are
    skipped. Raises `JournalError` for a file that is no journal, or that is damaged in its middle.
    """
    file = path / JOURNAL_NAME if path.is_dir() else path
    resumes = find_resumes(file)
    if not resumes:
        yield from read_as_written(file, events)
        return
    needed = None if events is None else events | {_RESUMED}
    for record in on_one_clock(read_as_written(file, needed), resumes):
        if events is None or _RESUMED in events or not isinstance(record, Resumed):
            yield record


def find_resumes(file: Path) -> tuple[Resumed, ...]:
    """Return the `resumed` events of a journal, without reading the other lines.

    None where there is no such file, which is for whoever reads it to say.
    """
    found = []
    try:
        with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, prot=mmap.PROT_READ) as data:
            at = data.find(_RESUMED_LINE)
            while at >= 0:
                data.seek(at + 1)
                line = data.readline()
                if line.endswith(b"\n"):
                    found.append(_resumed(line, file))
                at = data.find(_RESUMED_LINE, at + 1)
    except (OSError, ValueError):  # no file, an empty one, or one that is a pipe
        return ()
    return tuple(found)


def _resumed(line: bytes, file: Path) -> Resumed:
    try:
        event = orjson.loads(line)
        del event["event"]
        record: Resumed = build(Resumed, event)
    except (TypeError, ValueError, AttributeError) as exc:
        raise JournalError(
            "a `resumed` event is damaged", where=str(file), fix="Restore the file from a copy"
        ) from exc
    return record


def read_as_written(path: Path, events: frozenset[str] | None = None) -> Iterator[Record]:
    """Yield the records as `read_journal` does, but each as the process wrote that sent it."""
    file = path / JOURNAL_NAME if path.is_dir() else path
    try:
        stream = file.open("rb")
    except OSError as exc:
        raise JournalError(
            f"cannot read the journal: {exc.strerror}",
            where=str(file),
            fix="Give the directory of a run, as `agent-profiler run` printed it",
        ) from exc
    with stream:
        yield from _records(stream, file, events)


def _records(lines: Iterable[bytes], file: Path, events: frozenset[str] | None) -> Iterator[Record]:
    number = 0
    for number, line in enumerate(lines, 1):
        try:
            event = orjson.loads(line)
            name = event.pop("event")
            kind = EVENTS.get(name)
        except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError) as exc:
            if line.endswith(b"\n"):
                raise _damaged(file, number) from exc
            if number == 1:
                raise nothing_sent(file) from exc
            return  # torn: the writer was killed in the middle of this line
        if number == 1:
            _check_first(kind, event, file)
        if kind is None or (events is not None and number > 1 and name not in events):
            continue
        try:
            record = build(kind, event)
        except (TypeError, ValueError, AttributeError) as exc:
            raise _damaged(file, number) from exc
        yield record
    if number == 0:
        raise JournalError("the journal is empty", where=str(file), fix="Run the workload again")


def _check_first(kind: type[Any] | None, event: dict[str, Any], file: Path) -> None:
    if kind is not Run:
        raise JournalError(
            "the first line is no `run` event: this is no journal of agent-profiler",
            where=f"{file}:1",
            fix="Give a journal.jsonl, or the run directory that holds it",
        )
    version = event.get("schema_version")
    if not isinstance(version, int):
        raise _damaged(file, 1)
    if version > SCHEMA_VERSION:
        raise JournalError(
            f"journal schema version {version} is newer than this tool reads ({SCHEMA_VERSION})",
            where=f"{file}:1",
            fix="Upgrade agent-profiler",
        )


def _damaged(file: Path, number: int) -> JournalError:
    before = number - 1
    kept = f", or keep what is before it: its first {before} lines are a journal" if before else ""
    return JournalError(
        "the line is damaged",
        where=f"{file}:{number}",
        fix=f"Only the last line of a killed run may be torn: restore the file from a copy{kept}",
    )
