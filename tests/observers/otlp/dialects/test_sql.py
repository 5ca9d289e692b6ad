from __future__ import annotations

import time

import pytest

from profiler.measure.records import StateKind
from profiler.observers.otlp.dialects.sql import kind_of, statements_in

READ, WRITE, OTHER = StateKind.READ, StateKind.WRITE, StateKind.OTHER


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("SELECT 1", [READ]),
        ("  -- who asks\n/* why */ select * from t where a = 'insert'", [READ]),
        ("(SELECT 1) UNION (SELECT 2)", [READ]),
        ("INSERT INTO t VALUES ($1, $2) ON CONFLICT DO NOTHING", [WRITE]),
        ("UPDATE t SET a = 1", [WRITE]),
        ("delete from t", [WRITE]),
        ("MERGE INTO t USING s ON TRUE WHEN MATCHED THEN DELETE", [WRITE]),
        ("WITH a AS (SELECT 1) SELECT * FROM a", [READ]),
        ("WITH gone AS (DELETE FROM t RETURNING *) SELECT * FROM gone", [WRITE]),
        ("WITH a AS (SELECT 1) UPDATE t SET b = 2", [WRITE]),
        ("WITH a AS (SELECT 1) SELECT * FROM t FOR UPDATE", [READ]),
        ("WITH a AS (SELECT 1) SELECT * FROM t FOR NO KEY UPDATE", [READ]),
        ("WITH a AS (SELECT 'delete') SELECT \"update\" FROM a -- insert", [READ]),
        ("WITH a AS (SELECT $x$ delete $x$) SELECT 1", [READ]),
        ("COPY t FROM STDIN", [WRITE]),
        ("COPY (SELECT 1) TO STDOUT", [READ]),
        ("EXPLAIN DELETE FROM t", [OTHER]),
        ("EXPLAIN ANALYZE DELETE FROM t", [OTHER]),
        ("BEGIN", [OTHER]),
        ("CREATE TABLE t (a int)", [OTHER]),
        ("BEGIN; INSERT INTO t VALUES (';'); SELECT 1; COMMIT;", [OTHER, WRITE, READ, OTHER]),
        ("find users", [None]),
        ("", []),
        ("-- nothing", []),
    ],
)
def test_statements_are_classed_by_their_first_keyword(text, kinds):
    assert [kind_of(statement) for statement in statements_in(text)] == kinds


@pytest.mark.parametrize("text", ["'" * 100_000, "/*" * 50_000, '"' + "a" * 100_000, "$$" * 50_001])
def test_long_and_broken_texts_take_no_time(text):
    before = time.monotonic()
    for statement in statements_in("SELECT " + text):
        kind_of(statement)
    assert time.monotonic() - before < 1
