"""Statements by what they do to rows; expected values from PostgreSQL's grammar and manual."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.measure.records import StateKind
from profiler.observers.sql import classify_executed, classify_sql

READS = r"""
select 1
SELECT
VALUES (1), (2)
TABLE state
fetch forward 100 from c
(SELECT 1) UNION (SELECT 2)
((select 1))
SELECT * FROM state FOR UPDATE
SELECT * FROM state FOR NO KEY UPDATE SKIP LOCKED
SELECT 'insert into t' AS "into"
SELECT 1 AS into
SELECT "delete" FROM t
SELECT (SELECT 1) FROM t
SELECT $1::text
SELECT E'\' into t --'
SELECT $$ into $$
SELECT $tag$ ' into $$ $tag$ FROM t
SELECT '--' FROM t -- into t
SELECT 'it''s into' FROM t
-- insert\nSELECT 1
/* update /* nested */ still */ SELECT 1
  /**/select/**/1
; ; SELECT 1
SELECT 1; INSERT INTO t VALUES (1)
COPY state TO STDOUT
COPY (SELECT * FROM state) TO '/tmp/x'
copy "from" (a, b) to stdout
WITH a AS (SELECT 1) SELECT * FROM a
WITH RECURSIVE a(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM a) SELECT n FROM a
WITH "insert" AS (SELECT 1) TABLE "insert"
WITH update AS (SELECT 1) SELECT * FROM update
WITH a AS (SELECT 1), delete AS (SELECT 2) SELECT * FROM delete
WITH a(insert, update) AS (SELECT 1, 2) SELECT * FROM a
WITH a AS MATERIALIZED (SELECT * FROM t FOR UPDATE) SELECT 'delete from t' FROM a
WITH a AS (SELECT 1) SEARCH DEPTH FIRST BY n SET o SELECT * FROM a
"""

WRITES = r"""
INSERT INTO t VALUES (1)
insert into t select * from u
UPDATE t SET a = 1
DELETE FROM t
MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN DELETE
TRUNCATE t
COPY t FROM STDIN
COPY t (a, b) FROM '/tmp/x'
COPY (INSERT INTO t VALUES (1) RETURNING a) TO STDOUT
SELECT * INTO t FROM u
SELECT (SELECT 1), 'x' INTO TEMP t
CREATE TABLE t AS SELECT 1
CREATE TEMP TABLE IF NOT EXISTS t (a) AS VALUES (1)
/*+ hint */ -- by\nINSERT INTO t VALUES (1)
WITH a AS (INSERT INTO t VALUES (1) RETURNING *) SELECT * FROM a
WITH a AS NOT MATERIALIZED (UPDATE t SET a = 1 RETURNING *) SELECT 1
with a as (select 1), b as (delete from t returning *) select * from b
WITH a AS (SELECT 1) INSERT INTO t SELECT * FROM a
WITH a AS (SELECT 1) SEARCH DEPTH FIRST BY n SET o DELETE FROM t
WITH a AS (SELECT 1) SELECT * INTO t FROM a
WITH a AS (/* c */ -- d\n MERGE INTO t USING u ON true WHEN MATCHED THEN DELETE RETURNING 1) TABLE a
REPLACE INTO t VALUES (1)
"""

OTHERS = """
BEGIN
COMMIT; INSERT INTO t VALUES (1)
START TRANSACTION
SAVEPOINT a
SET search_path TO x
SHOW ALL
EXPLAIN ANALYZE INSERT INTO t VALUES (1)
CREATE TABLE t (a int GENERATED ALWAYS AS (b) STORED)
CREATE VIEW v AS SELECT 1
CREATE FUNCTION f() RETURNS void LANGUAGE sql AS 'insert into t values (1)'
ALTER TABLE t ADD a int
DECLARE c CURSOR FOR SELECT 1
CLOSE c
PREPARE p AS SELECT 1
EXECUTE p (1)
CALL f()
DO $$ BEGIN INSERT INTO t VALUES (1); END $$
LISTEN a
VACUUM
COPY t
selection
"select" 1
'select'
"""


def statements(block):
    return [line.replace("\\n", "\n") for line in block.strip("\n").splitlines()]


@pytest.mark.parametrize("text", statements(READS))
def test_what_returns_rows_is_a_read(text):
    assert classify_sql(text) is StateKind.READ


@pytest.mark.parametrize("text", statements(WRITES))
def test_what_changes_rows_is_a_write(text):
    assert classify_sql(text) is StateKind.WRITE


@pytest.mark.parametrize("text", ["", ";", "-- only", "/* only", "()", "(", *statements(OTHERS)])
def test_all_else_is_neither(text):
    assert classify_sql(text) is StateKind.OTHER


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("PREPARE p AS SELECT $1", StateKind.READ),
        ("prepare p (int, text) as insert into t values ($1, $2)", StateKind.WRITE),
        ('PREPARE "as" AS WITH a AS (DELETE FROM t RETURNING 1) TABLE a', StateKind.WRITE),
        ("PREPARE", StateKind.OTHER),
        ("SELECT $1", StateKind.READ),
        ("BEGIN", StateKind.OTHER),
    ],
)
def test_an_entry_of_a_prepared_statement_is_what_it_prepares(text, kind):
    assert classify_executed(text) is kind


@pytest.mark.parametrize("text", statements(READS + WRITES))
def test_a_text_that_was_cut_off_is_still_classified(text):
    for length in range(len(text)):
        assert classify_sql(text[:length]) in StateKind


@given(st.text(alphabet="ab '\"$/*-;()e\\\nselectinto", max_size=80))
def test_any_text_is_classified(text):
    assert classify_sql(text) in StateKind


@pytest.mark.parametrize("piece", ["'", "$", "/*", "(", '"', "$a$", "e'\\", "with a as ("])
def test_long_texts_take_no_time(piece):
    assert classify_sql(f"select {piece * 100_000}") is StateKind.READ
