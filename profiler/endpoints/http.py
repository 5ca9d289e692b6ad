"""The I/O edge: sends what a dialogue wants sent and stamps what comes back.

Everything that goes wrong with a target becomes an `Exchange` with an outcome and a kind. Only
cancellation passes through.
"""

from __future__ import annotations

import errno
import ssl
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
import httpx

from profiler import __version__
from profiler.clock import monotonic_ns
from profiler.endpoints.exchange import Exchange, Reply
from profiler.measure.records import Outcome

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from profiler.clock import MonotonicNs
    from profiler.endpoints.exchange import Dialogue, Outgoing, Reader

Client = httpx.AsyncClient
"""What `HttpCaller.client` lends: one connection for one user."""

USER_AGENT = f"agent-profiler/{__version__}"
CONNECT_TIMEOUT_S = 10.0
MAX_BODY_BYTES = 64 * 1024 * 1024
_DETAIL_CHARACTERS = 200
_SHORTEST_SECRET = 6
_OK_UNTIL, _ERRORS_FROM, _SERVER_ERRORS_FROM, _TOO_MANY = 300, 400, 500, 429


class HttpCaller:
    """Performs exchanges with one target.

    Each caller of `client()` has an `httpx.AsyncClient` of its own for as long as it holds it: a
    pool that is shared makes requests wait for each other and counts the wait as the target's.
    """

    def __init__(
        self,
        *,
        timeout_s: float,
        secrets: tuple[str, ...] = (),
        max_body_bytes: int = MAX_BODY_BYTES,
        clock: MonotonicNs = monotonic_ns,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._timeout_s = timeout_s
        self._secrets = tuple(s for s in secrets if len(s) >= _SHORTEST_SECRET)
        self._max_body_bytes = max_body_bytes
        self._clock = clock
        self._transport = transport
        self._tls: ssl.SSLContext | None = None
        self._free: list[Client] = []

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        """Lend a client, its connection kept alive between loans."""
        client = self._free.pop() if self._free else self._new_client()
        try:
            yield client
        finally:
            self._free.append(client)

    def _new_client(self) -> Client:
        if self._tls is None:
            self._tls = ssl.create_default_context()  # 26 ms: once, not once a client
        return httpx.AsyncClient(
            verify=self._tls,
            transport=self._transport,
            timeout=httpx.Timeout(
                self._timeout_s, connect=min(CONNECT_TIMEOUT_S, self._timeout_s), pool=None
            ),
            headers={"user-agent": USER_AGENT},
            follow_redirects=False,
        )

    async def aclose(self) -> None:
        """Close every client."""
        while self._free:
            await self._free.pop().aclose()

    async def call(
        self,
        client: Client,
        dialogue: Dialogue,
        user: str,
        headers: Mapping[str, str],
    ) -> Exchange:
        """Send one user message and read the whole answer. Raises only on cancellation."""
        attempt = _Attempt(self._clock, self._max_body_bytes)
        outgoing = dialogue.request(user)
        failure: tuple[Outcome, str, str] | None = None
        with anyio.move_on_after(self._timeout_s) as scope:
            try:
                await attempt.run(client, dialogue, outgoing, headers)
            except (httpx.HTTPError, OSError) as exc:
                failure = classify(exc)
        if scope.cancelled_caught:
            limit = f"no complete answer within {self._timeout_s:g} s"
            failure = (Outcome.TIMEOUT, "deadline", limit)
        return self._redacted(attempt.exchange(failure))

    def _redacted(self, exchange: Exchange) -> Exchange:
        detail = exchange.error_detail
        if detail is None or not any(secret in detail for secret in self._secrets):
            return exchange
        for secret in self._secrets:
            detail = detail.replace(secret, "[redacted]")
        return replace(exchange, error_detail=detail)


class _Attempt:
    """The running state of one exchange."""

    def __init__(self, clock: MonotonicNs, max_body_bytes: int) -> None:
        self._clock = clock
        self._max_body_bytes = max_body_bytes
        self._send_ns = clock()
        self._first_byte_ns: int | None = None
        self._last_byte_ns: int | None = None
        self._status: int | None = None
        self._bytes = 0
        self._reader: Reader | None = None
        self._too_large = False

    async def run(
        self,
        client: Client,
        dialogue: Dialogue,
        outgoing: Outgoing,
        headers: Mapping[str, str],
    ) -> None:
        request = client.build_request(
            "POST", outgoing.url, headers={**outgoing.headers, **headers}, content=outgoing.body
        )
        self._send_ns = self._clock()
        response = await client.send(request, stream=True)
        try:
            self._first_byte_ns = self._last_byte_ns = self._clock()
            self._status = response.status_code
            content_type = response.headers.get("content-type", "").strip().lower()
            reader = dialogue.reader(status=response.status_code, content_type=content_type)
            self._reader = reader
            async for chunk in response.aiter_bytes():
                now = self._clock()
                self._last_byte_ns = now
                self._bytes += len(chunk)
                if self._bytes > self._max_body_bytes:
                    self._too_large = True
                    break
                reader.feed(chunk, now)
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(1):
                await response.aclose()

    def exchange(self, failure: tuple[Outcome, str, str] | None) -> Exchange:
        reply = self._reader.finish() if self._reader is not None else Reply()
        if failure is not None:
            end_ns = self._clock()
            outcome, kind, detail = failure
            said: tuple[str | None, str | None] = (kind, detail)
        else:
            end_ns = self._last_byte_ns if self._last_byte_ns is not None else self._clock()
            outcome, *rest = self._judge(reply)
            said = (rest[0], rest[1])
        return Exchange(
            outcome=outcome,
            reply=reply,
            send_ns=self._send_ns,
            end_ns=end_ns,
            first_byte_ns=self._first_byte_ns,
            http_status=self._status,
            response_bytes=self._bytes if self._status is not None else None,
            error_kind=said[0],
            error_detail=said[1],
        )

    def _judge(self, reply: Reply) -> tuple[Outcome, str | None, str | None]:
        status = self._status
        if self._too_large:
            limit = f"the response body is larger than {self._max_body_bytes:,} bytes"
            return Outcome.PROTOCOL_ERROR, "body_too_large", limit
        if status is not None and status >= _OK_UNTIL:
            said = None if reply.is_protocol_error else reply.error_detail
            return outcome_of_status(status), f"http_{status}", said
        if reply.error_kind is None:
            return Outcome.OK, None, None
        outcome = Outcome.PROTOCOL_ERROR if reply.is_protocol_error else Outcome.AGENT_ERROR
        return outcome, reply.error_kind, reply.error_detail


def outcome_of_status(status: int) -> Outcome:
    """Say what a status that is no success means. A redirect is not followed: it is an error."""
    if status == _TOO_MANY:
        return Outcome.HTTP_429
    if status >= _SERVER_ERRORS_FROM:
        return Outcome.HTTP_5XX
    return Outcome.HTTP_4XX if status >= _ERRORS_FROM else Outcome.PROTOCOL_ERROR


def classify(exc: BaseException) -> tuple[Outcome, str, str]:  # noqa: PLR0911 - a decision table
    """Turn an exception of httpx or the operating system into an outcome, a kind and a detail."""
    detail = (" ".join(str(exc).split()) or type(exc).__name__)[:_DETAIL_CHARACTERS]
    if isinstance(exc, httpx.ConnectTimeout):
        return Outcome.CONNECT_ERROR, "connect_timeout", detail
    if isinstance(exc, httpx.TimeoutException):
        return Outcome.TIMEOUT, "read_timeout", f"no byte for that long: {type(exc).__name__}"
    if isinstance(exc, httpx.ConnectError):
        return Outcome.CONNECT_ERROR, _connect_kind(exc), detail
    if isinstance(exc, httpx.DecodingError):
        return Outcome.PROTOCOL_ERROR, "bad_content_encoding", detail
    if isinstance(exc, httpx.NetworkError):
        return Outcome.PROTOCOL_ERROR, "connection_lost", detail
    if isinstance(exc, httpx.HTTPError):
        return Outcome.PROTOCOL_ERROR, "invalid_http", detail
    return Outcome.CONNECT_ERROR, _connect_kind(exc), detail


def _connect_kind(exc: BaseException) -> str:
    for cause in _causes(exc):
        if isinstance(cause, ssl.SSLError):
            return "tls"
        if isinstance(cause, ConnectionRefusedError):
            return "refused"
        if isinstance(cause, OSError) and cause.errno in (errno.EMFILE, errno.ENFILE):
            return "too_many_open_files"
        if type(cause).__name__ == "gaierror":
            return "dns"
    return "connect"


def _causes(exc: BaseException) -> Iterator[BaseException]:
    """Yield the exception, what caused it, and the members of groups among them."""
    seen: set[int] = set()
    queue: list[BaseException] = [exc]
    while queue:
        current = queue.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        if isinstance(current, BaseExceptionGroup):
            queue.extend(current.exceptions)
        queue.extend(c for c in (current.__cause__, current.__context__) if c is not None)
