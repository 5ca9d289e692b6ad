"""Limits of the servers we open: what one who connects can cost.

uvicorn limits neither the size of a request's head, nor how long a client may take over it, nor how
many connect. The application limits the size of bodies: what is too large differs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio


_HEAD_END = b"\r\n\r\n"
_ASKS_TO_UPGRADE = re.compile(rb"(\r\nconnection:[^\r\n]*?)\bupgrade\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """What a connection may cost. `head_s` is for a whole head, `silence_s` between two bytes."""

    head_bytes: int = 128 * 1024
    headers: int = 256
    head_s: float = 30.0
    silence_s: float = 120.0
    connections: int = 16_384


class _HeadTooLargeError(Exception):
    """Makes the parser stop: the answer is 400, and the connection is closed."""


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, within limits. A request that comes in one piece costs no timer."""

    def __init__(self, *args: Any, limits: ServerLimits, **named: Any) -> None:
        super().__init__(*args, **named)
        self._limits = limits
        self._timer: asyncio.TimerHandle | None = None
        self._in_head = self._receiving = True
        self._head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or close it at once where there are enough."""
        super().connection_made(transport)
        if len(self.connections) > self._limits.connections:
            transport.abort()
            return
        self._wait(self._limits.head_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer."""
        self._cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse, then see what is still to come and how long that may take."""
        was_in_head = self._in_head
        if self._in_head or not self._receiving:
            data = _without_upgrade(data)
        super().data_received(data)
        if self.transport.is_closing():
            self._cancel()
        elif self._in_head and self._receiving:
            self._head_bytes += len(data)
            if self._head_bytes > self._limits.head_bytes:
                self.send_400_response("The head of the request is too large.")
                self._cancel()
            elif self._timer is None:
                self._wait(self._limits.head_s)
        else:
            if was_in_head or self._receiving:
                self._cancel()
            if self._receiving:
                self._wait(self._limits.silence_s)

    def on_message_begin(self) -> None:
        """Begin to receive a request."""
        self._in_head = self._receiving = True
        self._head_bytes = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Take the target, or a piece of it."""
        self._head_bytes += len(url)
        self._check()
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header. Those that are complete are counted here, an open one by its data."""
        self._head_bytes += len(name) + len(value)
        self._check()
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """End the head."""
        self._in_head = False
        self._head_bytes = 0
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """End the request."""
        self._receiving = False
        super().on_message_complete()

    def _check(self) -> None:
        limits = self._limits
        if self._head_bytes > limits.head_bytes or len(self.headers) >= limits.headers:
            raise _HeadTooLargeError

    def _wait(self, seconds: float) -> None:
        self._timer = self.loop.call_later(seconds, self._too_slow)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        self._timer = None
        if self.flow.read_paused:  # the application has not taken what came: not the client's fault
            self._wait(self._limits.silence_s)
        else:
            self.transport.close()


def _without_upgrade(data: bytes) -> bytes:
    """Return what begins with a head, or goes on with one, without its wish for another protocol.

    A server may leave that unheard (RFC 9110, 7.8). The parser would take the request's body for
    the other protocol, and it would be lost: Java's client wishes for HTTP/2 in each request.
    """
    end = data.find(_HEAD_END)
    head = data if end < 0 else data[:end]
    if b"pgrade" not in head and b"PGRADE" not in head:
        return data
    return _ASKS_TO_UPGRADE.sub(rb"\1ignored", head, count=1) + data[len(head) :]
