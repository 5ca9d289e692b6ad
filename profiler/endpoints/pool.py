"""The connections of one transport: lent one by one, newest first, opened as needed."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections import deque
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import httpx

from profiler.clock import NS_PER_S
from profiler.endpoints.connection import Connection

if TYPE_CHECKING:
    from collections.abc import Callable

    from profiler.clock import MonotonicNs
    from profiler.endpoints.destination import Origin
    from profiler.endpoints.receiver import Limits
    from profiler.endpoints.stamps import Stamps

_HAPPY_EYEBALLS_DELAY_S = 0.25  # RFC 8305, section 8
_CLOSING_LIMIT_S = 1.0  # aborted sockets close within a turn of the loop; never hang on one
_ERRNO = re.compile(r"\[Errno (\d+)\]")


@dataclass(slots=True, eq=False)
class _Waiter:
    """One who waits for a connection; granted one that is IDLE, or None: the right to open one."""

    origin: Origin
    fresh: bool
    granted: asyncio.Future[Connection | None]


class Pool:
    """Lends connections. One event loop only.

    Invariants:

    - `_open` counts the connections that are not CLOSED, and the rights to open one that were
      granted and not used yet. It never exceeds `max_connections`.
    - `_idle` holds exactly the connections that are IDLE and not granted to anyone, per origin,
      in the order in which they became so.
    - Where somebody waits, nothing is idle and `_open` is at its limit; who waits is served in
      order of arrival.
    """

    def __init__(
        self,
        *,
        tls_context: Callable[[], ssl.SSLContext],
        clock: MonotonicNs,
        limits: Limits,
        max_connections: int | None,
        keepalive_expiry_s: float | None,
        retry_window_s: float,
    ) -> None:
        self._tls_context = tls_context
        self._clock = clock
        self._limits = limits
        self._max_connections = max_connections
        self._keepalive_expiry_ns = (
            None if keepalive_expiry_s is None else round(keepalive_expiry_s * NS_PER_S)
        )
        self._retry_window_ns = round(retry_window_s * NS_PER_S)
        self._idle: dict[Origin, dict[Connection, None]] = {}
        self._origins: dict[Connection, Origin] = {}
        self._sockets: set[Connection] = set()
        self._waiters: deque[_Waiter] = deque()
        self._open = 0
        self._numbers = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._all_gone: asyncio.Future[None] | None = None
        self._is_closed = False

    @property
    def open_connections(self) -> int:
        """How many connections are open, or being opened."""
        return self._open

    @property
    def idle_connections(self) -> int:
        """How many connections are open and unused."""
        return sum(len(idle) for idle in self._idle.values())

    def check_loop(self) -> asyncio.AbstractEventLoop:
        """Return the loop, if it is the one that the pool lives on. Raises `RuntimeError`."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            if self._loop is not None:
                raise RuntimeError("a transport can be used from one event loop only")
            self._loop = loop
        if self._is_closed:
            raise RuntimeError("the transport is closed")
        return loop

    def take(self, origin: Origin, now_ns: int) -> Connection | None:
        """Return the newest idle connection, at once, or None where there is none."""
        idle = self._idle.get(origin)
        if not idle:
            return None
        connection, _ = idle.popitem()
        expiry_ns = self._keepalive_expiry_ns
        if expiry_ns is not None and now_ns - connection.idle_since_ns > expiry_ns:
            connection.close()
            for older in list(idle):
                older.close()
            return None
        if not connection.is_usable:
            connection.close()
            return self.take(origin, now_ns)
        return connection

    async def obtain(
        self,
        origin: Origin,
        stamps: Stamps,
        *,
        fresh: bool = False,
        pool_timeout_s: float | None = None,
        connect_timeout_s: float | None = None,
        deadline_ns: int | None = None,
    ) -> Connection:
        """Return a connection, idle or (always, if `fresh`) new. Waits for its turn if need be.

        Both timeouts end at `deadline_ns` on the clock, if not before.

        Raises `PoolTimeout`, `ConnectTimeout`, `ConnectError`.
        """
        is_front = False
        while True:
            loop = self.check_loop()
            if not fresh:
                connection = self.take(origin, self._clock())
                if connection is not None:
                    return connection
            if not self._may_open():
                waiter = _Waiter(origin, fresh, loop.create_future())
                (self._waiters.appendleft if is_front else self._waiters.append)(waiter)
                limit_s = self._within(pool_timeout_s, deadline_ns)
                granted = await self._wait(waiter, stamps, limit_s)
                if granted is None:
                    break
                if granted.is_usable:
                    return granted
                granted.close()
                is_front = True  # it was closed between the grant and now
                continue
            self._open += 1
            break
        limit_s = self._within(connect_timeout_s, deadline_ns)
        return await self._connect(loop, origin, stamps, limit_s)

    def _within(self, timeout_s: float | None, deadline_ns: int | None) -> float | None:
        if deadline_ns is None:
            return timeout_s
        left_s = max(0, deadline_ns - self._clock()) / NS_PER_S
        return left_s if timeout_s is None else min(left_s, timeout_s)

    def _may_open(self) -> bool:
        if self._max_connections is None or self._open < self._max_connections:
            return True
        for idle in self._idle.values():
            if idle:
                next(iter(idle)).close()
                return True
        return False

    async def _wait(
        self, waiter: _Waiter, stamps: Stamps, timeout_s: float | None
    ) -> Connection | None:
        started_ns = self._clock()
        try:
            async with asyncio.timeout(timeout_s):
                return await waiter.granted
        except TimeoutError as exc:
            self._give_back(waiter)
            raise httpx.PoolTimeout(
                f"no connection was free within {timeout_s:.3g} s: all {self._open} are in use"
            ) from exc
        except asyncio.CancelledError:
            self._give_back(waiter)
            raise
        finally:
            stamps.pool_wait_ns += self._clock() - started_ns

    def _give_back(self, waiter: _Waiter) -> None:
        """Undo a waiter: out of the queue, or what it was granted to the next."""
        granted = waiter.granted
        if granted.cancelled() or not granted.done():
            if waiter in self._waiters:
                self._waiters.remove(waiter)
        elif granted.exception() is None:
            connection = granted.result()
            if connection is None:
                self._freed()
            elif connection.is_usable:
                self.release(connection)
            else:
                connection.close()

    async def _connect(
        self,
        loop: asyncio.AbstractEventLoop,
        origin: Origin,
        stamps: Stamps,
        timeout_s: float | None,
    ) -> Connection:
        self._numbers += 1
        connection = Connection(
            self,
            loop=loop,
            number=self._numbers,
            clock=self._clock,
            limits=self._limits,
            retry_window_ns=self._retry_window_ns,
        )
        self._origins[connection] = origin
        stamps.connect_start_ns = self._clock()
        stamps.connect_end_ns = None
        is_open = False
        try:
            async with asyncio.timeout(timeout_s):
                await loop.create_connection(
                    lambda: connection, origin.host, origin.port, **self._options(loop, origin)
                )
            is_open = True
        except TimeoutError as exc:
            raise httpx.ConnectTimeout(
                f"no connection to {origin.host}:{origin.port} within {timeout_s:.3g} s"
            ) from exc
        except (OSError, ssl.SSLError) as exc:
            raise httpx.ConnectError(str(exc) or type(exc).__name__) from _one_of_many(exc)
        finally:
            if not is_open:
                connection.close()
                self.gone(connection)  # uvloop says nothing of a socket that it closed itself
        stamps.connect_end_ns = self._clock()
        if not connection.is_usable:
            connection.close()
            raise httpx.ConnectError("the connection was closed as soon as it was made")
        return connection

    def _options(self, loop: asyncio.AbstractEventLoop, origin: Origin) -> dict[str, Any]:
        options: dict[str, Any] = {}
        if origin.is_tls:
            options["ssl"] = self._tls_context()
            options["server_hostname"] = origin.server_name or origin.host
        if isinstance(loop, asyncio.BaseEventLoop) and not _is_address(origin.host):
            options["happy_eyeballs_delay"] = _HAPPY_EYEBALLS_DELAY_S  # uvloop has no such option
        return options

    # What connections report (`receiver.Keeper`)

    def release(self, connection: Connection) -> None:
        """Lend the connection to who waits longest, or keep it."""
        origin = self._origins[connection]
        waiter = self._first_waiter()
        if waiter is not None:
            if waiter.fresh or waiter.origin != origin:
                connection.close()  # which frees its place for the waiter
            else:
                self._waiters.popleft()
                waiter.granted.set_result(connection)
            return
        idle = self._idle.get(origin)
        if idle is None:
            idle = self._idle[origin] = {}
        idle[connection] = None

    def closed(self, connection: Connection) -> None:
        """Forget a connection and let somebody open another in its place."""
        origin = self._origins.pop(connection)
        idle = self._idle.get(origin)
        if idle is not None:
            idle.pop(connection, None)
        self._freed()

    def _freed(self) -> None:
        self._open -= 1
        waiter = self._first_waiter()
        if waiter is not None:
            self._open += 1
            self._waiters.popleft()
            waiter.granted.set_result(None)

    def _first_waiter(self) -> _Waiter | None:
        """Return who is next. One who was cancelled may be in the queue still: it has not run."""
        while self._waiters:
            if not self._waiters[0].granted.done():
                return self._waiters[0]
            self._waiters.popleft()
        return None

    def opened(self, connection: Connection) -> None:
        """Take note of a socket."""
        self._sockets.add(connection)

    def gone(self, connection: Connection) -> None:
        """Take note that a socket is closed."""
        self._sockets.discard(connection)
        if not self._sockets and self._all_gone is not None and not self._all_gone.done():
            self._all_gone.set_result(None)

    async def aclose(self) -> None:
        """Close everything and wait until the sockets are closed. Idempotent."""
        self._is_closed = True
        closed = RuntimeError("the transport was closed")
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.granted.done():
                waiter.granted.set_exception(closed)
        for connection in list(self._origins):
            connection.fail(httpx.ReadError("the transport was closed"))
        if self._sockets:
            self._all_gone = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._all_gone], timeout=_CLOSING_LIMIT_S)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _one_of_many(exc: OSError) -> OSError:
    """Return what several addresses all failed with, where the event loop only lists it as text.

    Up to Python 3.11 (and in uvloop) `localhost` that refuses on ::1 and on 127.0.0.1 is an
    `OSError` without a number.
    """
    if exc.errno is None and not isinstance(exc, ssl.SSLError):
        numbers = {int(number) for number in _ERRNO.findall(str(exc))}
        if len(numbers) == 1:
            single = OSError(numbers.pop(), str(exc))
            single.__cause__ = exc
            return single
    return exc
