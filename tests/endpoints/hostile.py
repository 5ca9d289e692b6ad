"""A raw TCP server that sends exactly the bytes it is told to: what no HTTP library would send."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
from anyio.abc import SocketStream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable


def head(status: str = "200 OK", **headers: str) -> bytes:
    """Return a response head; underscores in names become hyphens."""
    lines = [f"HTTP/1.1 {status}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def whole(body: bytes, status: str = "200 OK", content_type: str = "application/json") -> bytes:
    """Return a complete response."""
    return head(status, content_type=content_type, content_length=str(len(body))) + body


async def read_request(stream: SocketStream) -> bytes:
    """Read one request with a content-length."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += await stream.receive()
    top, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in top.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    while len(body) < length:
        body += await stream.receive()
    return top + b"\r\n\r\n" + body


@asynccontextmanager
async def hostile(
    behaviour: Callable[[SocketStream, bytes], Awaitable[None]],
) -> AsyncIterator[str]:
    """Serve connections: each request is read whole, then `behaviour` does what it likes."""

    async def handle(stream: SocketStream) -> None:
        while True:
            await behaviour(stream, await read_request(stream))

    async with serving(handle) as port:
        yield f"http://127.0.0.1:{port}/v1/chat/completions"


@asynccontextmanager
async def serving(handle: Callable[[SocketStream], Awaitable[None]]) -> AsyncIterator[int]:
    """Serve connections with `handle`, from their first byte; yields the port."""

    async def guarded(stream: SocketStream) -> None:
        try:
            async with stream:
                await handle(stream)
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, guarded)
        yield port
        tasks.cancel_scope.cancel()
