"""What the tests of the transport share: both event loops, a sink, and servers that misbehave."""

from __future__ import annotations

import asyncio
import functools
import inspect
import socket
import struct
from contextlib import asynccontextmanager, contextmanager, suppress
from importlib import import_module
from typing import TYPE_CHECKING

import anyio
import pytest
import uvloop

from profiler.endpoints.destination import Destination
from profiler.endpoints.stamps import Stamps
from profiler.endpoints.transport import LeanTransport
from tests.endpoints.hostile import read_request, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from anyio.abc import SocketStream

    from profiler.endpoints.transport import Received

RUNNERS = {"asyncio": asyncio.run, "uvloop": uvloop.run}


def both_loops(test):
    """Run an async test on asyncio's own loop and on uvloop."""

    @functools.wraps(test)
    def wrapper(loop_name, **values):
        RUNNERS[loop_name](test(**values))

    parameters = list(inspect.signature(test).parameters.values())
    own = inspect.Parameter("loop_name", inspect.Parameter.KEYWORD_ONLY)
    wrapper.__signature__ = inspect.Signature([*parameters, own])
    return pytest.mark.parametrize("loop_name", list(RUNNERS))(wrapper)


async def until(condition) -> None:
    """Wait for what other tasks bring about."""
    with anyio.fail_after(10):
        while not condition():  # noqa: ASYNC110 - what is watched has no event
            await anyio.sleep(0.001)


def brotli_compress(body: bytes) -> bytes:
    """Compress; the package has no types."""
    compressed: bytes = import_module("brotli").compress(body, quality=2)
    return compressed


class HandClock:
    """A clock that only a test puts forward: it stands still while the machine does."""

    def __init__(self) -> None:
        self.now_ns = 10**12

    def __call__(self) -> int:
        return self.now_ns


class Collector:
    """A sink that keeps everything."""

    def __init__(self) -> None:
        self.status = None
        self.headers = None
        self.chunks: list[tuple[bytes, int]] = []

    @property
    def body(self) -> bytes:
        return b"".join(chunk for chunk, _ in self.chunks)

    def begin(self, status, headers) -> None:
        assert self.status is None
        self.status = status
        self.headers = headers

    def feed(self, chunk, at_ns) -> None:
        self.chunks.append((bytes(chunk), at_ns))


async def send_parts(stream: SocketStream, *parts: bytes, pause_s: float = 0.0005) -> None:
    """Send each part in a segment of its own, as far as that is in a sender's power."""
    for part in parts:
        await stream.send(part)
        await anyio.sleep(pause_s)


def reset(stream: SocketStream) -> None:
    """Make the coming close a reset."""
    raw = stream.extra(anyio.abc.SocketAttribute.raw_socket)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def answering(*parts: bytes, close: bool = True, log: list[bytes] | None = None):
    """A server that answers every request with the same bytes."""

    async def handle(stream):
        while True:
            request = await read_request(stream)
            if log is not None:
                log.append(request)
            await send_parts(stream, *parts)
            if close:
                return

    return handle


@asynccontextmanager
async def meeting(handle, **options) -> AsyncIterator[tuple[LeanTransport, str]]:
    """A server, a transport, and the URL between them; afterwards nothing is open."""
    async with serving(handle) as port:
        transport = LeanTransport(**options)
        async with transport:
            yield transport, f"http://127.0.0.1:{port}/path?q=1"
        assert transport.pool.open_connections == 0
        assert transport.pool.idle_connections == 0


@asynccontextmanager
async def stream_server(handle, *, host: str = "127.0.0.1", **options) -> AsyncIterator[int]:
    """Serve with asyncio's streams (which know TLS); afterwards nothing of it is open."""
    running: set[asyncio.Task] = set()

    async def guarded(reader, writer):
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        try:
            await handle(reader, writer)
        except (asyncio.IncompleteReadError, asyncio.CancelledError, OSError):
            pass
        except RuntimeError:  # uvloop's word for a write to a client that has gone
            if not writer.transport.is_closing():
                raise
        finally:
            writer.transport.abort()
            with suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()
            running.discard(task)

    server = await asyncio.start_server(guarded, host, 0, **options)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.sleep(0)
        for task in list(running):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await server.wait_closed()


@contextmanager
def deaf_server() -> Iterator[str]:
    """A server that accepts and reads nothing: anyio's would read ahead."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"


async def ask(
    transport: LeanTransport,
    url: str,
    sink=None,
    *,
    method: str = "POST",
    body: bytes = b"{}",
    headers=(),
    timeout_s: float | None = 10.0,
    **options,
) -> tuple[Received, Collector]:
    destination = Destination.of(url)
    sink = Collector() if sink is None else sink
    head = destination.head(method, headers)
    received = await transport.exchange(
        destination, head, body, sink, timeout_s=timeout_s, **options
    )
    return received, sink


async def ask_once(handle, *, transport_options=None, **options):
    async with meeting(handle, **(transport_options or {})) as (transport, url):
        return await ask(transport, url, **options)


async def failing(handle, error, *, transport_options=None, match=None, **options):
    """Return the exception of an exchange that must fail and must leave no connection."""
    async with meeting(handle, **(transport_options or {})) as (transport, url):
        with pytest.raises(error, match=match) as caught:
            await ask(transport, url, **options)
        assert transport.pool.open_connections == 0
    return caught.value


def in_order(stamps: Stamps) -> bool:
    times = [
        stamps.connect_start_ns,
        stamps.connect_end_ns,
        stamps.sent_ns,
        stamps.first_byte_ns,
        stamps.last_byte_ns,
    ]
    known = [time for time in times if time is not None]
    return known == sorted(known)
