"""Sessions in flight: their values wait, 12 bytes each, until the session can be tallied whole.

An interval of a mean or a quantile takes a session as one thing that was sampled, so what is summed
up is summed up session by session. A session has ended with its last turn, or with a failure, which
ends it. It is tallied when the interactions that may still come out of order have come.
"""

from __future__ import annotations

from array import array
from collections import deque
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from profiler.profile.rows import difference_us
from profiler.profile.statistics import ClusterSums
from profiler.profile.tally import Tally

if TYPE_CHECKING:
    from profiler.profile.sample import Unit


@dataclass(slots=True)
class Session:
    """What is known of a session so far. A value goes into the tally whose number is beside it."""

    numbers: array[int] = field(default_factory=lambda: array("I"))
    values: array[int] = field(default_factory=lambda: array("q"))
    turns: int = 0
    measured: int = 0
    judged: int = 0
    good: int = 0
    first_ns: int = 2**63
    last_ns: int = -(2**63)
    has_last_turn: bool = False
    is_whole: bool = True
    is_kept: bool = False
    latest: int = 0
    """The number of its latest interaction, among all of the journal."""

    def turn(self, number: int, send_ns: int, end_ns: int) -> None:
        """Take an interaction, of whatever phase and outcome."""
        self.latest = number
        self.turns += 1
        self.first_ns = min(self.first_ns, send_ns)
        self.last_ns = max(self.last_ns, end_ns)


@dataclass(slots=True)
class Union:
    """Tallies, by number, whose values are wanted as one as well.

    While there is only one member, it is the union; `whole` begins as its copy when another comes.
    """

    members: list[int] = field(default_factory=list)
    whole: Tally | None = None


class Sessions:
    """All sessions: those in flight, and the sums and tallies of those that have ended."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._in_flight: dict[str, Session] = {}
        self._ended: deque[tuple[int, str]] = deque()
        self._tallies: list[Tally] = []
        self._padded: dict[int, int] = {}
        self._union_of: dict[int, Union] = {}
        self.interactions, self.duration = Tally("count"), Tally("s")
        self.count = self.completed = 0
        """Sessions with a measured interaction, and those of them that were measured whole."""
        self.good = ClusterSums()
        """Of the interactions that were judged: those that were good."""

    def tally(self, unit: Unit, *, padded_to: int | None = None) -> tuple[int, Tally]:
        """Return a new tally and its number.

        With `padded_to`, a session that has any value in it gets zeros to as many values as it has
        in the tally of that number.
        """
        number = len(self._tallies)
        if padded_to is not None:
            self._padded[number] = padded_to
        self._tallies.append(Tally(unit))
        return number, self._tallies[number]

    def member(self, union: Union, unit: Unit) -> int:
        """Return the number of a new tally whose values are in a union too."""
        number, _ = self.tally(unit)
        if len(union.members) == 1:
            union.whole = deepcopy(self._tallies[union.members[0]])
        union.members.append(number)
        self._union_of[number] = union
        return number

    def tally_of(self, number: int) -> Tally:
        """Return the tally of a number."""
        return self._tallies[number]

    def whole(self, union: Union) -> Tally:
        """Return the tally of a union, which has a member."""
        return self._tallies[union.members[0]] if union.whole is None else union.whole

    def keep(self, name: str) -> None:
        """Keep a session to the end of the journal: an interaction of it will come only then."""
        self._of(name).is_kept = True

    def _of(self, name: str) -> Session:
        found = self._in_flight.get(name)
        if found is None:
            found = self._in_flight[name] = Session()
        return found

    def turn(self, name: str, number: int, send_ns: int, end_ns: int) -> Session:
        """Take the interaction with the running `number`; return its session."""
        while self._ended and self._ended[0][0] + self._window < number:
            self._tally_if_over(*self._ended.popleft())
        session = self._of(name)
        session.turn(number, send_ns, end_ns)
        return session

    def ended(self, name: str, number: int) -> None:
        """Say that no turn of a session is sent after the one of that number."""
        self._ended.append((number, name))

    def _tally_if_over(self, number: int, name: str) -> None:
        session = self._in_flight.get(name)
        if session is None or session.is_kept:
            return
        if session.latest != number:  # turns came out of order: wait for what else may
            self._ended.append((session.latest, name))
            return
        del self._in_flight[name]
        self._take(session)

    def close(self) -> None:
        """Tally all that are left: those that the end of the run cut short as well."""
        for session in self._in_flight.values():
            self._take(session)
        self._in_flight.clear()

    def _take(self, session: Session) -> None:
        values: dict[int, list[int]] = {}
        for number, value in zip(session.numbers, session.values, strict=True):
            if number in values:
                values[number].append(value)
            else:
                values[number] = [value]
        for number, found in values.items():
            # What is padded, or joined with others, may be sorted by now: that does not matter.
            padded_to = self._padded.get(number)
            if padded_to is not None:
                found.extend([0] * (len(values[padded_to]) - len(found)))
            self._tallies[number].add(found)
        self._take_unions(values)
        if session.measured:
            self.count += 1
        if session.has_last_turn and session.is_whole:
            self.completed += 1
            self.interactions.add([session.turns])
            self.duration.add([difference_us(session.last_ns, session.first_ns)])
        if session.judged:
            n, s = session.judged, session.good
            self.good += ClusterSums(
                sessions=1, sum_n=n, sum_s=s, sum_nn=n * n, sum_ss=s * s, sum_ns=n * s
            )

    def _take_unions(self, values: dict[int, list[int]]) -> None:
        together: dict[int, tuple[Tally, list[int]]] = {}
        for number, union in self._union_of.items():
            if union.whole is not None and number in values:
                _, joined = together.setdefault(id(union), (union.whole, []))
                joined += values[number]
        for whole, joined in together.values():
            whole.add(joined)
