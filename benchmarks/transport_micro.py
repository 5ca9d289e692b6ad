"""CPU that one request costs, through each way into the transport.

    python benchmarks/transport_micro.py [--connections 64] [--seconds 1] [--rounds 5]

The server is another process: it parses nothing but the end of a request, so it is never what
limits. The ways take turns, round after round, and the best round of each counts: other load on
the machine only ever adds. `raw` is the limit: an `asyncio.Protocol` that hands bytes to the same
parser and does nothing else.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import pstats
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import httptools
import httpx
import uvloop

from profiler.endpoints.destination import Destination, header_lines
from profiler.endpoints.transport import LeanTransport

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

BODY = b'{"model":"m","messages":[{"role":"user","content":"Where is my order A-17?"}]}'
EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"token "}}]}\n\n'
CHUNKS = 64
PLAIN = (
    b"HTTP/1.1 200 OK\r\ndate: Mon, 01 Jan 2024 00:00:00 GMT\r\nserver: null\r\n"
    b"content-type: application/json\r\ncontent-length: 64\r\n\r\n" + b"x" * 64
)
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ndate: Mon, 01 Jan 2024 00:00:00 GMT\r\nserver: null\r\n"
    b"content-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
)
CHUNK = b"%x\r\n%b\r\n" % (len(EVENT), EVENT)


# ruff: noqa: D102, ARG002 - the methods are those of asyncio's and of the parser's protocols


class NullServer(asyncio.Protocol):
    """Answers each request; a path that begins with /stream in pieces, each in a segment."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # a bare transport: a benchmark's server

    def data_received(self, data: bytes) -> None:
        if data.startswith(b"POST /stream"):
            self.left = CHUNKS
            self.transport.write(STREAM_HEAD)  # type: ignore[attr-defined] # it can write
            self.send_next()
        else:
            self.transport.write(PLAIN)  # type: ignore[attr-defined] # it can write

    def send_next(self) -> None:
        self.left -= 1
        last = b"" if self.left else b"0\r\n\r\n"
        self.transport.write(CHUNK + last)  # type: ignore[attr-defined] # it can write
        if self.left:
            asyncio.get_running_loop().call_soon(self.send_next)


async def serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(NullServer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


class NullSink:
    __slots__ = ("chunks",)

    def __init__(self) -> None:
        self.chunks = 0

    def begin(self, status: int, headers: object) -> None:
        pass

    def feed(self, chunk: bytes, at_ns: int) -> None:
        self.chunks += 1


class Raw(asyncio.Protocol):
    """The limit: one future for each response, the parser, and no more."""

    def __init__(self) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.chunks = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_body(self, data: bytes) -> None:
        self.chunks += 1

    def on_message_complete(self) -> None:
        self.done.set_result(None)

    async def post(self, data: bytes) -> None:
        self.done = asyncio.get_running_loop().create_future()
        self.transport.write(data)  # type: ignore[attr-defined] # it can write
        await self.done


Send = "Callable[[], Awaitable[None]]"


async def ways(url: str) -> tuple[dict[str, list[Callable[[], Awaitable[None]]]], LeanTransport]:
    """Return, for each way, one sender for each connection."""
    loop = asyncio.get_running_loop()
    transport = LeanTransport()
    destination = Destination.of(url)
    head = destination.head("POST", [("user-agent", "x"), ("content-type", "application/json")])
    client = httpx.AsyncClient(transport=transport, timeout=60)
    parsed = httpx.URL(url)
    plain_headers = httpx.Headers({"host": "x", "content-type": "application/json"})
    headers = httpx.Headers({**plain_headers, "content-length": str(len(BODY))})
    timeouts = {"timeout": {"connect": 10.0, "read": 60.0, "write": 60.0, "pool": None}}

    async def exchange() -> None:
        lines = header_lines([("traceparent", "00-0123456789abcdef0123456789abcdef-01")])
        await transport.exchange(
            destination, head, BODY, NullSink(), lines=lines, timeout_s=60, connect_timeout_s=10
        )

    async def handle() -> None:
        stream = httpx.ByteStream(BODY)
        request = httpx.Request("POST", parsed, headers=headers, stream=stream, extensions=timeouts)
        response = await transport.handle_async_request(request)
        async for _ in response.stream:  # type: ignore[union-attr] # an async one
            pass

    async def send() -> None:
        stream = httpx.ByteStream(BODY)
        request = httpx.Request("POST", parsed, headers=headers, stream=stream, extensions=timeouts)
        response = await client.send(request, stream=True)
        async for _ in response.aiter_raw():
            pass
        await response.aclose()

    data = head.message(BODY)

    async def raw() -> Callable[[], Awaitable[None]]:
        _, protocol = await loop.create_connection(
            Raw, destination.origin.host, destination.origin.port
        )
        return lambda: protocol.post(data)

    return {
        "raw": [await raw() for _ in range(OPTIONS.connections)],
        "exchange": [exchange] * OPTIONS.connections,
        "handle_async_request": [handle] * OPTIONS.connections,
        "AsyncClient.send": [send] * OPTIONS.connections,
    }, transport


async def cpu_us_per_request(senders: list[Callable[[], Awaitable[None]]], seconds: float) -> float:
    sent = 0
    end = time.monotonic() + seconds

    async def user(send: Callable[[], Awaitable[None]]) -> None:
        nonlocal sent
        while time.monotonic() < end:
            for _ in range(8):
                await send()
            sent += 8

    started = time.process_time()
    async with asyncio.TaskGroup() as tasks:
        for send in senders:
            tasks.create_task(user(send))
    return (time.process_time() - started) * 1e6 / sent


async def measure(port: int) -> None:
    best: dict[tuple[str, str], float] = {}
    for kind in ("plain", "stream"):
        senders, transport = await ways(f"http://127.0.0.1:{port}/{kind}")
        async with transport:
            for _ in range(OPTIONS.rounds):
                for way, ones in senders.items():
                    if OPTIONS.only and way != OPTIONS.only:
                        continue
                    cost = await cpu_us_per_request(ones, OPTIONS.seconds)
                    best[kind, way] = min(best.get((kind, way), cost), cost)
    print(f"{'CPU us':22}{'request':>10}{'64 chunks':>12}{'per chunk':>12}")
    for kind, way in best:
        if kind == "plain":
            plain, stream = best["plain", way], best["stream", way]
            print(f"{way:22}{plain:10.1f}{stream:12.1f}{(stream - plain) / CHUNKS:12.2f}")


def main() -> None:
    runner = asyncio.run if OPTIONS.loop == "asyncio" else uvloop.run
    if OPTIONS.serve:
        uvloop.run(serve())
        return
    with subprocess.Popen(
        [sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        try:
            if OPTIONS.profile:
                with cProfile.Profile() as profile:
                    runner(measure(port))
                pstats.Stats(profile).sort_stats("tottime").print_stats(25)
            else:
                runner(measure(port))
        finally:
            server.terminate()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--loop", choices=["uvloop", "asyncio"], default="uvloop")
    parser.add_argument("--only")
    parser.add_argument("--serve", action="store_true")
    parser.add_argument("--profile", action="store_true")
    OPTIONS = parser.parse_args()
    main()
