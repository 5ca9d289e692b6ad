"""A request as httpx makes it, and a response as httpx reads it: the two sides of its seam."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx

from profiler.clock import NS_PER_S
from profiler.endpoints.destination import (
    ALWAYS_SAY_LENGTH,
    Origin,
    checked_lines,
    closes,
    origin_of,
    request_line,
)

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator

    from profiler.clock import MonotonicNs
    from profiler.endpoints.connection import Connection
    from profiler.endpoints.receiver import Feed, HeaderLines
    from profiler.endpoints.stamps import Stamps

HIGH_WATER_BYTES, LOW_WATER_BYTES = 64 * 1024, 16 * 1024


@dataclass(slots=True)
class OutgoingRequest:
    """What goes on the wire: `data`, and after it, where `parts` is not None, each of its parts.

    `length` is the declared length of the parts; None: they are sent as chunks.
    """

    origin: Origin
    data: bytes
    closes: bool
    expects_no_body: bool
    parts: httpx.AsyncByteStream | httpx.SyncByteStream | None
    length: int | None

    @classmethod
    def of(cls, request: httpx.Request) -> OutgoingRequest:
        """Read a request. Raises `LocalProtocolError` or `UnsupportedProtocol`."""
        extensions = request.extensions
        origin = origin_of(request.url, extensions.get("sni_hostname"))
        method = request.method.encode("ascii")
        if method == b"CONNECT":
            raise httpx.UnsupportedProtocol("tunnels are not for this transport")
        raw = request.headers.raw
        names = {name.lower(): value for name, value in raw}
        lines = checked_lines(b"".join([b"%b: %b\r\n" % header for header in raw]), len(raw))
        if b"host" not in names:
            lines = b"Host: %b\r\n%b" % (request.url.netloc, lines)
        stream = request.stream
        content = b"".join(stream) if isinstance(stream, httpx.ByteStream) else None
        length: int | None = None
        if b"transfer-encoding" in names:
            if names[b"transfer-encoding"].strip().lower() != b"chunked":
                raise httpx.LocalProtocolError("the only transfer coding is chunked")
            if content is not None:
                content = chunk(content) + chunk(b"") if content else chunk(b"")
        elif b"content-length" in names:
            length = _declared_length(names[b"content-length"])
            if content is not None:
                _check_length(len(content), length, is_whole=True)
        elif content is None:
            lines += b"transfer-encoding: chunked\r\n"
        elif content or method in ALWAYS_SAY_LENGTH:
            lines += b"content-length: %d\r\n" % len(content)
        head = request_line(method, extensions.get("target", request.url.raw_path)) + lines
        return cls(
            origin=origin,
            data=b"%b\r\n%b" % (head, content or b""),
            closes=closes(head),
            expects_no_body=method == b"HEAD",
            parts=None if content is not None else stream,
            length=length,
        )

    async def rest(self) -> AsyncGenerator[bytes, None]:
        """Yield what goes on the wire after `data`. Raises `LocalProtocolError`."""
        sent = 0
        async with aclosing(_parts(self.parts)) as parts:
            async for part in parts:
                sent += len(part)
                if self.length is not None:
                    _check_length(sent, self.length, is_whole=False)
                    yield part
                elif part:
                    yield chunk(part)
        if self.length is None:
            yield chunk(b"")
        else:
            _check_length(sent, self.length, is_whole=True)


async def _parts(
    stream: httpx.AsyncByteStream | httpx.SyncByteStream | None,
) -> AsyncGenerator[bytes, None]:
    """Yield the parts of a body, and leave no generator behind."""
    if isinstance(stream, httpx.AsyncByteStream):
        parts = aiter(stream)
        try:
            async for part in parts:
                yield part
        finally:
            if isinstance(parts, AsyncGenerator):
                await parts.aclose()
    elif stream is not None:
        for part in stream:
            yield part


def chunk(data: bytes) -> bytes:
    """Return `data` as one chunk of a chunked body; without data, the last one."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def _declared_length(value: bytes) -> int:
    if not value.isdigit():
        raise httpx.LocalProtocolError(f"the content-length {value!r} is no number")
    return int(value)


def _check_length(sent: int, declared: int, *, is_whole: bool) -> None:
    if sent > declared or (is_whole and sent < declared):
        raise httpx.LocalProtocolError(
            f"a body of {sent:,} bytes{'' if is_whole else ' or more'}"
            f" where content-length declares {declared:,}"
        )


