"""The seam between the driver and a protocol.

A `Protocol` adapter is pure: it says what to send for a user's message (`Dialogue.request`), reads
what comes back (`Reader`), and remembers what the next turn needs. All I/O is in `http.py`, which
turns the two into an `Exchange`, and is the only place that knows about sockets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from profiler.values import value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from profiler.measure.records import Outcome, Usage


@value
class Outgoing:
    """One HTTP request: what to send for one user message.

    `headers` are the same object for every request of an endpoint, so that they are prepared once;
    `session_headers` are this session's.
    """

    url: str
    headers: Mapping[str, str]
    session_headers: Mapping[str, str]
    body: bytes


@value
class Reply:
    """What a protocol read from a response.

    `text` is what the user sees. `error_kind` is set where the response breaks the protocol
    (`is_protocol_error`) or carries an error inside. `trace` is the agent's own account of what it
    did, untouched: `observers.response` reads it. `carried` is for the adapter alone: what the next
    turn sends again of this answer.
    """

    text: str = ""
    first_token_ns: int | None = None
    last_token_ns: int | None = None
    usage: Usage | None = None
    trace: Mapping[str, Any] | None = None
    body: Any = None
    carried: Any = None
    error_kind: str | None = None
    error_detail: str | None = None
    is_protocol_error: bool = False


class Reader(Protocol):
    """Reads one response body, chunk by chunk, each with the time at which it came."""

    def feed(self, chunk: bytes, at_ns: int) -> None:
        """Take the next bytes. Must never raise on what a server sent."""
        ...

    @property
    def received_bytes(self) -> int:
        """The size of what has come so far."""
        ...

    def finish(self) -> Reply:
        """Say what the body meant, once it is complete. Must never raise on what a server sent."""
        ...


class Dialogue(Protocol):
    """One session in its protocol: what to send next, given all that was said before."""

    def request(self, user: str) -> Outgoing:
        """Return the request for the user's next message."""
        ...

    def reader(self, *, status: int, content_type: str) -> Reader:
        """Return what reads the response to it."""
        ...

    def accept(self, user: str, reply: Reply) -> None:
        """Remember a turn that succeeded, for the next request."""
        ...


class Endpoint(Protocol):
    """One way of speaking to an agent: the adapter of a protocol, set up for one target."""

    def begin(self, session_id: str) -> Dialogue:
        """Start a session."""
        ...


@value
class Exchange:
    """One request and all that came back. Times in nanoseconds on the harness clock."""

    outcome: Outcome
    reply: Reply
    send_ns: int
    end_ns: int
    first_byte_ns: int | None = None
    http_status: int | None = None
    response_bytes: int | None = None
    reconnects: int | None = None
    error_kind: str | None = None
    error_detail: str | None = None
