"""The transport of the harness: HTTP/1.1, one pool, nothing that a request does not need.

Two ways in. `LeanTransport.handle_async_request` is httpx's seam, for any `httpx.AsyncClient`.
`LeanTransport.exchange` is for the driver: the response goes to a `Sink` from within the socket's
callback, each piece with its time, and the waiting task is woken once.
"""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

import httpx

from profiler.clock import NS_PER_S, monotonic_ns
from profiler.endpoints.decoding import decode, decoders_for
from profiler.endpoints.pool import Pool
from profiler.endpoints.receiver import BodyTooLargeError, DeadlineError, Limits, StaleError
from profiler.endpoints.stamps import Stamps
from profiler.endpoints.streaming import OutgoingRequest, ResponseBody

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from profiler.clock import MonotonicNs
    from profiler.endpoints.decoding import Decoder
    from profiler.endpoints.destination import Destination, RequestHead
    from profiler.endpoints.receiver import Feed, HeaderLines

KEEPALIVE_EXPIRY_S = 60.0
RETRY_WINDOW_S = 1.0
_FIRST_BYTES = 16_384
"""Of a large body, what is written before others of the same instant begin."""


class Sink(Protocol):
    """Takes one response as it leaves the socket. What it raises breaks the exchange off."""

    def begin(self, status: int, headers: HeaderLines) -> None:
        """Take the head."""
        ...

    def feed(self, chunk: bytes, at_ns: int) -> None:
        """Take the next bytes of the body, decoded, and when they left the socket."""
        ...


class Received:
    """What `exchange` returns: the head and the times. The body went to the sink."""

    __slots__ = (
        "_deadline_s",
        "_decoders",
        "_max_body_bytes",
        "_sink",
        "_size",
        "done",
        "headers",
        "stamps",
        "status",
    )

    def __init__(
        self,
        sink: Sink,
        stamps: Stamps,
        done: asyncio.Future[BaseException | None],
        timeout_s: float | None,
        max_body_bytes: int,
    ) -> None:
        self.stamps = stamps
        self.status = 0
        self.headers: HeaderLines
        self._sink = sink
        self.done = done
        self._deadline_s = timeout_s
        self._max_body_bytes = max_body_bytes

    # `receiver.Receiver`

    def begin(self, status: int, headers: HeaderLines, content_encoding: str | None) -> Feed:
        """Pass the head on; the body goes to the sink directly unless it has to be decoded."""
        self.status = status
        self.headers = headers
        sink = self._sink
        sink.begin(status, headers)
        if content_encoding is not None:
            self._decoders: list[Decoder] = decoders_for(content_encoding)
            self._size = 0
            if self._decoders:
                return self._feed_decoded
        return sink.feed

    def _feed_decoded(self, chunk: bytes, at_ns: int) -> None:
        for piece in decode(self._decoders, chunk):
            self._size += len(piece)
            if self._size > self._max_body_bytes:
                raise BodyTooLargeError(self._max_body_bytes)
            self._sink.feed(piece, at_ns)

    def end(self) -> None:
        """Wake the task."""
        if not self.done.done():
            self.done.set_result(None)

    def fail(self, exc: BaseException) -> None:
        """Wake the task. The exception is a result: it is not lost where nobody waits any more."""
        if not self.done.done():
            self.done.set_result(exc)

    def timed_out(self) -> httpx.TimeoutException:
        """Only the deadline is timed."""
        return DeadlineError(f"no complete answer within {self._deadline_s:g} s")


