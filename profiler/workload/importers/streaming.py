"""From a file to its sessions, one at a time: each is `Imported`, or a `Problem` and skipped."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import orjson

from profiler.workload.importers import gathered, openai_messages, sharegpt
from profiler.workload.importers.frames import lines, lines_or_items
from profiler.workload.importers.kinds import ImportKind
from profiler.workload.importers.messages import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, BinaryIO

    from profiler.workload.importers.frames import Frame
    from profiler.workload.importers.messages import Session


class Imported(NamedTuple):
    """A session, and where it stands: its first line, its first byte, its length in bytes."""

    line: int
    offset: int
    length: int
    session: Session


class Problem(NamedTuple):
    """What could not be taken, and the line where it begins, None where that is not known."""

    line: int | None
    what: str


def sessions(stream: BinaryIO, kind: ImportKind) -> Iterator[Imported | Problem]:
    """Yield every session of a file, in order, in memory that does not grow with the file."""
    cut, read = _READERS[kind]
    for frame in cut(stream):
        yield _imported(frame, read)


def session_at(stream: BinaryIO, kind: ImportKind, offset: int, length: int) -> Session | None:
    """Read one session again, None where the file no longer holds one there."""
    stream.seek(offset)
    try:
        return _READERS[kind][1](orjson.loads(stream.read(length)))
    except (orjson.JSONDecodeError, RefusedError):
        return None


def _imported(frame: Frame, read: Callable[[Any], Session]) -> Imported | Problem:
    line, offset, data, why, parsed = frame
    if why is not None:
        return Problem(line, why)
    try:
        session = read(orjson.loads(data) if parsed is None else parsed)
        return Imported(line if session.line is None else session.line, offset, len(data), session)
    except RefusedError as exc:
        return Problem(line if exc.line is None else exc.line, str(exc))
    except orjson.JSONDecodeError:
        return Problem(line, why_no_json(data))


def why_no_json(data: bytes) -> str:
    """Say why bytes are no JSON: they are no text at all, or text that is none."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return "not UTF-8"
    return "not JSON"


_READERS: dict[
    ImportKind, tuple[Callable[[BinaryIO], Iterator[Frame]], Callable[[Any], Session]]
] = {
    ImportKind.OPENAI_MESSAGES: (lines, openai_messages.session),
    ImportKind.SHAREGPT: (lines_or_items, sharegpt.session),
    # What `turns` makes of these is a file of its own.
    ImportKind.OTEL: (lines, gathered.session),
    ImportKind.HAR: (lines, gathered.session),
    ImportKind.LANGFUSE: (lines, gathered.session),
}
