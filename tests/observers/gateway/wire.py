"""A small real upstream, written on the socket itself, and a gateway in front of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from profiler.measure.tokens import TokenCounter
from profiler.observers.gateway import Gateway, running_gateway
from profiler.observers.in_flight import InFlight

COUNTER = TokenCounter("o200k_base")


@dataclass
class Request:
    """What the upstream got."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((content for key, content in self.headers if key.lower() == name), None)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Handler = Callable[[Request, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class TheUpstream:
    """What runs: where it is, and what it got."""

    url: str
    requests: list[Request] = field(default_factory=list)
    closed: asyncio.Event = field(default_factory=asyncio.Event)


async def _read(reader: asyncio.StreamReader) -> Request | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    first, *lines = head.decode("latin-1").rstrip().split("\r\n")
    method, target, _ = first.split(" ")
    headers = [(name, content.strip()) for name, _, content in (x.partition(":") for x in lines)]
    request = Request(method, target, headers, b"")
    if request.header("transfer-encoding") == "chunked":
        while size := int(await reader.readline(), 16):
            request.body += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
    else:
        request.body = await reader.readexactly(int(request.header("content-length") or 0))
    return request


@asynccontextmanager
async def running_upstream(handler: Handler) -> AsyncIterator[TheUpstream]:
    """Serve requests one after the other on each connection."""
    writers: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.add(writer)
        try:
            while (request := await _read(reader)) is not None:
                upstream.requests.append(request)
                await handler(request, writer)
                await writer.drain()
                if writer.is_closing():
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            upstream.closed.set()
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=2**20)
    upstream = TheUpstream(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    async with server:
        yield upstream
        server.close()
        for writer in writers:
            writer.close()
        await asyncio.sleep(0)


def head(status: int, *headers: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status} Whatever", *headers, "", ""]).encode("latin-1")


def whole(body: bytes, *headers: str, status: int = 200) -> bytes:
    """Return an answer in one piece."""
    return head(status, f"content-length: {len(body)}", *headers) + body


def whole_json(body: Any, *headers: str, status: int = 200) -> bytes:
    return whole(
        json.dumps(body).encode(), "content-type: application/json", *headers, status=status
    )


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


STREAM = head(200, "content-type: text/event-stream; charset=utf-8", "transfer-encoding: chunked")


def answering(*answers: bytes) -> Handler:
    """Return a handler that gives these answers, the last one from then on."""
    left = list(answers)

    async def handler(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(left.pop(0) if len(left) > 1 else left[0])

    return handler


@dataclass
class Running:
    """A gateway and what it recorded."""

    gateway: Gateway
    records: list[Any]
    changed: asyncio.Event

    def of(self, kind: type) -> list[Any]:
        return [record for record in self.records if isinstance(record, kind)]

    async def recorded(self, kind: type, count: int = 1) -> list[Any]:
        """Wait for so many records of a kind."""
        async with asyncio.timeout(5):
            while len(self.of(kind)) < count:
                self.changed.clear()
                await self.changed.wait()
        return self.of(kind)

    async def drained(self, kind: type) -> list[Any]:
        await self.gateway.drain()
        return self.of(kind)


@asynccontextmanager
async def gateway_to(
    url: str, *, in_flight: InFlight | None = None, **options: Any
) -> AsyncIterator[Running]:
    """Run a gateway in front of `url`."""
    records: list[Any] = []
    changed = asyncio.Event()

    def record(*some: Any) -> None:
        records.extend(some)
        changed.set()

    async with running_gateway(
        upstream=url,
        record=record,
        in_flight=InFlight() if in_flight is None else in_flight,
        counter=COUNTER,
        **{"port": 0, **options},
    ) as gateway:
        yield Running(gateway, records, changed)
