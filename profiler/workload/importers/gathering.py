"""What the sources of turns have in common: how they tell what they find, and what they return."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import orjson

from profiler.workload.importers.gathered import WITHOUT_TEXT
from profiler.workload.importers.messages import RefusedError
from profiler.workload.importers.streaming import Problem, why_no_json
from profiler.workload.importers.turns import CUT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType
    from typing import Any

    from profiler.workload.importers.frames import Frame
    from profiler.workload.importers.grouping import Groups
    from profiler.workload.importers.survey import Survey
    from profiler.workload.importers.turns import Turn

_EVERY = 64


@dataclass(slots=True)
class Gathering:
    """Turns as they are gathered by session, and what was found on the way."""

    turns: Groups
    found: Survey
    least_input: dict[str, int] = field(default_factory=dict)

    def add(self, turn: Turn) -> None:
        """Keep a turn, unless nothing tells what the user said or how long it was."""
        if turn.user is None and (not turn.calls or turn.calls[0].input_tokens is None):
            self.skip(turn.line, WITHOUT_TEXT)
            return
        self.turns.add(turn.session.encode(errors="replace"), turn.record())
        if turn.calls and (size := turn.calls[0].input_tokens) is not None:
            known = self.least_input.get(turn.agent)
            if known is not None or len(self.least_input) < _MOST_AGENTS:
                self.least_input[turn.agent] = size if known is None else min(known, size)

    def skip(self, line: int | None, why: str) -> None:
        """Say that something was skipped."""
        self.found.skip(Problem(line, why))

    def refusing(self, line: int) -> _Refusing:
        """Skip what is refused within."""
        return _Refusing(self, line)

    def dropped(self, records: int) -> None:
        """Say how many records did not fit."""
        for _ in range(records):
            self.skip(None, CUT)

    def objects(
        self, frames: Iterable[Frame], advanced: Callable[[Frame], None] | None = None
    ) -> Iterator[tuple[int, bytes, dict[str, Any]]]:
        """Yield the JSON objects of a file: line, bytes, object; what is none is skipped."""
        for number, frame in enumerate(frames):
            if advanced is not None and number % _EVERY == 0:
                advanced(frame)
            line, _, data, why, parsed = frame
            if why is not None:
                self.skip(line, why)
                continue
            try:
                record = orjson.loads(data) if parsed is None else parsed
            except orjson.JSONDecodeError:
                self.skip(line, why_no_json(data))
                continue
            if isinstance(record, dict):
                yield line, data, record
            else:
                self.skip(line, "not a JSON object")


_MOST_AGENTS = 10_000


class _Refusing:
    """A class, not a generator: there is one for every record."""

    __slots__ = ("_into", "_line")

    def __init__(self, into: Gathering, line: int) -> None:
        self._into = into
        self._line = line

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if isinstance(exc, RefusedError):
            self._into.skip(self._line, str(exc))
            return True
        return False
