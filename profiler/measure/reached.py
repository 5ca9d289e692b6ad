"""How far a journal says that its run came: what a resumed run need not do again.

A session is finished with its last turn, or with a failure, which ends it. Of the others nothing
counts: a conversation cannot be gone on with whose answers are not kept.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from profiler.measure.records import (
    IN_ORDER,
    PHASES,
    Began,
    DriverSample,
    End,
    Interaction,
    Outcome,
    Phase,
    Resumed,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from profiler.measure.records import Record


class Finished:
    """The indices of finished sessions, counted within a shard: all below one, and a few beyond.

    So memory grows with what was under way at a time, not with the run.
    """

    def __init__(self, indices: Iterable[int] = ()) -> None:
        self._below = 0
        self._beyond: set[int] = set()
        for index in indices:
            self.add(index)

    def add(self, index: int) -> None:
        """Take note of a session. A second time changes nothing."""
        if index >= self._below:
            self._beyond.add(index)
        while self._below in self._beyond:
            self._beyond.remove(self._below)
            self._below += 1

    def __len__(self) -> int:
        return self._below + len(self._beyond)

    def __contains__(self, index: int) -> bool:
        return index < self._below or index in self._beyond

    def gaps(self) -> tuple[int, ...]:
        """Return the indices that are missing below the last finished one, in order."""
        end = max(self._beyond, default=self._below)
        return tuple(index for index in range(self._below, end) if index not in self._beyond)


@dataclass(slots=True)
class PhaseReached:
    """How far one phase came: its finished sessions, and how many interactions they had.

    `elapsed_ns` of its schedule had passed when the journal was last written.
    """

    finished: Finished = field(default_factory=Finished)
    sent: int = 0
    elapsed_ns: int = 0
    has_begun: bool = False


@dataclass(slots=True)
class Reached:
    """How far a run came. `unfinished` are sessions (ids) of which something was journaled."""

    phases: dict[Phase, PhaseReached] = field(
        default_factory=lambda: {phase: PhaseReached() for phase in PHASES}
    )
    unfinished: tuple[str, ...] = ()
    resumes: int = 0
    end: End | None = None

    @property
    def is_done(self) -> bool:
        """Whether the run came to its intended end: nothing is left to send."""
        return self.end is not None and self.end.reason in IN_ORDER

    def needs(self, phase: Phase) -> bool:
        """Say whether the phase is still to be done: there is no warm-up once measuring began."""
        return phase is not Phase.WARMUP or not self.phases[Phase.MEASURE].has_begun


NOTHING_REACHED = Reached()
"""Where a new run begins."""


def reached_by(records: Iterable[Record], *, index: int = 0, count: int = 1) -> Reached:
    """Return how far the run of these records, as they were written, came.

    They are those of part `index` of `count`, whose sessions are every `count`-th of the run.
    """
    reading = _Reading(index, count)
    for record in records:
        reading.take(record)
    return reading.result()


class _Reading:
    """Takes a journal's records in order. Sessions under way are kept by their id."""

    def __init__(self, index: int, count: int) -> None:
        self._index, self._count = index, count
        self._reached = Reached()
        self._under_way: dict[Phase, Counter[str]] = {phase: Counter() for phase in PHASES}
        self._phase = Phase.WARMUP
        self._zero_ns: int | None = None

    def take(self, record: Record) -> None:
        match record:
            case Began():
                self._phase, self._zero_ns = record.phase, record.at_ns - record.elapsed_ns
                self._reached.phases[record.phase].has_begun = True
            case Interaction():
                self._take_interaction(record)
                self._note_time(record.send_ns)
                self._note_time(record.end_ns)
            case DriverSample():
                self._note_time(record.at_ns)
            case Resumed():
                self._reached.resumes, self._reached.end = record.number, None
                self._zero_ns = None
                for under_way in self._under_way.values():
                    for session in record.superseded:
                        under_way.pop(session, None)
            case End():
                self._reached.end = record
            case _:
                pass

    def _take_interaction(self, record: Interaction) -> None:
        of_phase, under_way = self._reached.phases[record.phase], self._under_way[record.phase]
        of_phase.has_begun = True
        under_way[record.session] += 1
        # One that was cut off by the run's end is the last of its session, which has not ended.
        if record.last_turn and record.outcome is not Outcome.CANCELLED:
            of_phase.sent += under_way.pop(record.session)
            of_phase.finished.add((record.session_index - self._index) // self._count)

    def _note_time(self, at_ns: int) -> None:
        if self._zero_ns is not None:
            of_phase = self._reached.phases[self._phase]
            of_phase.elapsed_ns = max(of_phase.elapsed_ns, at_ns - self._zero_ns)

    def result(self) -> Reached:
        reached = self._reached
        for phase in PHASES:
            if reached.needs(phase):
                reached.unfinished += tuple(self._under_way[phase])
        return reached
