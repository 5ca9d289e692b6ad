"""Ask a Redis server for its counters. Needs the extra `redis`.

On a connection of its own, without the driver's handshake (HELLO, CLIENT, SELECT): so we know each
command that we send. The counters are the server's, whatever the database in the URL.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from redis.asyncio.connection import Connection, SSLConnection, parse_url
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    NoPermissionError,
    RedisError,
    ResponseError,
)

from profiler.errors import UsageError
from profiler.observers.redis_commands import documented_kind, kind_by_flags
from profiler.observers.state.command_counts import executed, parse_info, total

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection

    from profiler.measure.records import StateKind
    from profiler.observers.state.address import StoreAddress
    from profiler.observers.state.command_counts import RedisReading
    from profiler.observers.state.probe import Counted

_NOT_A_SERVER = {
    "cluster": "Redis Cluster is not supported: each node counts only its own part",
    "sentinel": "this is a Redis Sentinel, which keeps no state",
}


class RedisStatistics:
    """The counters of one Redis server."""

    def __init__(self, address: StoreAddress) -> None:
        self._address = address
        try:
            options: dict[str, Any] = dict(parse_url(address.url))
        except (ValueError, TypeError):
            raise UsageError("an option in the URL is malformed", where=address.shown) from None
        self._user: str | None = options.get("username")
        self._password: str | None = options.get("password")
        self._connection_class = SSLConnection if "connection_class" in options else Connection
        self._options = {
            name: value
            for name, value in options.items()
            if name in {"host", "port"} or name.startswith("ssl_")
        }
        self._before: RedisReading | None = None

    async def begin(self) -> tuple[tuple[str, int, str], ...]:
        """Take the first reading; a note says where our table stands in for `COMMAND`."""
        async with self._connected() as connection:
            flags_are_known = await self._kinds(connection, {"get"}) is not None
            reading = await self._reading(connection)
        problem = _NOT_A_SERVER.get(reading.mode)
        if problem is None and reading.role != "master":
            problem = "this is a replica, which counts its primary's writes as its own"
        if problem is not None:
            raise UsageError(
                problem,
                where=self._address.shown,
                fix="Give the address of the Redis server that the agent writes to",
            )
        self._before = reading
        if flags_are_known:
            return ()
        detail = (
            f"COMMAND is not permitted, so commands are sorted by the table for Redis 7 and 8 "
            f"(this is {reading.version}); ACL SETUSER ... +command|info permits it"
        )
        return (("command_not_permitted", 1, detail),)

    async def finish(self) -> Counted:
        """Take the second reading and say what lies between the two."""
        assert self._before is not None, "finish() comes after begin()"  # noqa: S101 - a contract
        async with self._connected() as connection:
            after = await self._reading(connection)
            # INFO counts itself after it has answered; so only the first one is in the second.
            own = {"info": 1, "auth": 1 if self._login() else 0}
            commands = executed(self._before, after, own)
            kinds = await self._kinds(connection, commands)
        if kinds is None:
            kinds = {name: documented_kind(name) for name in commands}
        return total(commands, kinds)

    def _login(self) -> tuple[str, ...]:
        if self._user:
            return (self._user, self._password or "")
        return (self._password,) if self._password else ()

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Connection]:
        connection = self._connection_class(**self._options, protocol=2)
        # The names differ between versions of the driver; each one that is set sends a command.
        for name in ("driver_info", "lib_name", "lib_version"):
            setattr(connection, name, None)
        try:
            await connection.connect()  # type: ignore[no-untyped-call] # redis-py has no type there
            if self._login():
                await self._log_in(connection)
            yield connection
        except (AuthenticationError, AuthorizationError) as exc:
            raise self._error(
                "Redis asks for a user and a password"
                if str(exc).upper().startswith(("NOAUTH", "AUTHENTICATION REQUIRED"))
                else "Redis did not accept the user and password",
                "Put them into the URL: redis://user:password@host:port",
            ) from None
        except (RedisError, OSError, ValueError) as exc:
            raise self._error(
                f"Redis cannot be asked: {self._address.without_secrets(str(exc))}",
                "Check that it runs and what --state says",
            ) from None
        finally:
            await connection.disconnect(nowait=True)

    async def _log_in(self, connection: Connection) -> None:
        try:
            await self._ask(connection, "AUTH", *self._login())
        except AuthenticationError:
            raise
        except ResponseError:
            # Such an answer may quote what was sent, cut off: it is not passed on.
            raise self._error(
                "Redis did not accept the user and password",
                "It may have none configured: then leave them out of the URL",
            ) from None

    async def _reading(self, connection: Connection) -> RedisReading:
        try:
            return parse_info(_text(await self._ask(connection, "INFO", "all")))
        except NoPermissionError:
            raise self._error(
                "the user may not run INFO", "Permit it: ACL SETUSER ... +info +command|info"
            ) from None
        except BusyLoadingError:
            raise self._error(
                "Redis is still loading its data", "Start the run when it is ready"
            ) from None

    async def _kinds(
        self, connection: Connection, names: Collection[str]
    ) -> dict[str, StateKind | None] | None:
        """Return what the commands do by the server's flags; None: it does not tell us."""
        if not names:
            return {}
        ordered = sorted(names)
        try:
            answer = await self._ask(connection, "COMMAND", "INFO", *ordered)
        except NoPermissionError:
            return None
        except ResponseError as exc:  # renamed away, or a service without it
            if isinstance(exc, AuthenticationError):
                raise
            return None
        if not isinstance(answer, list) or len(answer) != len(ordered):
            return None
        kinds = {}
        for name, entry in zip(ordered, answer, strict=True):
            # Renamed commands are counted under names that COMMAND does not know.
            known = isinstance(entry, list) and len(entry) > 2  # noqa: PLR2004 - name, arity, flags
            flags = {_text(flag) for flag in entry[2]} if known else set()
            kinds[name] = kind_by_flags(name, flags) if known else documented_kind(name)
        return kinds

    async def _ask(self, connection: Connection, *command: str) -> Any:
        await connection.send_command(*command, check_health=False)
        return await connection.read_response()

    def _error(self, what: str, fix: str) -> UsageError:
        return UsageError(what, where=self._address.shown, fix=fix)


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
