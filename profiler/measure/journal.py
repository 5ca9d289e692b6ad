"""The journal: the append-only event log of a run, one JSON object a line, `"event"` first.

A field that is absent was not observed. A torn last line (the run was killed while writing it) is
no error; a torn line anywhere else is.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from types import UnionType
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin, get_type_hints

import orjson

from profiler.errors import JournalError
from profiler.measure import JOURNAL_NAME
from profiler.measure.records import (
    SCHEMA_VERSION,
    Backoff,
    ClientTokens,
    DriverSample,
    End,
    Interaction,
    LlmAttempt,
    LlmCall,
    ObserverNote,
    RateLimit,
    Record,
    Run,
    StateDelta,
    StateOp,
    TokenParts,
    ToolCall,
    ToolRoundTrip,
    Usage,
    Watched,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path


_EVENTS: dict[str, type[Any]] = {
    "run": Run,
    "interaction": Interaction,
    "llm_call": LlmCall,
    "llm_attempt": LlmAttempt,
    "tool_call": ToolCall,
    "tool_round_trip": ToolRoundTrip,
    "state_op": StateOp,
    "state_delta": StateDelta,
    "watched": Watched,
    "observer_note": ObserverNote,
    "driver": DriverSample,
    "backoff": Backoff,
    "end": End,
}


@dataclass(frozen=True, slots=True)
class _Shape:
    """How one kind of record is written and read, found out once and not for each line."""

    names: tuple[str, ...]
    readers: tuple[tuple[str, Callable[[Any], Any]], ...]
    fill: Callable[[Any, dict[str, Any]], dict[str, Any]]


def _shape_of(kind: type[Any]) -> _Shape:
    names = tuple(f.name for f in fields(kind))
    hints = get_type_hints(kind)
    nested = {name for name in names if is_dataclass(_plain_type(hints[name]))}
    readers = ((name, reader) for name in names if (reader := _reader_for(hints[name])))
    return _Shape(names, tuple(readers), _compile_fill(names, nested))


def _compile_fill(
    names: tuple[str, ...], nested: set[str]
) -> Callable[[Any, dict[str, Any]], dict[str, Any]]:
    """Make the function that puts a record's fields into a dict, but for its None ones.

    Written out field by field, as `dataclasses` writes `__init__`: a loop over the fields costs
    four times as much, and this runs for every line of a run.
    """
    lines = ["def fill(record, plain):"]
    for name in names:
        value = "_plain(value)" if name in nested else "value"
        lines.append(f" value = record.{name}")
        lines.append(f" if value is not None: plain[{name!r}] = {value}")
    lines.append(" return plain")
    namespace: dict[str, Any] = {"_plain": _plain}
    exec("\n".join(lines), namespace)  # noqa: S102 - made of our own records' field names only
    fill: Callable[[Any, dict[str, Any]], dict[str, Any]] = namespace["fill"]
    return fill


def _plain(record: Any) -> dict[str, Any]:
    return _SHAPES[type(record)].fill(record, {})


def _plain_type(hint: Any) -> Any:
    """Return `X` for `X | None`, and any other type as it is."""
    if get_origin(hint) in (Union, UnionType):
        return next(arg for arg in get_args(hint) if arg is not type(None))
    return hint


def _reader_for(hint: Any) -> Callable[[Any], Any] | None:
    """Return what turns a JSON value into `hint`, or None where JSON already has the type."""
    kind = _plain_type(hint)
    if get_origin(kind) is tuple:
        return tuple
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind
    if isinstance(kind, type) and is_dataclass(kind):
        return lambda value: _build(kind, value)
    return None


_SHAPES = {
    kind: _shape_of(kind)
    for kind in (*_EVENTS.values(), Usage, TokenParts, ClientTokens, RateLimit)
}
_WRITERS = {kind: (name, _SHAPES[kind].fill) for name, kind in _EVENTS.items()}


def to_line(record: Record) -> bytes:
    """Encode a record as one journal line, newline included.

    Lone surrogates, which UTF-8 cannot hold, become `?`; infinite and undefined floats `null`.
    """
    name, fill = _WRITERS[type(record)]
    event = fill(record, {"event": name})
    try:
        return orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE)
    except orjson.JSONEncodeError:
        # A text from the target with a lone surrogate in it, or an integer beyond 64 bits: both
        # can come out of JSON, and neither may end a run.
        text = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
        return text.encode("utf-8", "replace") + b"\n"


class JournalWriter:
    """Appends records to a journal file. Each `append` is one write to the operating system.

    So what was appended survives the end of this process, however it comes. Not safe to use from
    several threads at once. A failing write raises `JournalError`; nothing is swallowed. Of an
    `append` that failed nothing stays behind: half a line in the middle would make the journal
    unreadable.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
        except FileExistsError as exc:
            raise JournalError(
                "a journal is already there",
                where=str(path),
                fix="Give another --out directory: a journal is never overwritten",
            ) from exc
        except OSError as exc:
            raise JournalError(
                f"cannot create the journal: {exc.strerror}",
                where=str(path),
                fix="Give --out a directory that is writable",
            ) from exc
        self.closed = False
        self._torn = False

    def append(self, records: Iterable[Record]) -> None:
        """Write the records, each on its line, in one go. Raises `JournalError`."""
        view = memoryview(b"".join(to_line(record) for record in records))
        if self.closed or self._torn:
            raise self._write_error("it was closed, or half a line was written, before")
        written = 0
        try:
            while written < len(view):
                written += os.write(self._fd, view[written:])
        except OSError as exc:
            self._take_back(written)
            raise self._write_error(exc.strerror) from exc

    def _take_back(self, written: int) -> None:
        """Cut off the `written` bytes of an append that failed; if that fails, write no more."""
        if not written:
            return
        self._torn = True
        with suppress(OSError):  # the error that led here is the one to report
            os.ftruncate(self._fd, os.fstat(self._fd).st_size - written)
            self._torn = False

    def close(self) -> None:
        """Force what was written to the disk and close the file. May be called twice.

        Raises `JournalError` if the disk does not take it.
        """
        if self.closed:
            return
        self.closed = True
        try:
            os.fsync(self._fd)
        except OSError as exc:
            raise self._write_error(exc.strerror) from exc
        finally:
            os.close(self._fd)

    def _write_error(self, problem: str | None) -> JournalError:
        return JournalError(
            f"cannot write the journal: {problem}",
            where=str(self.path),
            fix=(
                "What was written before is kept: free space, then "
                f"`agent-profiler profile {self.path.parent}`"
            ),
        )


