"""What one who connects to a server of ours can cost: each limit, on real sockets."""

from __future__ import annotations

from contextlib import asynccontextmanager, suppress

import anyio
import pytest

from profiler.guarding import ServerLimits
from profiler.serving import listening

SMALL = ServerLimits(head_bytes=4096, headers=20, head_s=0.2, silence_s=0.2, connections=8)
WHOLE = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"


async def _app(scope, receive, send):
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    head = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def connected(limits=SMALL, number=1):
    async with listening(_app, "127.0.0.1", 0, limits=limits) as url:
        port = int(url.rpartition(":")[2])
        streams = [await anyio.connect_tcp("127.0.0.1", port) for _ in range(number)]
        try:
            yield streams
        finally:
            for stream in streams:
                await stream.aclose()


async def everything(stream) -> bytes:
    """Read to the end; a server that keeps the connection open fails the test."""
    read = b""
    with anyio.fail_after(20):
        try:
            while True:
                read += await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return read


async def send(stream, data: bytes) -> None:
    with suppress(anyio.BrokenResourceError):  # it has hung up already
        await stream.send(data)


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nx: " + b"a" * 5000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 21 + b"\r\n",
        b"GET / HTTP/1.1\r\n" + b"aaaa: b\r\n" * 1000,
    ],
    ids=["target", "one header", "many headers", "no end"],
)
async def test_a_large_head_is_refused(head):
    async with connected() as (stream,):
        await send(stream, head)
        assert (await everything(stream)).startswith(b"HTTP/1.1 400 ")


async def test_a_head_without_end_is_cut_off_and_not_collected():
    async with connected() as (stream,):
        for _ in range(200):
            await send(stream, b"x" * 65536)
        assert len(await everything(stream)) < 1000


async def test_who_is_slow_over_a_head_is_hung_up_on():
    async with connected() as (stream,), anyio.create_task_group() as tasks:

        async def drip():
            for byte in WHOLE[:-2]:
                await send(stream, bytes([byte]))
                await anyio.sleep(0.05)

        tasks.start_soon(drip)
        assert await everything(stream) == b""
        tasks.cancel_scope.cancel()


async def test_who_says_nothing_is_hung_up_on():
    async with connected() as (stream,):
        assert await everything(stream) == b""


async def test_who_stops_within_a_body_is_hung_up_on():
    async with connected() as (stream,):
        await stream.send(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhello")
        assert await everything(stream) == b""


async def test_connections_beyond_the_limit_are_closed_and_the_others_served():
    limits = ServerLimits(connections=8)
    async with connected(limits, number=12) as streams:
        for stream in streams[8:]:
            assert await everything(stream) == b""
        for stream in streams[:8]:
            await stream.send(WHOLE)
            assert (await stream.receive()).startswith(b"HTTP/1.1 200 ")


async def test_an_idle_connection_between_requests_outlives_the_limits_of_a_head():
    async with connected() as (stream,):
        for _ in range(2):
            await stream.send(WHOLE)
            assert (await stream.receive()).startswith(b"HTTP/1.1 200 ")
            await anyio.sleep(0.3)


@pytest.mark.parametrize("pieces", [1, 2])
async def test_a_wish_for_another_protocol_is_not_heard_and_the_body_is(pieces):
    """As the client of Java 11 and later sends every request over plain HTTP."""
    head = (
        b"POST / HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nhost: a\r\n"
        b"HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\nUpgrade: h2c\r\n"
        b"content-length: 5\r\n\r\n"
    )
    async with connected(number=1) as (stream,):
        for _ in range(2):
            for piece in (head + b"hello",) if pieces == 1 else (head, b"hello"):
                await send(stream, piece)
            answer = b""
            with anyio.fail_after(20):
                while b"\r\n\r\n" not in answer:
                    answer += await stream.receive()
            assert b"\r\ncontent-length: 5\r\n" in answer
