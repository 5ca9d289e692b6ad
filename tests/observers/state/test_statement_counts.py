"""PostgreSQL's counters: the difference of two readings, worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from profiler.observers.state.probe import VoidFigureError
from profiler.observers.state.statement_counts import (
    MARK,
    EntryKey,
    StatementReading,
    difference,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
SELECT = EntryKey(10, 1, toplevel=True)
INSERT = EntryKey(10, 2, toplevel=True)
INNER_INSERT = EntryKey(10, 2, toplevel=False)
OTHER_USERS_SELECT = EntryKey(11, 1, toplevel=True)
OURS = EntryKey(10, 3, toplevel=True)
BEGIN = EntryKey(10, 4, toplevel=True)

BEFORE = StatementReading(
    database=5,
    started=START,
    reset=START,
    evictions=2,
    calls={SELECT: 100, INSERT: 7},
    hidden_calls=3,
    texts={},
)
AFTER = replace(
    BEFORE,
    calls={SELECT: 104, INSERT: 7, INNER_INSERT: 9, OTHER_USERS_SELECT: 5, OURS: 1, BEGIN: 2},
    texts={
        SELECT: "SELECT $1",
        INSERT: "INSERT INTO t VALUES ($1)",
        INNER_INSERT: "INSERT INTO t VALUES ($1)",
        OTHER_USERS_SELECT: "SELECT $1",
        OURS: f"{MARK} 1",
        BEGIN: "BEGIN",
    },
)


def test_calls_of_all_users_are_added_by_kind_without_ours_and_inner_ones():
    counted = difference(BEFORE, AFTER)
    assert (counted.reads, counted.writes, counted.other) == (4 + 5, 0, 2)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"database": 6}, "made anew"),
        ({"started": START.replace(day=2)}, "restarted"),
        ({"reset": START.replace(day=2)}, "pg_stat_statements was reset"),
        ({"evictions": 5}, "dropped entries 3 times"),
        ({"calls": {SELECT: 99, INSERT: 7}}, "entries of pg_stat_statements were reset"),
        ({"calls": {SELECT: 100}}, "entries of pg_stat_statements were reset"),
        ({"hidden_calls": 4}, "may not see"),
        ({"texts": {**AFTER.texts, SELECT: None}}, "lost texts"),
    ],
)
def test_readings_that_make_no_figure(change, reason):
    with pytest.raises(VoidFigureError, match=reason):
        difference(BEFORE, replace(AFTER, **change))
