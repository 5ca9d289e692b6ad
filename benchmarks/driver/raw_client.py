"""The limit: sockets, an HTTP parser, an event loop, and nothing that measures or records.

    python -m benchmarks.driver.raw_client URL --connections 64 --requests 12000 [--stream]
    python -m benchmarks.driver.raw_client URL --rate 1000 --requests 6000 [--poisson]

Every connection is open before the first request. Prints percentiles as a line of JSON, in
milliseconds: `latency` from the send to the end, `first` to the first byte of a body, `late` from
the instant at which a request was due to its send (with a rate).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
from collections import deque
from time import monotonic_ns
from urllib.parse import urlsplit

import httptools
import uvloop

from benchmarks.driver.percentiles import percentile_ms
from profiler.mock.alarm import Alarm

LEAD_NS = 20_000_000
OPEN_CONNECTIONS = 512


class Connection(asyncio.Protocol):
    """One connection; tells its client when an answer is complete."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._parser = httptools.HttpResponseParser(self)
        self._first_ns: int | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport: it is what sends."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Read the clock once, and parse."""
        self._now_ns = monotonic_ns()
        self._parser.feed_data(data)

    def on_body(self, _data: bytes) -> None:
        """Note when a body began."""
        if self._first_ns is None:
            self._first_ns = self._now_ns

    def on_message_complete(self) -> None:
        """Hand over the times; a parser is for one message."""
        self._parser = httptools.HttpResponseParser(self)
        first_ns = self._now_ns if self._first_ns is None else self._first_ns
        self._client.ended(self, self._now_ns - self._send_ns, first_ns - self._send_ns)

    def send(self, data: bytes) -> int:
        """Send a request; return when."""
        self._first_ns = None
        self._send_ns = monotonic_ns()
        self._transport.write(data)  # type: ignore[attr-defined] # a stream's transport can
        return self._send_ns


class Client:
    """Sends so many requests, as fast as the connections answer or at a schedule."""

    def __init__(self, url: str, options: argparse.Namespace) -> None:
        split = urlsplit(url)
        self._host, self._port = split.hostname or "127.0.0.1", split.port or 80
        body = b'{"model":"null","messages":[{"role":"user","content":"Where is my order?"}]'
        body += b',"stream":true}' if options.stream else b"}"
        self._request = b"POST %b HTTP/1.1\r\nhost: %b\r\n" % (
            split.path.encode(),
            split.netloc.encode(),
        )
        self._request += b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
            len(body),
            body,
        )
        self._options = options
        self._to_send = self._to_end = options.requests
        self._free: list[Connection] = []
        self._overdue: deque[int] = deque()
        self.latencies_ns: list[int] = []
        self.firsts_ns: list[int] = []
        self.late_ns: list[int] = []

    async def run(self) -> None:
        """Open every connection, send everything, return when all is answered."""
        loop = asyncio.get_running_loop()
        self._done = loop.create_future()
        count = OPEN_CONNECTIONS if self._options.rate else self._options.connections
        for _ in range(count):
            _, connection = await loop.create_connection(
                lambda: Connection(self), self._host, self._port
            )
            self._free.append(connection)
        if self._options.rate:
            await self._at_a_rate()
            return
        for connection in self._free:
            self._next(connection)
        await self._done

    def _next(self, connection: Connection) -> None:
        if self._to_send:
            self._to_send -= 1
            connection.send(self._request)

    async def _at_a_rate(self) -> None:
        alarm = Alarm()
        rng = random.Random(1)
        due_s, start_ns = 0.0, monotonic_ns() + LEAD_NS
        for number in range(self._options.requests):
            alarm.at(start_ns + round(due_s * 1e9), self._is_due)
            gap = rng.expovariate(1.0) if self._options.poisson else 1.0
            due_s = (
                due_s + gap / self._options.rate
                if self._options.poisson
                else ((number + 1) / self._options.rate)
            )
        alarming = asyncio.create_task(alarm.run())
        await self._done
        alarming.cancel()

    def _is_due(self, due_ns: int) -> None:
        if self._free:
            self.late_ns.append(self._free.pop().send(self._request) - due_ns)
        else:
            self._overdue.append(due_ns)

    def ended(self, connection: Connection, latency_ns: int, first_ns: int) -> None:
        """Count an answer, and send the next request where that is what sets the pace."""
        self.latencies_ns.append(latency_ns)
        self.firsts_ns.append(first_ns)
        self._to_end -= 1
        if self._to_end == 0:
            self._done.set_result(None)
        elif self._overdue:
            self.late_ns.append(connection.send(self._request) - self._overdue.popleft())
        elif self._options.rate:
            self._free.append(connection)
        else:
            self._next(connection)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--poisson", action="store_true")
    parser.add_argument("--stream", action="store_true")
    options = parser.parse_args()
    client = Client(options.url, options)
    uvloop.run(client.run())
    figures = {}
    for name, values in (
        ("latency", client.latencies_ns),
        ("first", client.firsts_ns),
        ("late", client.late_ns),
    ):
        figures[name] = {f"p{p}": percentile_ms(values, p) for p in (50, 99)}
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