class ResponseBody(httpx.AsyncByteStream):
    """One response on its way to httpx: a `receiver.Receiver` at one end, a stream at the other.

    Invariants: `_is_over` is set exactly when the connection has let go of us, or we of it; from
    then on the connection is never touched: it may serve somebody else. At most the high-water
    mark and one read of the socket is buffered.
    """

    def __init__(
        self,
        connection: Connection,
        request: httpx.Request,
        *,
        loop: asyncio.AbstractEventLoop,
        clock: MonotonicNs,
        read_timeout_s: float | None,
        write_timeout_s: float | None,
    ) -> None:
        self._connection = connection
        self._request = request
        self._loop = loop
        self._clock = clock
        self._read_timeout_s = read_timeout_s
        self._write_timeout_s = write_timeout_s
        self._is_sending = False
        self._status = 0
        self._headers: HeaderLines
        self._version = self._reason = b""
        self._chunks: deque[bytes] = deque()
        self._buffered = 0
        self._is_over = False
        self._failure: BaseException | None = None
        self._wakeup: asyncio.Future[None] | None = None

    # `receiver.Receiver`

    def begin(self, status: int, headers: HeaderLines, content_encoding: str | None) -> Feed:  # noqa: ARG002 - httpx decodes
        """Keep the head and wake who waits for it."""
        self._status = status
        self._headers = headers
        self._version = self._connection.http_version
        self._reason = self._connection.reason
        self._wake()
        return self._feed

    def _feed(self, piece: bytes, _at_ns: int) -> None:
        self._chunks.append(piece)
        self._buffered += len(piece)
        if self._buffered > HIGH_WATER_BYTES:
            self._connection.pause()
        self._wake()

    def end(self) -> None:
        """Let go of the connection."""
        self._is_over = True
        self._wake()

    def fail(self, exc: BaseException) -> None:
        """Keep the failure: it comes after what was received before it."""
        self._is_over = True
        self._failure = exc
        self._wake()

    def timed_out(self) -> httpx.TimeoutException:
        """Say which wait was too long."""
        if self._is_sending:
            return httpx.WriteTimeout(f"the server took no byte for {self._write_timeout_s:g} s")
        return httpx.ReadTimeout(f"the server sent no byte for {self._read_timeout_s:g} s")

    def _wake(self) -> None:
        wakeup = self._wakeup
        if wakeup is not None and not wakeup.done():
            wakeup.set_result(None)

    # For the transport

    async def sent(self, outgoing: OutgoingRequest) -> None:
        """Return when the request is written, or the response ended before. Raises nothing else."""
        connection = self._connection
        if connection.is_writing:
            await self._drained()
        if outgoing.parts is None:
            return
        async with aclosing(outgoing.rest()) as rest:
            async for data in rest:
                if self._is_over:
                    return
                connection.write(data)
                if connection.is_writing:
                    await self._drained()
        connection.finish_upload(self)

    async def _drained(self) -> None:
        connection = self._connection
        self._is_sending = True
        if self._write_timeout_s is not None:
            connection.expect(self._clock() + round(self._write_timeout_s * NS_PER_S))
        await connection.drained()
        self._is_sending = False
        if not self._is_over:
            connection.expect_nothing()

    async def response(self, stamps: Stamps) -> httpx.Response:
        """Wait for the head."""
        while not self._status and not self._is_over:
            await self._wait()
        if not self._status:
            self._raise_failure()
        return httpx.Response(
            self._status,
            headers=self._headers,
            stream=self,
            extensions={
                "http_version": self._version,
                "reason_phrase": self._reason,
                "stamps": stamps,
            },
        )

    def _raise_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            try:
                raise failure
            finally:
                del failure  # its traceback knows this frame: no cycle for the collector

    async def _wait(self) -> None:
        """Wait until something changes, with the read timeout."""
        self._wakeup = self._loop.create_future()
        if self._read_timeout_s is not None:
            limit_ns = round(self._read_timeout_s * NS_PER_S)
            self._connection.expect(self._clock() + limit_ns, silence_ns=limit_ns)
        try:
            await self._wakeup
        finally:
            self._wakeup = None
            if not self._is_over:
                self._connection.expect_nothing()

    # `httpx.AsyncByteStream`

    async def __aiter__(self) -> AsyncIterator[bytes]:
        chunks = self._chunks
        try:
            while True:
                while chunks:
                    piece = chunks.popleft()
                    self._buffered -= len(piece)
                    if self._buffered < LOW_WATER_BYTES and not self._is_over:
                        self._connection.resume()
                    yield piece
                if self._is_over:
                    break
                await self._wait()
            self._raise_failure()
        except BaseException as exc:
            if isinstance(exc, httpx.RequestError):
                exc.request = self._request
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """Close the connection where the response is not complete."""
        self._chunks.clear()
        if not self._is_over:
            self._is_over = True
            self._connection.abandon(self)