class LeanTransport(httpx.AsyncBaseTransport):
    """HTTP/1.1 over `asyncio`, for one event loop. `async with`, or `aclose`, ends it.

    A request is sent a second time, on a new connection, exactly if the first was a reused one
    that turned out closed before one byte of the response came, within `retry_window_s` of the
    sending: later it is the server that failed, and a retry would hide that. `Stamps.retried`
    says so. Timeouts are judged by `clock`.
    """

    def __init__(
        self,
        *,
        verify: ssl.SSLContext | str | bool = True,
        cert: str | tuple[str, ...] | None = None,
        trust_env: bool = True,
        max_connections: int | None = None,
        keepalive_expiry_s: float | None = KEEPALIVE_EXPIRY_S,
        retry_window_s: float = RETRY_WINDOW_S,
        limits: Limits | None = None,
        clock: MonotonicNs = monotonic_ns,
    ) -> None:
        self._verify, self._cert, self._trust_env = verify, cert, trust_env
        self._tls: ssl.SSLContext | None = None
        self._clock = clock
        self._limits = Limits() if limits is None else limits
        self.pool = Pool(
            tls_context=self._tls_context,
            clock=clock,
            limits=self._limits,
            max_connections=max_connections,
            keepalive_expiry_s=keepalive_expiry_s,
            retry_window_s=retry_window_s,
        )

    def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:  # 26 ms: only where it is needed
            self._tls = tls_context(self._verify, self._cert, trust_env=self._trust_env)
        return self._tls

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close every connection; requests under way fail."""
        await self.pool.aclose()

    # For the driver

    async def exchange(
        self,
        destination: Destination,
        head: RequestHead,
        body: bytes,
        sink: Sink,
        *,
        lines: bytes = b"",
        timeout_s: float | None = None,
        connect_timeout_s: float | None = None,
        pool_timeout_s: float | None = None,
        max_body_bytes: int | None = None,
        stamps: Stamps | None = None,
    ) -> Received:
        """Send one request, let `sink` take the response, return when it is complete.

        `lines` are further headers, from `header_lines`. `timeout_s` is for everything, from the
        call to the last byte. `max_body_bytes` holds for the body on the wire and for the decoded.
        Who wants the times of an exchange that failed passes `stamps`.

        Raises `httpx.RequestError`, each with its `request`, and whatever `sink` raises.
        """
        started_ns = self._clock()
        loop = self.pool.check_loop()
        deadline_ns = None if timeout_s is None else started_ns + round(timeout_s * NS_PER_S)
        if max_body_bytes is None:
            max_body_bytes = self._limits.max_body_bytes
        if stamps is None:
            stamps = Stamps()
        data, rest = _divided(head, body, lines)
        connection = self.pool.take(destination.origin, started_ns)
        try:
            while True:
                if connection is None:
                    connection = await self.pool.obtain(
                        destination.origin,
                        stamps,
                        fresh=stamps.retried > 0,
                        pool_timeout_s=pool_timeout_s,
                        connect_timeout_s=connect_timeout_s,
                        deadline_ns=deadline_ns,
                    )
                received = Received(sink, stamps, loop.create_future(), timeout_s, max_body_bytes)
                connection.start(
                    received,
                    stamps,
                    data,
                    head_only=head.expects_no_body,
                    closes=head.closes,
                    rest=rest,
                    max_body_bytes=max_body_bytes,
                )
                if deadline_ns is not None:
                    connection.expect(deadline_ns)
                try:
                    failure = await received.done
                except asyncio.CancelledError:
                    connection.abandon(received)
                    raise
                if failure is None:
                    return received
                if not isinstance(failure, StaleError):
                    try:
                        raise failure
                    finally:
                        # Its traceback knows this frame: with these it would be in a cycle, and
                        # the sink with all of its bytes would stay until a collection.
                        del failure, received
                stamps.retried += 1
                connection = None
        except httpx.RequestError as exc:
            exc.request = destination.request(head)
            raise

    # For httpx

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request as httpx wants it; the response's body is still to be read."""
        loop = self.pool.check_loop()
        timeouts: Mapping[str, float | None] = request.extensions.get("timeout", {})
        stamps = Stamps()
        try:
            outgoing = OutgoingRequest.of(request)
            connection = self.pool.take(outgoing.origin, self._clock())
            while True:
                if connection is None:
                    connection = await self.pool.obtain(
                        outgoing.origin,
                        stamps,
                        fresh=stamps.retried > 0,
                        pool_timeout_s=timeouts.get("pool"),
                        connect_timeout_s=timeouts.get("connect"),
                    )
                body = ResponseBody(
                    connection,
                    request,
                    loop=loop,
                    clock=self._clock,
                    read_timeout_s=timeouts.get("read"),
                    write_timeout_s=timeouts.get("write"),
                )
                connection.start(
                    body,
                    stamps,
                    outgoing.data,
                    head_only=outgoing.expects_no_body,
                    closes=outgoing.closes,
                    uploading=outgoing.parts is not None,
                )
                try:
                    await body.sent(outgoing)
                    return await body.response(stamps)
                except StaleError:
                    if outgoing.parts is not None:
                        raise  # a body that can be read only once
                    stamps.retried += 1
                    connection = None
                except BaseException:
                    connection.abandon(body)
                    raise
        except httpx.RequestError as exc:
            exc.request = request
            raise


def _divided(head: RequestHead, body: bytes, lines: bytes) -> tuple[bytes, memoryview | None]:
    """Return what of a request is written at once, and what a large one has beside."""
    if len(body) <= _FIRST_BYTES:
        return head.message(body, lines), None
    whole = memoryview(body)
    return head.before(len(body), lines) + whole[:_FIRST_BYTES], whole[_FIRST_BYTES:]


def tls_context(
    verify: ssl.SSLContext | str | bool = True,  # noqa: FBT001, FBT002 - httpx's own signature
    cert: str | tuple[str, ...] | None = None,
    *,
    trust_env: bool = True,
) -> ssl.SSLContext:
    """Return what httpx's `verify` and `cert` mean, offering HTTP/1.1 only.

    `verify`: a context, whether to verify at all, or where the authorities are (a file or a
    folder). `cert`: a file with certificate and key, or (certificate, key[, password]).
    A context that is passed in is changed, as httpx does.
    """
    if isinstance(verify, str):
        is_folder = Path(verify).is_dir()
        context = ssl.create_default_context(
            cafile=None if is_folder else verify, capath=verify if is_folder else None
        )
    else:
        context = httpx.create_ssl_context(verify, trust_env=trust_env)
    if cert is not None:
        context.load_cert_chain(*((cert,) if isinstance(cert, str) else cert))
    context.set_alpn_protocols(["http/1.1"])
    return context
