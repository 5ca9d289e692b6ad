"""One HTTP/1.1 connection: an `asyncio.Protocol` around the parser of httptools."""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import TYPE_CHECKING, Any, cast

import httptools
import httpx

from profiler.clock import NS_PER_S
from profiler.endpoints.receiver import (
    BodyTooLargeError,
    HeaderLines,
    HeadTooLargeError,
    StaleError,
)

if TYPE_CHECKING:
    from profiler.clock import MonotonicNs
    from profiler.endpoints.receiver import Feed, Keeper, Limits, Receiver
    from profiler.endpoints.stamps import Stamps

_FIRST_STATUS, _FIRST_FINAL_STATUS, _SWITCHING = 100, 200, 101
_SHORTEST_NAME, _LONGEST_NAME = len("content-length"), len("transfer-encoding")


class State(Enum):
    """Where a connection is in its life."""

    CONNECTING = "connecting"
    IDLE = "idle"
    HEAD = "head"
    BODY = "body"
    CLOSED = "closed"


_CONNECTING, _IDLE, _HEAD, _BODY, _CLOSED = State


class Connection(asyncio.Protocol):
    """A state machine that the socket drives.

        CONNECTING ── connection_made ──▶ IDLE ── start ──▶ HEAD ── head complete ──▶ BODY
                                           ▲                                           │
                                           └──────── complete, and clean ──────────────┤
                    CLOSED ◀── close (from anywhere) ◀── complete, not clean; failed ──┘

    Invariants:

    - It has a receiver exactly in HEAD and BODY. The receiver is let go of *before* it is told
      `end` or `fail`, so it hears exactly one of them, once, and nothing after.
    - `receiver.begin` is called once, on the way from HEAD to BODY. Interim (1xx) responses leave
      it in HEAD.
    - It returns to IDLE only if the response is complete, both sides keep the connection, all of
      the request is written, and not one byte came after the end of the response.
    - IDLE and a byte, or an end: CLOSED. Nobody asked.
    - The parser is fed only in HEAD and BODY, and never again after it has failed.
    - At most one timer exists. It is left alone from request to request and moved only when it
      fires too early, or would fire too late: a request that succeeds costs no timer.
    - The socket's write buffer has the lowest high-water mark, so bytes leave in `write`, not at
      the end of the loop's turn, and `is_writing` says whether some are left.
    """

    __slots__ = (
        "_at_ns",
        "_barren",
        "_body_bytes",
        "_clock",
        "_closes",
        "_complete",
        "_dirty",
        "_due_ns",
        "_feed",
        "_framed",
        "_head_only",
        "_headers",
        "_heard",
        "_interim",
        "_keep_alive",
        "_keeper",
        "_limits",
        "_loop",
        "_max_body_bytes",
        "_parser",
        "_paused",
        "_receiver",
        "_rest",
        "_retry_window_ns",
        "_served",
        "_silence_ns",
        "_stamps",
        "_timer",
        "_timer_due_ns",
        "_transport",
        "_uploading",
        "_writable",
        "idle_since_ns",
        "number",
        "reason",
        "state",
    )

    def __init__(
        self,
        keeper: Keeper,
        *,
        loop: asyncio.AbstractEventLoop,
        number: int,
        clock: MonotonicNs,
        limits: Limits,
        retry_window_ns: int,
    ) -> None:
        self.state = _CONNECTING
        self.number = number
        self.idle_since_ns = 0
        self._keeper = keeper
        self._loop = loop
        self._clock = clock
        self._limits = limits
        self._retry_window_ns = retry_window_ns
        self._transport: asyncio.Transport | None = None
        self._parser: Any = self._new_parser()  # None when the socket is closed
        self._receiver: Receiver | None = None
        self._stamps: Stamps | None = None
        self._feed: Feed = self._unexpected
        self._served = 0
        self._at_ns = 0
        self._max_body_bytes = limits.max_body_bytes
        self._due_ns: int | None = None
        self._silence_ns = 0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due_ns = 0
        self._writable: asyncio.Future[None] | None = None
        self._rest: memoryview | None = None
        self._paused = self._uploading = False
        self._reset(head_only=False, closes=False)

    def _new_parser(self) -> httptools.HttpResponseParser:
        parser = httptools.HttpResponseParser(self)
        # As lenient as httpx, in what has one meaning only. Two kinds of length end keep-alive.
        parser.set_dangerous_leniencies(
            lenient_chunked_length=True,
            lenient_spaces_after_chunk_size=True,
        )
        return parser

    def _reset(self, *, head_only: bool, closes: bool) -> None:
        self.reason = b""
        self._headers = HeaderLines()
        self._head_only = head_only
        self._closes = closes
        self._heard = self._interim = self._complete = self._dirty = False
        self._keep_alive = self._framed = False
        self._barren = self._body_bytes = 0

    # What a transport asks for

    @property
    def is_usable(self) -> bool:
        """Whether a request can be started: IDLE, and the socket not known to be closing."""
        transport = self._transport
        return self.state is _IDLE and transport is not None and not transport.is_closing()

    @property
    def is_writing(self) -> bool:
        """Whether bytes of the request wait for the socket to take them."""
        return self._writable is not None

    @property
    def http_version(self) -> bytes:
        """The version in the response's first line, once its head is complete."""
        return f"HTTP/{self._parser.get_http_version()}".encode("ascii")

    def start(
        self,
        receiver: Receiver,
        stamps: Stamps,
        data: bytes,
        *,
        head_only: bool = False,
        closes: bool = False,
        uploading: bool = False,
        rest: memoryview | None = None,
        max_body_bytes: int | None = None,
    ) -> None:
        """Write a request and expect its response. Only in IDLE.

        `uploading`: `data` is only the beginning, `write` and `finish_upload` bring the rest.
        `rest`: what comes after `data` is written when the event loop has come to all that is to
        begin as well.
        """
        transport = self._transport
        assert self.state is _IDLE  # noqa: S101 - an invariant, not input
        assert transport is not None  # noqa: S101 - IDLE has one
        self.state = _HEAD
        self._receiver = receiver
        self._stamps = stamps
        self._uploading = uploading
        self._reset(head_only=head_only, closes=closes)
        self._max_body_bytes = (
            self._limits.max_body_bytes if max_body_bytes is None else max_body_bytes
        )
        stamps.connection_id = self.number
        stamps.reused = self._served > 0
        self._served += 1
        if rest is not None:
            self._rest = rest
            self._writable = self._loop.create_future()
            self._loop.call_soon(self._write_rest, receiver)
        transport.write(data)
        stamps.sent_ns = self._clock()

    def _write_rest(self, receiver: Receiver) -> None:
        rest, transport = self._rest, self._transport
        if self._receiver is not receiver or rest is None or transport is None:
            return
        self._rest = None
        transport.write(rest)
        if not transport.get_write_buffer_size():
            self.resume_writing()

    def write(self, data: bytes) -> None:
        """Write more of the request's body; nothing where the response has ended already."""
        if self._receiver is not None and self._transport is not None:
            self._transport.write(data)

    def finish_upload(self, receiver: Receiver) -> None:
        """Say that the request is written as far as its sender is concerned."""
        if self._receiver is receiver and self._stamps is not None:
            self._uploading = False
            if self._writable is None:
                self._stamps.sent_ns = self._clock()

    async def drained(self) -> None:
        """Wait until the socket has taken every byte, or the connection is no more."""
        if self._writable is not None:
            await self._writable

    def expect(self, due_ns: int, *, silence_ns: int = 0) -> None:
        """Fail the receiver with its `timed_out` at `due_ns`.

        With `silence_ns`, each byte that comes puts it off to so long after that byte.
        """
        self._due_ns = due_ns
        self._silence_ns = silence_ns
        if self._timer is None:
            self._arm(due_ns, self._clock())
        elif self._timer_due_ns > due_ns:
            self._timer.cancel()
            self._arm(due_ns, self._clock())

    def expect_nothing(self) -> None:
        """Take back `expect`."""
        self._due_ns = None

    def pause(self) -> None:
        """Stop reading: the receiver has more than it can hold."""
        if not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        if self._paused:
            self._paused = False
            if self.state is not _CLOSED and self._transport is not None:
                self._transport.resume_reading()

    def abandon(self, receiver: Receiver) -> None:
        """Break off what `receiver` waits for; nothing where it is not `receiver`'s turn."""
        if self._receiver is receiver:
            self._receiver = None
            self.close()

    def fail(self, exc: BaseException) -> None:
        """Close, and say why to whoever waits."""
        receiver, self._receiver = self._receiver, None
        self.close()
        if receiver is not None:
            receiver.fail(exc)

    def close(self) -> None:
        """Close at once, from any state; a receiver must have been told before."""
        if self.state is _CLOSED:
            return
        self.state = _CLOSED
        self._feed = self._unexpected
        self._rest = None
        self._due_ns = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._now_writable()
        if self._transport is not None:
            self._transport.abort()
        self._keeper.closed(self)

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Go from CONNECTING to IDLE."""
        self._transport = cast("asyncio.Transport", transport)
        self._keeper.opened(self)
        if self.state is _CLOSED:
            self._transport.abort()
            return
        self._transport.set_write_buffer_limits(high=1, low=0)  # at 0, asyncio's TLS never resumes
        self.state = _IDLE

    def data_received(self, data: bytes) -> None:
        """Stamp and parse; everything that a chunk costs happens in here."""
        if self._receiver is None:
            self.close()
            return
        self._at_ns = at_ns = self._clock()
        if not self._heard:
            self._heard = True
            self._stamps.first_byte_ns = at_ns  # type: ignore[union-attr] # with the receiver
        self._barren += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as exc:
            if not self._complete:
                self.fail(_fault(exc))
                return
            self._dirty = True
        if self._complete:
            self._finish()
        elif self._barren > self._limits.max_header_bytes:
            self.fail(self._head_too_large())

    def eof_received(self) -> None:
        """Take the end: of a body that has no other end, else it is a failure."""
        self._at_ns = self._clock()
        self._ended(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of a socket that is closed."""
        self._ended(exc)
        self._transport = None
        self._parser = None  # breaks the cycle with its callbacks
        self._keeper.gone(self)

    def pause_writing(self) -> None:
        """Note that the socket did not take all that was written."""
        if self._writable is None:
            self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        """Note that the socket has taken all that was written."""
        if self._rest is not None:
            return
        if self._stamps is not None and self._receiver is not None and not self._uploading:
            self._stamps.sent_ns = self._clock()
        self._now_writable()

    def _now_writable(self) -> None:
        writable, self._writable = self._writable, None
        if writable is not None and not writable.done():
            writable.set_result(None)

    # What the parser calls

    def on_message_begin(self) -> None:
        """Note the dirt that a second response is where one was asked for."""
        if self._complete:
            self._dirty = True

    def on_status(self, reason: bytes) -> None:
        """Take the reason phrase, or a piece of it."""
        self.reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; trailers are dropped, as httpx does."""
        if self.state is _HEAD:
            self._headers.append((name, value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        """HEAD to BODY, unless the response is interim."""
        if self._complete:
            return
        headers, limits = self._headers, self._limits
        if len(headers) > limits.max_headers or (
            self._barren > limits.max_header_bytes
            and sum(len(name) + len(value) for name, value in headers) > limits.max_header_bytes
        ):
            raise self._head_too_large()
        status = self._parser.get_status_code()
        if status < _FIRST_FINAL_STATUS:
            if status < _FIRST_STATUS or status == _SWITCHING:
                raise httpx.RemoteProtocolError(f"a response of status {status} was not asked for")
            self._interim = True
            return
        content_encoding = self._read_framing(headers)
        self.state = _BODY
        receiver = self._receiver
        assert receiver is not None  # noqa: S101 - HEAD has one
        feed = receiver.begin(status, headers, content_encoding)
        if self._receiver is not receiver:
            return
        self._feed = feed
        if self._head_only:
            self._complete = True
            self._keep_alive = self._parser.should_keep_alive()
            self._feed = self._unexpected

    def _read_framing(self, headers: HeaderLines) -> str | None:
        """Note how the body ends; return its content-encoding."""
        content_encoding: str | None = None
        has_length = is_chunked = False
        for name, value in headers:
            if not _SHORTEST_NAME <= len(name) <= _LONGEST_NAME:
                continue
            match name.lower():
                case b"content-length":
                    has_length = True
                case b"content-encoding":
                    text = value.decode("latin-1")
                    content_encoding = f"{content_encoding},{text}" if content_encoding else text
                case b"transfer-encoding":
                    if is_chunked or value.lower() != b"chunked":
                        raise httpx.RemoteProtocolError(
                            f"the transfer coding {value.decode('latin-1')!r} is not supported"
                        )
                    is_chunked = True
        self._framed = has_length or is_chunked
        self._dirty = has_length and is_chunked
        return content_encoding

    def on_body(self, chunk: bytes) -> None:
        """Pass on a piece of the body."""
        self._barren = 0
        self._body_bytes += len(chunk)
        if self._body_bytes > self._max_body_bytes:
            raise BodyTooLargeError(self._max_body_bytes)
        self._feed(chunk, self._at_ns)

    def on_message_complete(self) -> None:
        """Note the end; `data_received` acts on it when it has seen whether more follows."""
        if self._interim:
            self._interim = False
            self._headers = HeaderLines()
            self.reason = b""
        elif not self._complete:
            self._complete = True
            self._keep_alive = self._parser.should_keep_alive()

    # Ends

    def _unexpected(self, _chunk: bytes, _at_ns: int) -> None:
        """Take the body of a response that must not have one."""
        self._dirty = True

    def _finish(self) -> None:
        receiver, stamps = self._receiver, self._stamps
        if receiver is None or stamps is None:
            return  # it broke the response off while it was being told of it
        stamps.last_byte_ns = self._at_ns
        self._receiver = self._stamps = None
        self._due_ns = None
        if (
            self._keep_alive
            and not self._dirty
            and not self._closes
            and not self._uploading
            and self._writable is None
        ):
            if self._paused:
                self.resume()
            if self._head_only:
                self._parser = self._new_parser()  # the old one waits for the body it was promised
            self.state = _IDLE
            self.idle_since_ns = self._at_ns
            self._keeper.release(self)
        else:
            self.close()
        receiver.end()

    def _ended(self, exc: Exception | None) -> None:
        """Make of the connection's end what it means in this state. Idempotent."""
        if self._receiver is None:
            self.close()
        elif exc is None and self.state is _BODY and not self._framed:
            self._keep_alive = False
            self._finish()
        else:
            self.fail(self._loss(exc))

    def _loss(self, exc: Exception | None) -> httpx.RequestError:
        stamps = self._stamps
        failure: httpx.RequestError
        if (
            not self._heard
            and stamps is not None
            and stamps.reused
            and self._clock() - (stamps.sent_ns or 0) <= self._retry_window_ns
        ):
            failure = StaleError("the idle connection was closed by the server")
        elif exc is not None:
            kind = httpx.ReadError if self._writable is None else httpx.WriteError
            failure = kind(str(exc) or type(exc).__name__)
        elif not self._heard:
            failure = httpx.RemoteProtocolError("Server disconnected without sending a response.")
        else:
            part = "headers" if self.state is _HEAD else "message body"
            failure = httpx.RemoteProtocolError(
                f"the server closed the connection without sending complete {part}"
                f" ({self._body_bytes} body bytes received)"
            )
        failure.__cause__ = exc
        return failure

    def _head_too_large(self) -> HeadTooLargeError:
        limits = self._limits
        return HeadTooLargeError(
            f"more than {limits.max_header_bytes:,} bytes of headers or chunk framing,"
            f" or more than {limits.max_headers} headers"
        )

    # The timer

    def _arm(self, due_ns: int, now_ns: int) -> None:
        self._timer_due_ns = due_ns
        self._timer = self._loop.call_later(max(0, due_ns - now_ns) / NS_PER_S, self._tick)

    def _tick(self) -> None:
        self._timer = None
        due_ns, receiver = self._due_ns, self._receiver
        if due_ns is None or receiver is None:
            return
        if self._silence_ns:
            due_ns = max(due_ns, self._at_ns + self._silence_ns)
        now_ns = self._clock()
        if now_ns < due_ns:
            self._arm(due_ns, now_ns)
        else:
            self.fail(receiver.timed_out())


def _fault(exc: BaseException) -> BaseException:
    """Return what a callback raised, or the parser's own complaint as httpx would put it."""
    if isinstance(exc, httptools.HttpParserCallbackError) and exc.__context__ is not None:
        return exc.__context__
    failure = httpx.RemoteProtocolError(str(exc) or type(exc).__name__)
    failure.__cause__ = exc
    return failure
