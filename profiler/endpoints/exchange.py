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
    `session_headers` are this session's. With an `opening`, its one request has to succeed before:
    then the dialogue is asked for this one again.
    """

    url: str
    headers: Mapping[str, str]
    session_headers: Mapping[str, str]
    body: bytes
    opening: Dialogue | None = None


@value
class ToolSeen:
    """A tool call that an answer shows, its times on the harness clock, as far as they are shown.

    A time is when the piece of a stream came that told it.
    """

    name: str
    start_ns: int | None = None
    end_ns: int | None = None
    failed: bool = False


@value
class Reply:
    """What a protocol read from a response.

    `text` is what the user sees. `error_kind` is set where the response breaks the protocol
    (`is_protocol_error`) or carries an error inside. `trace` is the agent's own account of what it
    did, untouched, and `tools` the tool calls that the protocol shows (None: it shows none, or the
    answer broke off before any): `observers.response` reads them. `answer_id` is by what the next
    turn can refer to this one, `carried` what it sends again of this answer: for the adapter alone.
    """

    text: str = ""
    first_token_ns: int | None = None
    last_token_ns: int | None = None
    usage: Usage | None = None
    trace: Mapping[str, Any] | None = None
    tools: tuple[ToolSeen, ...] | None = None
    answer_id: str | None = None
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
    """One request and all that came back. Times in nanoseconds on the harness clock.

    `opened_ns` is when the session was open, where a request had to open it: its message could not
    be sent before. `retry_after_s` is what a target asks for that answers 429 or 503.
    """

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
    opened_ns: int | None = None
    retry_after_s: float | None = None
