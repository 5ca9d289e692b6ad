"""What production data holds that a workload can be compared with: one pass, bounded memory.

Values are kept with their first three digits, so that few of them differ; times of arrivals up to
`MOST_STARTS` (16 MB).
"""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from profiler.clock import NS_PER_S
from profiler.workload.conversations import content_text
from profiler.workload.importers.request_survey import rounded
from profiler.workload.importers.requests import TRACES, requests
from profiler.workload.importers.streaming import Problem, sessions
from profiler.workload.importers.survey import Findings, Survey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from profiler.workload.importers.kinds import ImportKind
    from profiler.workload.importers.messages import Session
    from profiler.workload.importers.request_lines import Request

MOST_STARTS = 2_000_000
TOO_LATE = "a time more than 292 years from 1970, left out"
_MS_PER_S = 1000
_NO_DATE_BEFORE_S = 10**8  # a time below is one since the recording began, not since 1970


@dataclass(slots=True)
class Production:
    """Counts by value. `is_trace`: requests without text, whose tokens are those of whole prompts.

    `hours` has the sessions that began in each hour of the day (UTC), None where no file has dates.
    `starts_ns` is None where there are more than are kept.
    """

    is_trace: bool
    sessions: int = 0
    messages: int = 0
    turns: Counter[int] = field(default_factory=Counter)
    tokens: Counter[int] = field(default_factory=Counter)
    think_times_ms: Counter[int] = field(default_factory=Counter)
    sessions_with_pauses: int = 0
    starts_ns: array[int] | None = field(default_factory=lambda: array("q"))
    hours: list[int] | None = None
    skipped: Findings = field(default_factory=Findings)
    odd: Findings = field(default_factory=Findings)

    def begin(self, at_s: float, line: int) -> None:
        """Take note of when a session began, in seconds since 1970 or since some start."""
        at_ns = round(at_s * NS_PER_S)
        if abs(at_ns) >= _LATEST_NS:
            self.odd.add(TOO_LATE, line)
            return
        if self.starts_ns is not None:
            if len(self.starts_ns) >= MOST_STARTS:
                self.starts_ns = None
            else:
                self.starts_ns.append(at_ns)
        if at_s >= _NO_DATE_BEFORE_S:
            self.hours = self.hours if self.hours is not None else [0] * 24
            self.hours[datetime.fromtimestamp(at_s, UTC).hour] += 1

    def sorted_starts_ns(self) -> list[int] | None:
        """Return when sessions began, in order; None where nothing tells."""
        return None if self.starts_ns is None else sorted(self.starts_ns)


_LATEST_NS = 2**63  # the year 2262


def read_production(
    stream: BinaryIO,
    kind: ImportKind,
    count: Callable[[str], int],
    *,
    found: Survey | None = None,
    advanced: Callable[[int], None] | None = None,
) -> Production:
    """Read a whole file. `count` gives the tokens of a text, `found` what was skipped before.

    `advanced` is told how many bytes were read so far. A file without a session is an empty result.
    """
    production = Production(is_trace=kind in TRACES)
    if found is not None:
        production.skipped, production.odd = found.skipped, found.odd
    for number, item in enumerate(_items(stream, kind)):
        if advanced is not None and number % _EVERY == 0:
            advanced(stream.tell())
        match item:
            case Problem():
                production.skipped.add(item.what, item.line)
            case (line, session):
                for note in session.notes:
                    production.odd.add(note, line)
                _add_session(production, line, session, count)
            case request:
                for note in request.notes:
                    production.odd.add(note, request.line)
                production.sessions += 1
                production.messages += 1
                production.tokens[rounded(request.lengths.input_tokens)] += 1
                production.begin(request.at_ns / NS_PER_S, request.line)
    return production


def _items(stream: BinaryIO, kind: ImportKind) -> Iterator[Problem | tuple[int, Session] | Request]:
    if kind in TRACES:
        yield from requests(stream, kind)
        return
    for item in sessions(stream, kind):
        yield item if isinstance(item, Problem) else (item.line, item.session)


def _add_session(
    production: Production, line: int, session: Session, count: Callable[[str], int]
) -> None:
    production.sessions += 1
    production.messages += session.turns
    production.turns[session.turns] += 1
    for message in session.messages:
        if message["role"] == "user":
            production.tokens[rounded(count(content_text(message.get("content"))))] += 1
    pauses = [time for time in session.think_times_s or () if time is not None]
    for pause in pauses:
        production.think_times_ms[rounded(round(pause * _MS_PER_S))] += 1
    production.sessions_with_pauses += bool(pauses)
    if session.begin_s is not None:
        production.begin(session.begin_s, line)


_EVERY = 256
