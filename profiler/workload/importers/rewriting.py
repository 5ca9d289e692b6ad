"""The second pass: the chosen sessions as lines of a conversations file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from profiler.errors import UsageError
from profiler.workload.importers.messages import TOO_DEEP
from profiler.workload.importers.streaming import Imported, session_at, sessions
from profiler.workload.importers.survey import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import BinaryIO

    from profiler.workload.conversations import Message
    from profiler.workload.importers.kinds import ImportKind
    from profiler.workload.importers.messages import Session
    from profiler.workload.importers.redact import Redactor
    from profiler.workload.importers.sample import Place


class Rewriter:
    """Yields lines, and keeps in `taken` what was in them.

    Every session gets an id of its own: that of the file, `line-12` where it has none, and
    `name-line-12` where another took it.
    """

    def __init__(
        self,
        *,
        redactor: Redactor | None = None,
        count: Callable[[Message], int] | None = None,
    ) -> None:
        self.taken = Tally()
        self._redactor = redactor
        self._count = count
        self._used: set[str] = set()

    def lines(
        self, stream: BinaryIO, kind: ImportKind, chosen: Sequence[Place] | None
    ) -> Iterator[bytes]:
        """Yield the chosen sessions, or all. Raises UsageError where the file has changed."""
        if chosen is None:
            for item in sessions(stream, kind):
                if isinstance(item, Imported):
                    yield self._line(item.session, item.line)
            return
        for offset, length, line in chosen:
            session = session_at(stream, kind, offset, length)
            if session is None:
                what = "the file was changed while it was imported"
                raise UsageError(what, where=f"line {line}", fix="Import it again")
            yield self._line(session, line)

    def _line(self, session: Session, line: int) -> bytes:
        self.taken.add(session, self._count)
        messages = session.messages
        name = f"line-{line}" if session.id is None else session.id
        if self._redactor is not None:
            messages = [self._redactor.message(message) for message in messages]
            name = self._redactor.text(name)
        record: dict[str, Any] = {"id": self._own(name, line), "messages": messages}
        if session.think_times_s is not None:
            record["think_times_s"] = session.think_times_s
        try:
            return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)
        except orjson.JSONEncodeError as exc:
            fix = "Remove it from the file"
            raise UsageError(f"a session with {TOO_DEEP}", where=f"line {line}", fix=fix) from exc

    def _own(self, name: str, line: int) -> str:
        if name in self._used:
            name = f"{name}-line-{line}"
        while name in self._used:
            name += "-again"
        self._used.add(name)
        return name
