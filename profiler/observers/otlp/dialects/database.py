"""Database client spans: Redis, SQL, and others by the name of the operation.

Source: the database conventions, new names (`db.system.name`, `db.query.text`, `db.operation.name`,
`db.operation.batch.size`) and old ones (`db.system`, `db.statement`, `db.operation`,
`db.redis.pipeline_length`). A span of `executemany` says only in the new ones how many calls it is;
elsewhere it counts as one, which is too few.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from profiler.measure.records import StateKind
from profiler.observers.otlp.dialects import attributes as read
from profiler.observers.otlp.dialects import redis, sql
from profiler.observers.otlp.dialects.words import words
from profiler.observers.otlp.seen import Other, Seen, StateAccess
from profiler.observers.redis_commands import classify_redis

if TYPE_CHECKING:
    from profiler.observers.otlp.spans import Span

_REDIS = frozenset({"redis", "valkey", "keydb", "dragonfly"})
NAMES = frozenset({"db.system.name", "db.system"})
_BATCHES = ("PIPELINE", "MULTI", "BATCH")
_READING = tuple(
    words("""
    get find read query search scan count list select aggregate fetch distinct retrieve exists
    peek mget scroll batchget
""")
)
_WRITING = tuple(
    words("""
    insert update upsert delete put set remove add write index replace create bulk increment
    modify save batchwrite
""")
)


def seen(span: Span) -> Seen | None:
    """Read a database span; None if it is not one. A span that only connects is nothing."""
    found = span.attributes
    system = read.text(found, "db.system.name", "db.system")
    if system is None:
        return None
    store = system.lower()
    statement = read.text(found, "db.query.text", "db.statement")
    operation = read.text(found, "db.operation.name", "db.operation")
    size = read.count(found, "db.operation.batch.size", "db.redis.pipeline_length")
    if statement is None and operation is None:
        operation = _named(span.name, store)
        if operation is None and size is None:
            return Other()
    if store in _REDIS:
        kinds = _of_redis(statement, operation, size)
    else:
        kinds = _of_query(statement, operation)
        if len(kinds) == 1 and size is not None:
            kinds *= size
    return _access(store, kinds, size)


def _named(name: str, store: str) -> str | None:
    """Return the operation of a span without attributes for it: where it leads the span's name."""
    first = name.split(None, 1)[0] if name.strip() else ""
    if redis.is_command(first) if store in _REDIS else sql.kind_of(first) is not None:
        return name
    return None


def _of_redis(statement: str | None, operation: str | None, size: int | None) -> list[StateKind]:
    if statement is not None:
        names = redis.commands_in(statement, size)
        # Newer instrumentations part the commands of a pipeline by semicolons.
        if size is not None and len(names) < size and ";" in statement:
            names = redis.commands_in(statement.replace(";", "\n"), size)
    else:
        named = (operation or "").split()
        names = [word for word in named if word.upper() not in _BATCHES] or named
        if size is not None and len(names) == 1:
            names *= size  # "PIPELINE SET": all of them are that
    return [classify_redis(name) for name in names]


def _of_query(statement: str | None, operation: str | None) -> list[StateKind]:
    if statement is not None:
        kinds = [sql.kind_of(part) for part in sql.statements_in(statement)]
        if kinds and kinds[0] is not None:
            return [kind or StateKind.OTHER for kind in kinds]
    named = [word for word in (operation or "").split() if word.upper() not in _BATCHES]
    verb = named[0].rpartition(".")[2] if named else ""
    kind = sql.kind_of(verb)
    if kind is not None:
        return [kind]
    lower = verb.lower()
    if lower.startswith(_READING):
        return [StateKind.READ]
    return [StateKind.WRITE if lower.startswith(_WRITING) else StateKind.OTHER]


def _access(store: str, kinds: list[StateKind], size: int | None) -> StateAccess:
    unknown = 0 if size is None else max(0, size - len(kinds))
    return StateAccess(
        store=store,
        reads=kinds.count(StateKind.READ),
        writes=kinds.count(StateKind.WRITE),
        other=kinds.count(StateKind.OTHER) + unknown,
    )
