"""What the parts of the transport say to each other: who takes a response, and what goes wrong.

Failures, drawn as a tree (all of them `httpx.RequestError`):

ReadTimeout
└── DeadlineError         no complete answer in the time for the whole exchange
RemoteProtocolError
├── HeadTooLargeError     more header bytes, or headers, than allowed
└── BodyTooLargeError     more body bytes than allowed
ReadError
└── StaleError            an idle connection was already closed, and the request's body can be
                          read only once; else it does not leave the transport
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import httpx

if TYPE_CHECKING:
    from profiler.endpoints.connection import Connection


class DeadlineError(httpx.ReadTimeout):
    """The whole exchange took longer than it may."""


class HeadTooLargeError(httpx.RemoteProtocolError):
    """The head of a response, or what is sent in place of a body, passes the limit."""


class BodyTooLargeError(httpx.RemoteProtocolError):
    """The body of a response passes the limit."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        super().__init__(f"the response body is larger than {limit_bytes:,} bytes")


class StaleError(httpx.ReadError):
    """A reused connection was closed before a byte came: the request may be sent once more."""


class HeaderLines(list[tuple[bytes, bytes]]):
    """The headers of a response, raw and in order: what is not looked at costs nothing."""

    __slots__ = ()

    def get(self, name: bytes) -> str | None:
        """Return the first value of a header, named in lower case."""
        for key, value in self:
            if len(key) == len(name) and key.lower() == name:
                return value.decode("utf-8", "replace")
        return None

    def parsed(self) -> httpx.Headers:
        """Return them as httpx has them."""
        return httpx.Headers(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a response may not pass. Body bytes are counted as they come off the wire."""

    max_header_bytes: int = 64 * 1024
    max_headers: int = 256
    max_body_bytes: int = sys.maxsize


Feed = Callable[[bytes, int], None]
"""Takes a piece of a body, and the time at which it left the socket."""


class Receiver(Protocol):
    """Takes one response. After `end` or `fail` the connection knows it no more.

    What `begin` or `Feed` raises breaks the connection off and comes back through `fail`.
    """

    def begin(self, status: int, headers: HeaderLines, content_encoding: str | None) -> Feed:
        """Take the head, once; return what takes the body."""
        ...

    def end(self) -> None:
        """Take note that the response is complete."""
        ...

    def fail(self, exc: BaseException) -> None:
        """Take note that there is no more to come."""
        ...

    def timed_out(self) -> httpx.TimeoutException:
        """Say what it means that the wait which was set by `expect` is over."""
        ...


class Keeper(Protocol):
    """What owns connections: told of each change that concerns a pool."""

    def release(self, connection: Connection) -> None:
        """Take back a clean connection that is IDLE."""
        ...

    def closed(self, connection: Connection) -> None:
        """Forget a connection: called exactly once, when it becomes CLOSED."""
        ...

    def opened(self, connection: Connection) -> None:
        """Take note of a socket that will have to be closed."""
        ...

    def gone(self, connection: Connection) -> None:
        """Take note that the socket is closed."""
        ...
