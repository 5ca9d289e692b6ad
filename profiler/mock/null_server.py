"""The null server: an agent that costs nothing, to measure the harness against.

It answers OpenAI chat completions, plain or streamed as the request asks, from bytes that were made
before; at once, or after a delay that is exact to microseconds. It knows its own CPU time and how
late its delays were (`GET /stats`), so that a measurement can show that the server was not what it
measured.

It parses what it must: the end of the head, the content-length, whether the body asks for a
stream. A connection is served in order; a request that was pipelined waits for the answer before
it. Every path is answered alike.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import anyio

from profiler.admission import checked_opening, is_bearer, split_token
from profiler.clock import NS_PER_S, monotonic_ns, seconds_to_ns
from profiler.mock.alarm import Alarm
from profiler.mock.null_answers import NullAnswers, plain_json, refusal
from profiler.serving import bind, plain_errors, stop_event, url_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

LOCALHOST = "127.0.0.1"
MOST_HEAD_BYTES = 65_536
MOST_BODY_BYTES = 64 * 1024 * 1024
MOST_CONNECTIONS = 16_384
SILENCE_S = 120.0
HEAD_S = 30.0
_SWEEP_S = 30.0
_MOST_ERROR_US = 100_000
_BACKLOG = 4096
_ASKS_FOR_STREAM = (b'"stream":true', b'"stream": true')


@dataclass(frozen=True, slots=True, kw_only=True)
class NullOptions:
    """How it answers: `delay_s` before a plain answer, `ttft_s` before a stream (None: the same).

    A stream's chunks follow each other by `chunk_gap_s`; at 0 they are sent at once.
    """

    chunks: int = 64
    chunk_gap_s: float = 0.0
    delay_s: float = 0.0
    ttft_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NullUrls:
    """Where it listens: any path will do, this one names the protocol."""

    url: str
    stats: str


class NullStats:
    """What the server knows of itself. Delay errors are counted by whole microseconds."""

    def __init__(self) -> None:
        self.requests = 0
        self.streams = 0
        self.connections = 0
        self.first_request_ns: int | None = None
        self._cpu_before_s = time.process_time()
        self._errors_us = [0] * (_MOST_ERROR_US + 1)
        self._errors = 0
        self._worst_us = 0

    def note_late(self, due_ns: int) -> None:
        """Count how late it is now."""
        late_us = max(0, monotonic_ns() - due_ns) // 1000
        self._errors_us[min(late_us, _MOST_ERROR_US)] += 1
        self._errors += 1
        self._worst_us = max(self._worst_us, late_us)

    def as_dict(self) -> dict[str, Any]:
        """Return the figures. CPU is of the whole process, since it began to serve."""
        cpu_s = time.process_time() - self._cpu_before_s
        errors = None
        if self._errors:
            p50, p99 = self._percentile(50), self._percentile(99)
            errors = {"count": self._errors, "p50": p50, "p99": p99, "max": self._worst_us}
        return {
            "server": "python",
            "requests": self.requests,
            "streams": self.streams,
            "connections": self.connections,
            "cpu_s": cpu_s,
            "cpu_us_per_request": cpu_s * 1e6 / self.requests if self.requests else None,
            "first_request_ns": self.first_request_ns,
            "delay_error_us": errors,
        }

    def _percentile(self, percent: int) -> int:
        """Return the smallest error that at least `percent` % of all do not exceed."""
        wanted, seen = -(-self._errors * percent // 100), 0
        for error_us, count in enumerate(self._errors_us):
            seen += count
            if seen >= wanted:
                return error_us
        return _MOST_ERROR_US


class _Server:
    """What the connections share."""

    def __init__(self, options: NullOptions, token: str | None) -> None:
        self.token = None if token is None else token.encode("ascii")
        ttft_s = options.delay_s if options.ttft_s is None else options.ttft_s
        self.answers = NullAnswers.of(options.chunks)
        self.delay_ns = seconds_to_ns(options.delay_s)
        self.ttft_ns = seconds_to_ns(ttft_s)
        self.gap_ns = seconds_to_ns(options.chunk_gap_s)
        self.stats = NullStats()
        self.alarm = Alarm()
        self.open: set[_Connection] = set()


class _Refused(Exception):  # noqa: N818 - a verdict on a request, never seen outside
    """A request that cannot be read on; says the status."""


class _Request:
    """One request in a buffer: where it ends, and what it asks for."""

    __slots__ = ("asks_for_stats", "asks_for_stream", "closes", "end")

    def __init__(self, data: bytes, start: int, head_end: int) -> None:
        head = data[start : head_end + 2].lower()
        if b"\r\ntransfer-encoding:" in head:
            raise _Refused("411 Length Required")
        length = _content_length(head)
        self.end = head_end + 4 + length
        self.closes = b"\r\nconnection: close\r\n" in head
        self.asks_for_stats = head.startswith(b"get /stats")
        self.asks_for_stream = any(
            data.find(asks, head_end, self.end) >= 0 for asks in _ASKS_FOR_STREAM
        )


def _content_length(head: bytes) -> int:
    at = head.find(b"\r\ncontent-length:")
    if at < 0:
        return 0
    text = head[at + 17 : head.find(b"\r\n", at + 2)].strip()
    if not text.isdigit():
        raise _Refused("400 Bad Request")
    length = int(text)
    if length > MOST_BODY_BYTES:
        raise _Refused("413 Content Too Large")
    return length


def _has_token(head: bytes, token: bytes) -> bool:
    line, *headers = head.split(b"\r\n")
    given, _ = split_token(b" ".join(line.split(b" ")[1:2]))
    if given is not None and hmac.compare_digest(given, token):
        return True
    named = (header.partition(b":") for header in headers)
    return any(
        name.lower() == b"authorization" and is_bearer(value.strip(), token)
        for name, _, value in named
    )


class _Connection(asyncio.Protocol):
    """One client. Reads on only when what it read before is answered."""

    def __init__(self, server: _Server) -> None:
        self._server = server
        self._buffer = b""
        self._needed = 0
        self._is_busy = False
        self._is_closing = False
        self._heard_ns = self._begun_ns = monotonic_ns()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it
        self._server.stats.connections += 1
        self._server.open.add(self)
        if len(self._server.open) > MOST_CONNECTIONS:
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - whoever ended it
        self._is_closing = True
        self._server.open.discard(self)

    def abort(self) -> None:
        """Hang up."""
        self._transport.abort()

    def is_silent(self, at_ns: int) -> bool:
        """Say whether the client owes a request, or the rest of one, for too long."""
        if self._is_busy:
            return False
        is_in_head = bool(self._buffer) and self._needed == 0
        if is_in_head and at_ns - self._begun_ns > HEAD_S * NS_PER_S:
            return True
        return at_ns - self._heard_ns > SILENCE_S * NS_PER_S

    def data_received(self, data: bytes) -> None:
        self._heard_ns = received_ns = monotonic_ns()
        if not self._buffer:
            self._begun_ns = received_ns
        self._buffer = self._buffer + data if self._buffer else data
        if len(self._buffer) >= self._needed and not self._is_busy:
            self._serve(received_ns)

    def _serve(self, received_ns: int) -> None:
        """Answer the requests that are complete, up to one that has to wait."""
        answers: list[bytes] = []
        start = 0
        try:
            while not self._is_busy and not self._is_closing:
                request = self._next(start)
                if request is None:
                    break
                start = request.end
                self._is_closing = request.closes
                answer = self._answer(request, received_ns)
                if answer is not None:
                    answers.append(answer)
        except _Refused as exc:
            answers.append(refusal(str(exc)))
            self._is_closing = True
        if start:
            self._buffer, self._begun_ns = self._buffer[start:], received_ns
        if answers:
            self._transport.write(b"".join(answers))
        self._close_if_done()

    def _next(self, start: int) -> _Request | None:
        """Return the request that begins there, if all of it has come."""
        buffer = self._buffer
        head_end = buffer.find(b"\r\n\r\n", start)
        if head_end < 0:
            if len(buffer) - start > MOST_HEAD_BYTES:
                raise _Refused("431 Request Header Fields Too Large")
            return None
        token = self._server.token
        if token is not None and not _has_token(buffer[start : head_end + 2], token):
            raise _Refused("401 Unauthorized")
        request = _Request(buffer, start, head_end)
        if request.end > len(buffer):
            self._needed = request.end - start  # what is before `start` leaves the buffer
            return None
        self._needed = 0
        return request

    def _answer(self, request: _Request, received_ns: int) -> bytes | None:
        """Return the answer, or None for one that comes later."""
        server = self._server
        stats = server.stats
        if request.asks_for_stats:
            return plain_json(stats.as_dict())
        if stats.requests == 0:
            stats.first_request_ns = received_ns
        stats.requests += 1
        if not request.asks_for_stream:
            if server.delay_ns == 0:
                return server.answers.plain
            self._later(received_ns + server.delay_ns, self._plain_is_due)
            return None
        stats.streams += 1
        if server.ttft_ns == 0 and server.gap_ns == 0:
            return server.answers.stream
        self._piece = 0
        self._later(received_ns + server.ttft_ns, self._piece_is_due)
        return None

    def _later(self, due_ns: int, call: Callable[[int], None]) -> None:
        self._is_busy = True
        self._server.alarm.at(due_ns, call)

    def _plain_is_due(self, due_ns: int) -> None:
        self._finish(self._server.answers.plain, due_ns)

    def _piece_is_due(self, due_ns: int) -> None:
        server = self._server
        if server.gap_ns == 0:
            self._finish(server.answers.stream, due_ns)
            return
        pieces, piece = server.answers.pieces, self._piece
        self._piece += 1
        if self._piece == len(pieces):
            self._finish(pieces[piece], due_ns)
        elif not self._transport.is_closing():
            self._transport.write(pieces[piece])
            server.stats.note_late(due_ns)
            server.alarm.at(due_ns + server.gap_ns, self._piece_is_due)

    def _finish(self, last: bytes, due_ns: int) -> None:
        """Send the end of an answer and go on with what came meanwhile."""
        self._is_busy = False
        if self._transport.is_closing():
            return
        self._transport.write(last)
        self._server.stats.note_late(due_ns)
        if self._buffer and not self._is_closing:
            self._serve(monotonic_ns())
        else:
            self._close_if_done()

    def _close_if_done(self) -> None:
        if self._is_closing and not self._is_busy:
            self._transport.close()


@asynccontextmanager
async def running_null(
    *,
    host: str = LOCALHOST,
    port: int = 0,
    token: str | None = None,
    options: NullOptions | None = None,
) -> AsyncIterator[tuple[NullUrls, NullStats]]:
    """Run the null server. Port 0 takes a free one. With a `token` each request has to have it.

    Raises `UsageError` for a port that is taken, and for a host beyond loopback without a token.
    """
    checked_opening(host, token, "null server")
    shared = _Server(options if options is not None else NullOptions(), token)
    bound = bind(host, port)
    base, stats = url_of(bound, host), shared.stats
    server = await asyncio.get_running_loop().create_server(
        lambda: _Connection(shared), sock=bound, backlog=_BACKLOG
    )
    with plain_errors():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(shared.alarm.run)
            tasks.start_soon(_sweep, shared)
            try:
                yield NullUrls(url=f"{base}/v1/chat/completions", stats=f"{base}/stats"), stats
            finally:
                server.close()
                for connection in list(shared.open):
                    connection.abort()
                tasks.cancel_scope.cancel()


async def _sweep(server: _Server) -> None:
    """Hang up on clients that are silent: a timer for each would cost every request."""
    while True:
        await anyio.sleep(_SWEEP_S)
        now_ns = monotonic_ns()
        for connection in [one for one in server.open if one.is_silent(now_ns)]:
            connection.abort()


async def serve_null(
    *,
    host: str = LOCALHOST,
    port: int = 0,
    token: str | None = None,
    options: NullOptions | None = None,
    announce: Callable[[NullUrls], None] | None = None,
    exit_on_stdin_eof: bool = False,
    handle_signals: bool = True,
) -> NullStats:
    """Serve until a signal, or the end of standard input if so asked; return its figures."""
    async with (
        stop_event(signals=handle_signals, stdin_eof=exit_on_stdin_eof) as stop,
        running_null(host=host, port=port, token=token, options=options) as (urls, stats),
    ):
        if announce is not None:
            announce(urls)
        await stop.wait()
    return stats
