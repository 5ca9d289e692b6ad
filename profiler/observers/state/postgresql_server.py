"""Ask a PostgreSQL server for its counters of statements. Needs the extra `postgresql`.

Each reading is on a connection of its own, in autocommit: no BEGIN, no prepared statements, and
every statement of ours begins with a mark. Only the database of the URL is counted, for all users.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, LiteralString, NamedTuple

import psycopg
from psycopg import sql

from profiler.errors import UsageError
from profiler.observers.state.statement_counts import (
    MARK,
    EntryKey,
    StatementReading,
    difference,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from profiler.observers.state.address import StoreAddress
    from profiler.observers.state.probe import Counted

Connection = psycopg.AsyncConnection[tuple[Any, ...]]

_MARK: LiteralString = MARK  # mypy: composed statements are made of literals only
_NOT_LOADED = "55000"  # object_not_in_prerequisite_state
_NOT_PERMITTED = "42501"  # insufficient_privilege
_SINCE = (1, 9)  # the extension of PostgreSQL 14: pg_stat_statements_info, toplevel

_EXTENSION = """
    e.extversion, n.nspname,
    current_setting('pg_stat_statements.track', true),
    current_setting('pg_stat_statements.track_utility', true)
    FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
    WHERE e.extname = 'pg_stat_statements'
"""
_SERVER = """
    d.oid::bigint, pg_catalog.pg_postmaster_start_time(), i.stats_reset, i.dealloc
    FROM pg_catalog.pg_database d, {schema}.pg_stat_statements_info i
    WHERE d.datname = pg_catalog.current_database()
"""
_ENTRIES = """
    s.userid::bigint, s.queryid, s.toplevel, s.calls, s.query
    FROM {schema}.pg_stat_statements({texts}) s
    WHERE s.dbid = (SELECT oid FROM pg_catalog.pg_database
                    WHERE datname = pg_catalog.current_database())
"""


class _Extension(NamedTuple):
    version: str | None
    schema: str | None
    track: str | None
    track_utility: str | None


class PostgresqlStatistics:
    """The counters of one database."""

    def __init__(self, address: StoreAddress) -> None:
        self._address = address
        self._schema = ""
        self._before: StatementReading | None = None

    async def begin(self) -> tuple[tuple[str, int, str], ...]:
        """Take the first reading; a note says where PostgreSQL does not count utility commands."""
        async with self._connected() as connection:
            extension = await self._extension(connection)
            self._schema = extension.schema or "public"
            self._before = await self._reading(connection, texts=False)
        if extension.track_utility != "off":
            return ()
        detail = "pg_stat_statements.track_utility is off: COPY, TRUNCATE, BEGIN are not counted"
        return (("utility_not_tracked", 1, detail),)

    async def finish(self) -> Counted:
        """Take the second reading and say what lies between the two."""
        assert self._before is not None, "finish() comes after begin()"  # noqa: S101 - a contract
        async with self._connected() as connection:
            after = await self._reading(connection, texts=True)
        return difference(self._before, after)

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Connection]:
        try:
            connection = await psycopg.AsyncConnection.connect(
                self._address.url,
                autocommit=True,
                prepare_threshold=None,
                application_name="agent-profiler",
            )
        except psycopg.ProgrammingError:  # its message may quote the URL
            raise self._error("an option in the URL is malformed", None) from None
        except (psycopg.Error, OSError) as exc:
            raise self._error(
                f"PostgreSQL cannot be reached: {self._address.without_secrets(str(exc))}",
                "Check that it runs and what --state says",
            ) from None
        try:
            async with connection:
                yield connection
        except (psycopg.Error, OSError, ValueError) as exc:
            raise self._translated(exc) from None

    async def _extension(self, connection: Connection) -> _Extension:
        rows = await self._rows(connection, _EXTENSION)
        if not rows:
            raise self._error(
                "the extension pg_stat_statements is missing from this database",
                "Run CREATE EXTENSION pg_stat_statements in it, with pg_stat_statements in "
                "shared_preload_libraries",
            )
        found = _Extension(*map(_text, rows[0]))
        if tuple(int(part) for part in (found.version or "0").split(".")) < _SINCE:
            raise self._error(
                f"the extension pg_stat_statements is of version {found.version}, not 1.9 or later",
                "It takes PostgreSQL 14 or later, and there "
                "ALTER EXTENSION pg_stat_statements UPDATE",
            )
        if found.track == "none":
            raise self._error(
                "pg_stat_statements counts nothing: pg_stat_statements.track is none",
                "Set it to top",
            )
        return found

    async def _reading(self, connection: Connection, *, texts: bool) -> StatementReading:
        # A reset between the two statements must show: the one that tells of it is outermost.
        if texts:
            entries = await self._rows(connection, _ENTRIES, texts="true")
            server = await self._rows(connection, _SERVER)
        else:
            server = await self._rows(connection, _SERVER)
            entries = await self._rows(connection, _ENTRIES, texts="false")
        database, started, reset, evictions = server[0]
        calls: dict[EntryKey, int] = {}
        found: dict[EntryKey, str | None] = {}
        hidden_calls = 0
        for userid, queryid, toplevel, count, text in entries:
            if queryid is None:
                hidden_calls += count
                continue
            key = EntryKey(userid, queryid, toplevel)
            calls[key] = count
            found[key] = _text(text)
        return StatementReading(
            database=database,
            started=started,
            reset=reset,
            evictions=evictions,
            calls=calls,
            hidden_calls=hidden_calls,
            texts=found,
        )

    async def _rows(
        self, connection: Connection, rest: LiteralString, *, texts: LiteralString = "false"
    ) -> list[tuple[Any, ...]]:
        query = sql.SQL(f"{_MARK} {rest}").format(
            schema=sql.Identifier(self._schema), texts=sql.SQL(texts)
        )
        cursor = await connection.execute(query)
        return await cursor.fetchall()

    def _translated(self, exc: Exception) -> UsageError:
        state = exc.sqlstate if isinstance(exc, psycopg.Error) else None
        if state == _NOT_LOADED:
            return self._error(
                "pg_stat_statements is not loaded",
                "Put pg_stat_statements into shared_preload_libraries and restart PostgreSQL",
            )
        if state == _NOT_PERMITTED:
            return self._error(
                "the user may not read pg_stat_statements", "GRANT pg_read_all_stats to it"
            )
        return self._error(
            f"PostgreSQL cannot be asked: {self._address.without_secrets(str(exc))}",
            "Check that it runs and what --state says",
        )

    def _error(self, what: str, fix: str | None) -> UsageError:
        return UsageError(what, where=self._address.shown, fix=fix)


def _text(value: str | bytes | None) -> str | None:
    """Return a text; from a database in SQL_ASCII they come as bytes."""
    return value.decode(errors="replace") if isinstance(value, bytes) else value