def _build(kind: type[Any], value: dict[str, Any]) -> Any:
    for name, reader in _SHAPES[kind].readers:
        if name in value:
            value[name] = reader(value[name])
    try:
        return kind(**value)
    except TypeError:
        # A newer version of this schema may have added fields: what we know is still true.
        return kind(**{name: value[name] for name in _SHAPES[kind].names if name in value})


def read_journal(path: Path, events: frozenset[str] | None = None) -> Iterator[Record]:
    """Yield the records of a journal in the order in which they were written.

    Given `events`, only those of these names and the first: the others cost less than half of it.

    `path` is a journal file or the run directory that holds one. Events of unknown names are
    skipped. Raises `JournalError` for a file that is no journal, or that is damaged in its middle.
    """
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
            kind = _EVENTS.get(name)
        except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError) as exc:
            if not line.endswith(b"\n") and number > 1:
                return  # torn: the writer was killed in the middle of this line
            raise _damaged(file, number) from exc
        if number == 1:
            _check_first(kind, event, file)
        if kind is None or (events is not None and number > 1 and name not in events):
            continue
        try:
            record = _build(kind, event)
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
    return JournalError(
        "the line is damaged",
        where=f"{file}:{number}",
        fix="Only the last line of a killed run may be torn: restore the file from a copy",
    )
