"""Sessions in flight: their values wait, 12 bytes each, until the session can be tallied whole.

An interval of a mean or a quantile takes a session as one thing that was sampled, so what is summed
up is summed up session by session. A session has ended with its last turn, or with a failure, which
ends it. It is tallied when the interactions that may still come out of order have come.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from profiler.profile.rows import difference_us
from profiler.profile.statistics import ClusterSums
from profiler.profile.tallies import Tallies, Values
from profiler.profile.tally import Tally


@dataclass(slots=True)
class Session(Values):
    """What is known of a session so far."""

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


class Sessions(Tallies):
    """All sessions: those in flight, and the sums and tallies of those that have ended."""

    def __init__(self, window: int) -> None:
        super().__init__()
        self._window = window
        self._in_flight: dict[str, Session] = {}
        self._ended: deque[tuple[int, str]] = deque()
        self.interactions, self.duration = Tally("count"), Tally("s")
        self.count = self.completed = 0
        """Sessions with a measured interaction, and those of them that were measured whole."""
        self.good = ClusterSums()
        """Of the interactions that were judged: those that were good."""

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
        self._over(session)

    def close(self) -> None:
        """Tally all that are left: those that the end of the run cut short as well."""
        for session in self._in_flight.values():
            self._over(session)
        self._in_flight.clear()

    def _over(self, session: Session) -> None:
        self.take(session)
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
