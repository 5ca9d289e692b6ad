"""PostgreSQL's counters of statements (`pg_stat_statements`): the difference of two readings.

An operation is a statement that a client sent and that ended without an error: PostgreSQL counts no
others. What functions run inside (entries with `toplevel` false) is not counted, whatever
`pg_stat_statements.track` says; a call of `executemany` counts once for each set of values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from profiler.measure.records import StateKind
from profiler.observers.sql import classify_executed
from profiler.observers.state.probe import Counted, VoidFigureError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

MARK = "SELECT /* agent-profiler */"
"""What each statement of ours begins with: how we find it again among the entries."""


class EntryKey(NamedTuple):
    """What `pg_stat_statements` tells entries apart by, within one database."""

    userid: int
    queryid: int
    toplevel: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementReading:
    """One reading of the entries of one database.

    `hidden_calls` are those of entries that the user may not see. `texts` are given in the second
    reading; None is an entry whose text PostgreSQL lost.
    """

    database: int
    started: datetime
    reset: datetime
    evictions: int
    calls: Mapping[EntryKey, int]
    hidden_calls: int
    texts: Mapping[EntryKey, str | None]


def difference(before: StatementReading, after: StatementReading) -> Counted:
    """Return the operations between two readings. Raises VoidFigureError where they do not say."""
    _check_same_statistics(before, after)
    sums = dict.fromkeys(StateKind, 0)
    for key, last in after.calls.items():
        calls = last - before.calls.get(key, 0)
        if not calls or not key.toplevel:
            continue
        text = after.texts.get(key)
        if text is None:
            raise VoidFigureError("PostgreSQL lost texts of statements: their kind is unknown")
        if not text.startswith(MARK):
            sums[classify_executed(text)] += calls
    return Counted(
        reads=sums[StateKind.READ], writes=sums[StateKind.WRITE], other=sums[StateKind.OTHER]
    )


def _check_same_statistics(before: StatementReading, after: StatementReading) -> None:
    if after.database != before.database:
        raise VoidFigureError("the database was made anew during the run")
    if after.started != before.started:
        raise VoidFigureError("PostgreSQL was restarted during the run")
    if after.reset != before.reset:
        raise VoidFigureError("pg_stat_statements was reset during the run")
    if after.evictions != before.evictions:
        # What an evicted entry had counted is gone: the rest would be a lower bound, not a figure.
        raise VoidFigureError(
            f"pg_stat_statements dropped entries {after.evictions - before.evictions} times during "
            "the run: raise pg_stat_statements.max"
        )
    if any(after.calls.get(key, 0) < calls for key, calls in before.calls.items()):
        raise VoidFigureError("entries of pg_stat_statements were reset during the run")
    if after.hidden_calls != before.hidden_calls:
        raise VoidFigureError(
            "other users ran statements that --state's user may not see: "
            "GRANT pg_read_all_stats to it, or use the agent's user"
        )
