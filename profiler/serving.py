"""Servers that this process runs: the sockets they listen on, and what asks them to end.

Mocks, gateway and receiver alike: one event loop, real sockets, a clean end.
"""

from __future__ import annotations

import os
import signal
import socket
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import anyio
import uvicorn

from profiler.errors import UsageError
from profiler.guarding import GuardedProtocol, ServerLimits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from anyio.abc import TaskStatus
    from starlette.types import ASGIApp

_KEEP_ALIVE_S = 120
GRACE_S = 1
_TICKS_PER_S = 10


def bind(host: str, port: int) -> socket.socket:
    """Take a port; 0 is a free one. Raises `UsageError` for one that is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named as TCP, or asyncio leaves Nagle's algorithm on: 40 ms for each answer.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except OSError as exc:
        bound.close()
        raise UsageError(
            f"cannot listen: {exc.strerror or exc}",
            where=f"{host}:{port}",
            fix="Give another port, or 0 for a free one",
        ) from exc
    return bound


def url_of(bound: socket.socket, host: str) -> str:
    """Return the base URL of what listens there."""
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{bound.getsockname()[1]}"


@asynccontextmanager
async def stop_event(*, signals: bool, stdin_eof: bool) -> AsyncIterator[anyio.Event]:
    """Give an event that is set when the process is asked to end."""
    stop = anyio.Event()

    async def on_signal(*, task_status: TaskStatus[None]) -> None:
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as received:
            task_status.started()
            async for _ in received:
                stop.set()

    async def on_stdin_eof() -> None:
        await _end_of(0)
        stop.set()

    with plain_errors():
        async with anyio.create_task_group() as group:
            if signals:
                await group.start(on_signal)
            if stdin_eof:
                group.start_soon(on_stdin_eof)
            yield stop
            group.cancel_scope.cancel()


@contextmanager
def plain_errors() -> Iterator[None]:
    """Take the one error out of a task group's wrapping: it is for a person to read."""
    try:
        yield
    except BaseExceptionGroup as group:
        if len(group.exceptions) != 1:
            raise
        error = group.exceptions[0]
        raise error from error.__cause__


class _Server(uvicorn.Server):
    """A uvicorn server that says when it listens and leaves the process's signals alone."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = anyio.Event()
        self._stopping = anyio.Event()

    def stop(self) -> None:
        """Ask the server to end; it finishes what it is answering, for so long as it is given."""
        self.should_exit = True
        self._stopping.set()

    async def main_loop(self) -> None:
        """Wait to be stopped (uvicorn polls); each tick renews the `date` header."""
        tick = 0
        while not await self.on_tick(tick):
            tick += _TICKS_PER_S
            with anyio.move_on_after(1):
                await self._stopping.wait()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets=sockets)
        except SystemExit:  # its application did not start: uvicorn would end the process
            self.should_exit = True
        finally:
            self.listening.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def listening(
    app: ASGIApp,
    host: str,
    port: int,
    *,
    date_header: bool = True,
    grace_s: int = GRACE_S,
    lifespan: bool = False,
    protocol: type[GuardedProtocol] | None = None,
    tend: Callable[[uvicorn.Server, str, int], Awaitable[None]] | None = None,
    limits: ServerLimits | None = None,
) -> AsyncIterator[str]:
    """Serve an application on a socket of its own; yields its URL.

    Without `date_header` the application's answers have theirs, as those of a proxy do. At the end
    what is being answered has `grace_s` to be finished. With `lifespan` the application is told of
    start and end, if it wants to know. `protocol` takes the place of our connections; `tend` runs
    beside the server, told of it and of its address. `limits` are what a client may cost. Raises
    `UsageError` where the application does not start.
    """
    bound = bind(host, port)
    config = uvicorn.Config(
        app,
        http=cast("Any", partial(protocol or GuardedProtocol, limits=limits or ServerLimits())),
        log_level="warning",
        access_log=False,
        lifespan="auto" if lifespan else "off",
        ws="none",
        interface="asgi3",
        proxy_headers=False,
        server_header=False,
        date_header=date_header,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=grace_s,
    )
    server = _Server(config)

    async def serve() -> None:
        with anyio.CancelScope(shield=True):  # ends by `stop`, which closes what is open
            await server.serve(sockets=[bound])

    async def beside(tend: Callable[[uvicorn.Server, str, int], Awaitable[None]], at: int) -> None:
        with tending:
            await tend(server, host, at)

    tending = anyio.CancelScope()
    url = url_of(bound, host)
    with plain_errors():
        async with anyio.create_task_group() as group:
            group.start_soon(serve)
            try:
                await server.listening.wait()
                if not server.started:
                    bound.close()  # the server does so only when it ends
                    what = "the application did not start"
                    raise UsageError(what, where=url, fix="Its own message is in the log")
                if tend is not None:
                    group.start_soon(beside, tend, bound.getsockname()[1])
                yield url
            finally:
                tending.cancel()
                server.stop()


async def _end_of(descriptor: int) -> None:
    """Wait until a file ends; what is in it is thrown away."""
    while True:
        try:
            await anyio.wait_readable(descriptor)
        except PermissionError:  # a plain file or /dev/null cannot be waited for: never blocks
            pass
        except OSError:  # closed: there is no standard input
            return
        if not os.read(descriptor, 65536):
            return
