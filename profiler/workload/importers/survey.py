"""The first pass over a file: what is in it, what cannot be taken, and which sessions to take."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from profiler.workload.importers.beginnings import Beginnings
from profiler.workload.importers.duplicates import Ids
from profiler.workload.importers.sample import Place, Sampler
from profiler.workload.importers.streaming import Problem, sessions

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from profiler.workload.conversations import Message
    from profiler.workload.importers.kinds import ImportKind
    from profiler.workload.importers.messages import Session

REPEATED = "an id that was used before: such sessions get an id with their line"
_MOST_LINES, _MOST_REASONS = 5, 50
_REST = "for other reasons"


class Findings:
    """How often something was found, and the first lines where; bounded, whatever the file has."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.first_lines: dict[str, list[int]] = {}

    def add(self, what: str, line: int | None) -> None:
        """Count one more; `line` is None where it cannot be told."""
        if what not in self.counts and len(self.counts) >= _MOST_REASONS:
            what = _REST
        self.counts[what] += 1
        lines = self.first_lines.setdefault(what, [])
        if line is not None and len(lines) < _MOST_LINES:
            lines.append(line)

    @property
    def total(self) -> int:
        """How many there are in all."""
        return self.counts.total()


@dataclass(slots=True)
class Tally:
    """Sessions, by their turns; `tokens` is None where none were counted."""

    turns: Counter[int] = field(default_factory=Counter)
    messages: int = 0
    tokens: int | None = None
    think_times_s: array[float] = field(default_factory=lambda: array("d"))

    def add(self, session: Session, count: Callable[[Message], int] | None) -> None:
        """Count a session."""
        self.turns[session.turns] += 1
        self.messages += len(session.messages)
        if session.think_times_s is not None:
            self.think_times_s.extend(time for time in session.think_times_s if time is not None)
        if count is not None:
            self.tokens = (self.tokens or 0) + sum(map(count, session.messages))

    @property
    def sessions(self) -> int:
        """How many sessions there are."""
        return self.turns.total()

    @property
    def interactions(self) -> int:
        """How many turns they have together."""
        return sum(turns * sessions for turns, sessions in self.turns.items())


@dataclass(slots=True)
class Survey:
    """What a file holds. `chosen` are the sessions to take, None for all of them.

    `begun` is when the sessions that have a time began.
    `recognised` counts what was found in files that hold much else, `unit` is what the numbers of
    places count, and `told` is called with each problem.
    """

    whole: Tally = field(default_factory=Tally)
    skipped: Findings = field(default_factory=Findings)
    odd: Findings = field(default_factory=Findings)
    begun: Beginnings = field(default_factory=Beginnings)
    chosen: list[Place] | None = None
    recognised: Findings = field(default_factory=Findings)
    unit: str = "line"
    told: Callable[[Problem], None] | None = None

    def skip(self, problem: Problem) -> None:
        """Count what was skipped, and tell of it."""
        self.skipped.add(problem.what, problem.line)
        if self.told is not None:
            self.told(problem)


def survey(
    stream: BinaryIO,
    kind: ImportKind,
    *,
    size: int | None,
    seed: int,
    count: Callable[[Message], int] | None = None,
    advanced: Callable[[int], None] | None = None,
    found: Survey | None = None,
) -> Survey:
    """Read a whole file and choose `size` of its sessions.

    `count` gives the tokens of a message; `advanced` is told how many bytes were read so far;
    `found` is what was found in the file before.
    """
    found = Survey() if found is None else found
    sampler = Sampler(size, seed=seed) if size is not None else None
    with Ids() as ids:
        for number, item in enumerate(sessions(stream, kind)):
            if advanced is not None and number % _EVERY == 0:
                advanced(stream.tell())
            if isinstance(item, Problem):
                found.skip(item)
                continue
            line, offset, length, session = item
            found.whole.add(session, count)
            for note in session.notes:
                found.odd.add(note, line)
            if session.id is not None:
                ids.add(session.id, line)
            if session.begin_s is not None:
                found.begun.add(session.begin_s)
            if sampler is not None:
                sampler.add(session.turns, Place(offset, length, line))
        for line in ids.repeated():
            found.odd.add(REPEATED, line)
    if sampler is not None:
        found.chosen = sampler.chosen()
    return found


_EVERY = 256
