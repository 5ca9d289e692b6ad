"""Joins the records of one interaction, which lie near each other in the journal in any order.

An interaction stays open until `WINDOW` later ones have ended; what was seen inside it may be
journaled that much later. It is then handed on, and forgotten. What bears a trace id whose
interaction has not ended is kept until the journal ends.

Records that come later than that look like those of an interaction that never ended. `belated` then
finds in the journal which of them have one after all; a second reading, told of them, keeps these
open to the end. So the result is the same whatever the order, and memory grows with the disorder
only.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from profiler.measure.records import Interaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from profiler.measure.records import Record
    from profiler.profile.rows import Row

WINDOW = 1000


@dataclass(slots=True)
class Inside:
    """What one observer saw inside an interaction."""

    llm_calls: list[Row] = field(default_factory=list)
    tool_calls: list[Row] = field(default_factory=list)
    state_ops: list[Row] = field(default_factory=list)
    round_trips: list[Row] = field(default_factory=list)
    watched: bool = False
    """Whether the observer said that it saw all there was: without a call, zero is known."""
    is_blind_to_tools: bool = False
    """Whether the observer said that it does not see tool calls."""

    @property
    def events(self) -> int:
        """How many records of something that happened that is."""
        calls = len(self.llm_calls) + len(self.tool_calls)
        return calls + len(self.state_ops) + len(self.round_trips)


@dataclass(slots=True)
class Joined:
    """An interaction and what each observer saw inside it. `session` and `row` are set together."""

    trace: str
    session: str = ""
    row: Row | None = None
    inside: dict[str, Inside] = field(default_factory=dict)

    def seen_by(self, observer: str) -> Inside:
        """Return what an observer saw, to be added to."""
        found = self.inside.get(observer)
        if found is None:
            found = self.inside[observer] = Inside()
        return found


class Joiner:
    """Hands every interaction to `take` once, in the order in which they ended, with its inside.

    `keep_open` are traces whose records lie further apart than the window: they come last.
    """

    def __init__(
        self,
        take: Callable[[Joined], None],
        *,
        window: int = WINDOW,
        keep_open: frozenset[str] = frozenset(),
    ) -> None:
        self._take = take
        self._window = window
        self._keep_open = keep_open
        self._open: dict[str, Joined] = {}
        self._ended: deque[Joined] = deque()
        self._kept: list[Joined] = []
        self.forgot = False
        """Whether interactions were handed on before the journal ended."""

    def of(self, trace: str) -> Joined:
        """Return the interaction of a trace, whether it has ended or not, to be added to."""
        found = self._open.get(trace)
        if found is None:
            found = self._open[trace] = Joined(trace)
        return found

    def end(self, trace: str, session: str, row: Row) -> bool:
        """Take the record of an interaction; tell whether it is kept open to the end."""
        joined = self.of(trace)
        if joined.row is not None:  # a trace id given twice: what comes from now on is the second's
            inside, joined.inside = joined.inside, {}
            joined = self._open[trace] = Joined(trace, inside=inside)
        joined.session, joined.row = session, row
        if trace in self._keep_open:
            self._kept.append(joined)
            return True
        self._ended.append(joined)
        if len(self._ended) > self._window:
            self.forgot = True
            self._hand_on(self._ended.popleft())
        return False

    def _hand_on(self, joined: Joined) -> None:
        if self._open.get(joined.trace) is joined:
            del self._open[joined.trace]
        self._take(joined)

    def close(self) -> dict[str, int]:
        """Hand on all that have ended; return the others' traces and how many records they have."""
        while self._ended:
            self._hand_on(self._ended.popleft())
        while self._kept:
            self._hand_on(self._kept.pop(0))
        return {
            trace: sum(inside.events for inside in joined.inside.values())
            for trace, joined in self._open.items()
        }


def belated(records: Iterable[Record], unmatched: Iterable[str]) -> frozenset[str]:
    """Return which of the traces have an interaction in the journal."""
    wanted = set(unmatched)
    found = {r.trace_id for r in records if isinstance(r, Interaction) and r.trace_id in wanted}
    return frozenset(found)
