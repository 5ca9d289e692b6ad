"""Attributes as the instrumentations write them, in the old names and the new."""

from __future__ import annotations

import pytest

from profiler.observers.otlp.dialects import read
from profiler.observers.otlp.seen import Other, StateAccess
from profiler.observers.otlp.spans import SpanKind
from profiler.observers.redis_commands import classify_redis as kind_of
from tests.observers.otlp.making import span


def seen(attributes, name=""):
    return read(span(attributes=attributes, name=name, kind=SpanKind.CLIENT))


def access(store, reads=0, writes=0, other=0):
    return StateAccess(store=store, reads=reads, writes=writes, other=other)


def test_a_redis_pipeline_is_one_span_and_many_operations():
    statement = "HSET ? ? ?\nHSETNX ? ? ?\nRPUSH ? ?\nGET ?\nPUBLISH ? ?"
    attributes = {
        "db.system": "redis",
        "db.statement": statement,
        "db.redis.pipeline_length": 5,
    }
    assert seen(attributes) == access("redis", reads=1, writes=3, other=1)


def test_a_pipeline_counts_whole_even_where_its_statement_was_cut():
    attributes = {
        "db.system": "redis",
        "db.statement": "GET ?\nSET ? ?",
        "db.redis.pipeline_length": 10,
    }
    assert seen(attributes) == access("redis", reads=1, writes=1, other=8)


def test_lines_of_a_value_are_no_commands():
    attributes = {"db.system": "redis", "db.statement": "SET key first line\nsecond line\nthird"}
    assert seen(attributes) == access("redis", writes=1)
    attributes = {"db.system": "redis", "db.statement": "SET ? ?\nGET ?"}
    assert seen(attributes) == access("redis", reads=1, writes=1)


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"db.query.text": "GET ?", "db.operation.name": "GET"}, access("redis", reads=1)),
        ({"db.operation.name": "HMSET"}, access("redis", writes=1)),
        (
            {"db.operation.name": "PIPELINE SET", "db.operation.batch.size": 3},
            access("redis", writes=3),
        ),
        (
            {"db.operation.name": "PIPELINE", "db.operation.batch.size": 3},
            access("redis", other=3),
        ),
        (
            {
                "db.operation.name": "MULTI",
                "db.query.text": "SET ? ?; GET ?; GET ?",
                "db.operation.batch.size": 3,
            },
            access("redis", reads=2, writes=1),
        ),
    ],
)
def test_redis_in_the_new_names(attributes, expected):
    assert seen({"db.system.name": "redis", **attributes}) == expected


@pytest.mark.parametrize(
    ("name", "kind"),
    [("get", "read"), ("SETEX", "write"), ("WATCH", "other"), ("EVAL", "other"), ("NEW", "other"),
     ("TYPE", "read"), ("GETEX", "write"), ("json.get", "read"), ("LRANGE", "read")],
)  # fmt: skip
def test_redis_commands_are_classed_by_name(name, kind):
    assert kind_of(name) == kind


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"db.system": "postgresql", "db.statement": "SELECT 1"}, {"reads": 1}),
        ({"db.system.name": "postgresql", "db.query.text": "INSERT INTO t"}, {"writes": 1}),
        ({"db.system": "postgresql", "db.statement": "COMMIT"}, {"other": 1}),
        (  # executemany in the new names: one span, a hundred calls
            {
                "db.system.name": "postgresql",
                "db.query.text": "INSERT INTO t VALUES (%s)",
                "db.operation.name": "BATCH INSERT",
                "db.operation.batch.size": 100,
            },
            {"writes": 100},
        ),
        (
            {
                "db.system.name": "postgresql",
                "db.query.text": "INSERT INTO t VALUES (?); SELECT 1",
                "db.operation.batch.size": 2,
            },
            {"reads": 1, "writes": 1},
        ),
        (  # executemany in the old ones: the number is nowhere
            {"db.system": "postgresql", "db.statement": "INSERT INTO t VALUES (%s)"},
            {"writes": 1},
        ),
        ({"db.system": "postgresql", "db.operation": "UPDATE"}, {"writes": 1}),
    ],
)
def test_sql(attributes, expected):
    assert seen(attributes) == access("postgresql", **expected)


@pytest.mark.parametrize(
    ("system", "operation", "expected"),
    [
        ("mongodb", "find", {"reads": 1}),
        ("mongodb", "insertMany", {"writes": 1}),
        ("pinecone", "query", {"reads": 1}),
        ("aws.dynamodb", "GetItem", {"reads": 1}),
        ("aws.dynamodb", "BatchWriteItem", {"writes": 1}),
        ("mongodb", "endSessions", {"other": 1}),
    ],
)
def test_other_stores_by_the_name_of_the_operation(system, operation, expected):
    assert seen({"db.system.name": system, "db.operation.name": operation}) == access(
        system, **expected
    )


def test_connecting_is_no_operation_and_a_hidden_statement_is_told_by_the_name():
    assert seen({"db.system": "postgresql"}, name="connect") == Other()
    assert seen({"db.system": "postgresql"}, name="SELECT app") == access("postgresql", reads=1)
    assert seen({"db.system": "redis"}, name="HGETALL") == access("redis", reads=1)
