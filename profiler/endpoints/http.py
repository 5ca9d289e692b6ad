"""The I/O edge: sends what a dialogue wants sent and reads what comes back.

Everything that goes wrong with a target becomes an `Exchange` with an outcome and a kind. Only
cancellation passes through. Two callers do it: `LeanCaller` over our own transport, and
`HttpxCaller` over httpx's, for what ours does not speak: proxies and
HTTP/2.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from enum import StrEnum
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol, assert_never
from urllib.parse import quote

import anyio
import httpx

from profiler import __version__
from profiler.clock import monotonic_ns
from profiler.endpoints.decoding import ACCEPT_ENCODING
from profiler.endpoints.destination import Destination, header_lines, login_header
from profiler.endpoints.exchange import Exchange, Reply
from profiler.endpoints.failures import classify, outcome_of_status
from profiler.endpoints.retry_after import PUSHED_BACK, retry_after_s
from profiler.endpoints.stamps import Stamps
from profiler.endpoints.transport import LeanTransport
from profiler.errors import UsageError
from profiler.measure.records import Outcome
from profiler.redaction import hidden, login_secrets, remember

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from profiler.clock import MonotonicNs
    from profiler.endpoints.destination import RequestHead
    from profiler.endpoints.exchange import Dialogue, Outgoing, Reader
    from profiler.endpoints.receiver import HeaderLines

USER_AGENT = f"agent-profiler/{__version__}"
LOAD_TEST_HEADER = "x-load-test"
CONNECT_TIMEOUT_S = 10.0
MAX_BODY_BYTES = 64 * 1024 * 1024
_OK_UNTIL = 300
_NO_REPLY = Reply()


@dataclass(slots=True, kw_only=True)
class Message:
    """One user message, all but sent. `lines`: its own headers, as they go on the wire."""

    dialogue: Dialogue
    user: str
    headers: Mapping[str, str]
    outgoing: Outgoing
    lines: bytes

    @classmethod
    def of(cls, dialogue: Dialogue, user: str, headers: Mapping[str, str]) -> Message:
        """Make it: so that it can be sent at an instant, and making it delays no other."""
        outgoing = dialogue.request(user)
        lines = header_lines((*outgoing.session_headers.items(), *headers.items()))
        return cls(dialogue=dialogue, user=user, headers=headers, outgoing=outgoing, lines=lines)


class Caller(Protocol):
    """Performs exchanges with one target."""

    async def call(self, message: Message) -> Exchange:
        """Send a message and read the whole answer. Raises only on cancellation."""
        ...

    async def aclose(self) -> None:
        """Close every connection."""
        ...


async def _opened(caller: Caller, opening: Dialogue, message: Message) -> Exchange | None:
    """Open a session; what kept it from being opened is the exchange that is returned."""
    user = message.user
    exchange = await caller.call(Message.of(opening, user, message.headers))
    if exchange.outcome is not Outcome.OK:
        return replace(exchange, error_kind=f"setup_{exchange.error_kind}")
    opening.accept(user, exchange.reply)
    return None


class _Attempt:
    """One response as it arrives: the sink of the transport, and what it means at the end."""

    __slots__ = ("dialogue", "feed", "reader", "retry_after_s", "status")

    def __init__(self, dialogue: Dialogue) -> None:
        self.dialogue = dialogue
        self.status: int | None = None
        self.retry_after_s: float | None = None
        self.reader: Reader | None = None
        self.feed: Callable[[bytes, int], None] = _nowhere

    def begin(self, status: int, headers: HeaderLines) -> None:
        """Take the head of the response."""
        asked = headers.get(b"retry-after") if status in PUSHED_BACK else None
        self.started(status, headers.get(b"content-type"), asked)

    def started(self, status: int, content_type: str | None, retry_after: str | None) -> None:
        """Choose what reads the body."""
        self.status = status
        self.retry_after_s = retry_after_s(retry_after)
        kind = "" if content_type is None else content_type.strip().lower()
        self.reader = self.dialogue.reader(status=status, content_type=kind)
        self.feed = self.reader.feed

    def exchange(
        self,
        *,
        send_ns: int,
        stamps: Stamps,
        end_ns: int,
        failure: tuple[Outcome, str, str] | None,
        opened_ns: int | None,
    ) -> Exchange:
        """Say what came of it."""
        reply = _NO_REPLY if self.reader is None else self.reader.finish()
        kind: str | None
        detail: str | None
        outcome, kind, detail = self._judge(reply) if failure is None else failure
        return Exchange(
            outcome=outcome,
            reply=reply,
            send_ns=send_ns,
            end_ns=end_ns,
            first_byte_ns=stamps.first_byte_ns,
            http_status=self.status,
            response_bytes=None if self.reader is None else self.reader.received_bytes,
            reconnects=stamps.retried if stamps.retried else None,
            error_kind=kind,
            error_detail=detail,
            opened_ns=opened_ns,
            retry_after_s=self.retry_after_s,
        )

    def _judge(self, reply: Reply) -> tuple[Outcome, str | None, str | None]:
        status = self.status
        if status is not None and status >= _OK_UNTIL:
            said = None if reply.is_protocol_error else reply.error_detail
            return outcome_of_status(status), f"http_{status}", said
        if reply.error_kind is None:
            return Outcome.OK, None, None
        outcome = Outcome.PROTOCOL_ERROR if reply.is_protocol_error else Outcome.AGENT_ERROR
        return outcome, reply.error_kind, reply.error_detail


def _nowhere(_chunk: bytes, _at_ns: int) -> None:
    """Take bytes that came before any head: there are none."""


class LeanCaller:
    """Calls over our own transport: one pool without waiting, times taken at the socket.

    For one event loop. `timeout_s` bounds the whole interaction.
    """

    def __init__(
        self,
        *,
        timeout_s: float,
        secrets: tuple[str, ...] = (),
        max_body_bytes: int = MAX_BODY_BYTES,
        clock: MonotonicNs = monotonic_ns,
        run: str = "",
        transport: LeanTransport | None = None,
    ) -> None:
        self._timeout_s = timeout_s
        self._identity = identity(run)
        self._connect_timeout_s = min(CONNECT_TIMEOUT_S, timeout_s)
        self._secrets = secrets
        self._max_body_bytes = max_body_bytes
        self._clock = clock
        self._transport = transport if transport is not None else LeanTransport(clock=clock)
        self._prepared: tuple[str, Mapping[str, str], Destination, RequestHead] | None = None

    async def aclose(self) -> None:
        """Close every connection."""
        await self._transport.aclose()

    async def call(self, message: Message) -> Exchange:
        """Send a message and read the whole answer. Raises only on cancellation."""
        opened_ns: int | None = None
        if message.outgoing.opening is not None:
            failed = await _opened(self, message.outgoing.opening, message)
            if failed is not None:
                return failed
            message = Message.of(message.dialogue, message.user, message.headers)
            opened_ns = self._clock()
        outgoing = message.outgoing
        attempt = _Attempt(message.dialogue)
        stamps = Stamps()
        failure: tuple[Outcome, str, str] | None = None
        destination, head = self._prepare(outgoing)
        send_ns = self._clock()
        try:
            await self._transport.exchange(
                destination,
                head,
                outgoing.body,
                attempt,
                lines=message.lines,
                timeout_s=self._timeout_s,
                connect_timeout_s=self._connect_timeout_s,
                max_body_bytes=self._max_body_bytes,
                stamps=stamps,
            )
        except (httpx.HTTPError, OSError) as exc:
            failure = classify(exc)
        end_ns = stamps.last_byte_ns if failure is None else None
        return _without_secrets(
            attempt.exchange(
                send_ns=send_ns,
                stamps=stamps,
                end_ns=self._clock() if end_ns is None else end_ns,
                failure=failure,
                opened_ns=opened_ns,
            ),
            self._secrets,
        )

    def _prepare(self, outgoing: Outgoing) -> tuple[Destination, RequestHead]:
        """Take the URL and the standing headers apart, once for as long as they are the same."""
        prepared = self._prepared
        if prepared is None or prepared[0] != outgoing.url or prepared[1] is not outgoing.headers:
            destination = Destination.of(outgoing.url)
            standing = {**self._identity, "accept-encoding": ACCEPT_ENCODING}
            standing |= login_header(destination.url, outgoing.headers)
            standing |= {name.lower(): value for name, value in outgoing.headers.items()}
            head = destination.head("POST", standing.items())
            prepared = self._prepared = (outgoing.url, outgoing.headers, destination, head)
        return prepared[2], prepared[3]


class HttpxCaller:
    """Calls over httpx's own transport, or a stand-in for it.

    Each call has an `httpx.AsyncClient` to itself: a pool that is shared makes requests wait for
    each other and counts the wait as the target's.
    """

    def __init__(
        self,
        *,
        timeout_s: float,
        secrets: tuple[str, ...] = (),
        max_body_bytes: int = MAX_BODY_BYTES,
        clock: MonotonicNs = monotonic_ns,
        run: str = "",
        transport: httpx.AsyncBaseTransport | None = None,
        http2: bool = False,
    ) -> None:
        self._timeout_s = timeout_s
        self._identity = identity(run)
        self._secrets = secrets
        self._max_body_bytes = max_body_bytes
        self._clock = clock
        self._transport = transport
        self._http2 = http2
        self._tls = None if transport is not None else httpx.create_ssl_context()
        self._free: list[httpx.AsyncClient] = []

    async def aclose(self) -> None:
        """Close every client."""
        while self._free:
            await self._free.pop().aclose()

    def _client(self) -> httpx.AsyncClient:
        if self._free:
            return self._free.pop()
        return httpx.AsyncClient(
            verify=self._tls if self._tls is not None else True,
            transport=self._transport,
            http2=self._http2,
            timeout=httpx.Timeout(
                self._timeout_s, connect=min(CONNECT_TIMEOUT_S, self._timeout_s), pool=None
            ),
            headers=self._identity,
            follow_redirects=False,
        )

    async def call(self, message: Message) -> Exchange:
        """Send a message and read the whole answer. Raises only on cancellation."""
        opened_ns: int | None = None
        if message.outgoing.opening is not None:
            failed = await _opened(self, message.outgoing.opening, message)
            if failed is not None:
                return failed
            message = Message.of(message.dialogue, message.user, message.headers)
            opened_ns = self._clock()
        outgoing = message.outgoing
        client = self._client()
        attempt = _Attempt(message.dialogue)
        stamps = Stamps()
        failure: tuple[Outcome, str, str] | None = None
        login = login_header(httpx.URL(outgoing.url), outgoing.headers)
        request = client.build_request(
            "POST",
            outgoing.url,
            headers={
                **login,
                **outgoing.headers,
                **outgoing.session_headers,
                **message.headers,
            },
            content=outgoing.body,
        )
        send_ns = self._clock()
        with anyio.move_on_after(self._timeout_s) as scope:
            try:
                failure = await self._read(client, request, attempt, stamps)
            except (httpx.HTTPError, OSError) as exc:
                failure = classify(exc)
        self._free.append(client)
        if scope.cancelled_caught:
            limit = f"no complete answer within {self._timeout_s:g} s"
            failure = (Outcome.TIMEOUT, "deadline", limit)
        end_ns = stamps.last_byte_ns if failure is None else None
        return _without_secrets(
            attempt.exchange(
                send_ns=send_ns,
                stamps=stamps,
                end_ns=self._clock() if end_ns is None else end_ns,
                failure=failure,
                opened_ns=opened_ns,
            ),
            self._secrets,
        )

    async def _read(
        self,
        client: httpx.AsyncClient,
        request: httpx.Request,
        attempt: _Attempt,
        stamps: Stamps,
    ) -> tuple[Outcome, str, str] | None:
        # Else httpx puts the URL's login in the place of the authorization that was asked for.
        response = await client.send(request, auth=httpx.Auth(), stream=True)
        try:
            stamps.first_byte_ns = stamps.last_byte_ns = self._clock()
            headers = response.headers
            asked = headers.get("retry-after") if response.status_code in PUSHED_BACK else None
            attempt.started(response.status_code, headers.get("content-type"), asked)
            size = 0
            async for chunk in response.aiter_bytes():
                stamps.last_byte_ns = self._clock()
                attempt.feed(chunk, stamps.last_byte_ns)
                size += len(chunk)
                if size > self._max_body_bytes:
                    limit = f"the response body is larger than {self._max_body_bytes:,} bytes"
                    return Outcome.PROTOCOL_ERROR, "body_too_large", limit
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(1):
                await response.aclose()
        return None


def identity(run: str) -> dict[str, str]:
    """Return the headers by which a target knows our traffic, and whose run it is."""
    name = quote(run, safe="/")  # the name of a workload may be in any script
    return {"user-agent": USER_AGENT, LOAD_TEST_HEADER: f"agent-profiler run={name}"}


class TransportKind(StrEnum):
    """What carries the requests of a run."""

    LEAN = "lean"
    HTTPX = "httpx"


def transport_for(url: str, *, http2: bool) -> TransportKind:
    """Return httpx's transport for HTTP/2 and where the environment names a proxy, else our own.

    Raises `UsageError` where HTTP/2 is asked for and its package is not installed.
    """
    if http2 and find_spec("h2") is None:
        raise UsageError(
            "HTTP/2 needs the package h2",
            where="target.http2",
            fix="Install it: pip install 'agent-profiler[http2]'",
        )
    proxy = proxy_for(url)
    if proxy is not None:
        remember(*login_secrets(proxy))
    return TransportKind.HTTPX if http2 or proxy is not None else TransportKind.LEAN


def caller_for(
    kind: TransportKind,
    *,
    timeout_s: float,
    secrets: tuple[str, ...],
    http2: bool,
    run: str,
    max_body_bytes: int | None = None,
) -> Caller:
    """Return what makes the calls over a transport; `run` is the id that they carry.

    No limit on an answer's size: the usual one.
    """
    most = MAX_BODY_BYTES if max_body_bytes is None else max_body_bytes
    match kind:
        case TransportKind.LEAN:
            return LeanCaller(timeout_s=timeout_s, secrets=secrets, max_body_bytes=most, run=run)
        case TransportKind.HTTPX:
            return HttpxCaller(
                timeout_s=timeout_s, secrets=secrets, max_body_bytes=most, http2=http2, run=run
            )
        case _:
            assert_never(kind)


def proxy_for(url: str) -> str | None:
    """Return the proxy that the environment names for `url` (HTTP_PROXY, NO_PROXY, ...)."""
    if not any(name.lower().endswith("_proxy") for name in os.environ):
        return None
    from urllib.request import getproxies, proxy_bypass  # noqa: PLC0415 - slow, and seldom needed

    parts = httpx.URL(url)
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    return None if not proxy or proxy_bypass(parts.host) else proxy


def _without_secrets(exchange: Exchange, secrets: tuple[str, ...]) -> Exchange:
    """Return an exchange whose words are fit for a journal: servers quote keys in their errors."""
    kind, detail = exchange.error_kind, exchange.error_detail
    if kind is None and detail is None:
        return exchange
    return replace(
        exchange,
        error_kind=None if kind is None else hidden(kind, secrets),
        error_detail=None if detail is None else hidden(detail, secrets),
    )
