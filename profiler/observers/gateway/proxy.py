"""The traffic: an ASGI application that passes requests on to the upstream, and answers back.

Bytes go through as they come, undecoded. The order in each step is: the agent's first, then ours.
"""

from __future__ import annotations

import asyncio
import hmac
import os
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any

import httpx
import orjson

from profiler.admission import split_token
from profiler.endpoints.failures import classify
from profiler.measure.records import Outcome
from profiler.observers.gateway.apis import CHAT, api_for
from profiler.observers.gateway.notes import Kind
from profiler.observers.gateway.recording import object_of
from profiler.observers.gateway.upstream import (
    request_headers,
    response_headers,
    with_readable_coding,
)
from profiler.observers.gateway.usage_chunk import UsageChunkFilter, asking_for_usage
from profiler.redaction import hidden

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from starlette.types import Receive, Scope, Send

    from profiler.observers.gateway.apis.values import Api
    from profiler.observers.gateway.recording import Recording, Watched
    from profiler.observers.gateway.upstream import Headers, Upstream

TIMEOUT_S = 600.0
CONNECT_TIMEOUT_S = 10.0
MAX_REQUEST_BYTES = 64 * 1024 * 1024
"""A longer request is passed on as it comes, and not read."""

_BAD_REQUEST, _UNPROCESSABLE = 400, 422
_BAD_GATEWAY, _GATEWAY_TIMEOUT, _UNAUTHORIZED = 502, 504, 401
_MAX_REFUSAL_BYTES = 64 * 1024
_USAGE_OPTIONS = (b"stream_options", b"include_usage")


class Proxy:
    """The application. `token`: what each path has to begin with, as `/t/TOKEN`."""

    def __init__(
        self,
        upstream: Upstream,
        transport: httpx.AsyncBaseTransport,
        recording: Recording,
        *,
        token: str | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._upstream = upstream
        self._transport = transport
        self._recording = recording
        self._token = None if token is None else token.encode("ascii")
        self._timeout_s = timeout_s
        self._timeouts = {
            "connect": min(CONNECT_TIMEOUT_S, timeout_s),
            "read": timeout_s,
            "write": timeout_s,
            "pool": timeout_s,
        }
        self._may_ask_for_usage = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request through."""
        if scope["type"] != "http":
            return
        exchange = _Exchange(self, self._recording, scope, receive, send)
        token, exchange.path = split_token(scope["raw_path"])
        if self._token is not None and not hmac.compare_digest(token or b"", self._token):
            self._recording.notes.add(Kind.WRONG_TOKEN)
            await exchange.refuse(
                _UNAUTHORIZED,
                "this gateway wants its token: use the base URL that it printed, with /t/TOKEN",
                code="gateway_token",
            )
            return
        if self._token is None:
            exchange.path = scope["raw_path"]
        await exchange.run()

    async def ask(
        self, exchange: _Exchange, headers: Headers, body: bytes | httpx.AsyncByteStream
    ) -> httpx.Response:
        """Send a request to the upstream; returns when the head of the answer is there."""
        target = self._upstream.target(
            exchange.path, exchange.scope["query_string"], is_anthropic=exchange.is_anthropic
        )
        request = httpx.Request(
            exchange.scope["method"],
            self._upstream.origin,
            headers=headers,
            stream=httpx.ByteStream(body) if isinstance(body, bytes) else body,
            extensions={"target": target, "timeout": self._timeouts},
        )
        return await self._transport.handle_async_request(request)

    async def ask_for_usage(
        self, exchange: _Exchange, headers: Headers, raw: bytes, body: dict[str, Any]
    ) -> _Answer | None:
        """Send a stream's request with the option for usage; None: not needed, or not taken."""
        changed = asking_for_usage(raw, body) if self._may_ask_for_usage else None
        if changed is None:
            return None
        plain = with_readable_coding(headers, as_it_is=True)
        answer = _Answer(await self.ask(exchange, plain, changed))
        if answer.response.status_code in (_BAD_REQUEST, _UNPROCESSABLE):
            await answer.read_ahead(_MAX_REFUSAL_BYTES)
            if any(option in answer.ahead for option in _USAGE_OPTIONS):
                await answer.aclose()
                self._may_ask_for_usage = False
                self._recording.notes.add(Kind.USAGE_REFUSED)
                return None
        if answer.is_stream:
            self._recording.notes.add(Kind.USAGE_ADDED)
            answer.filter = UsageChunkFilter()
        return answer

    def explain(self, exc: Exception) -> tuple[int, str, str, Kind]:
        """Say what a failure before an answer means: status, message, code, kind of note."""
        outcome, kind, _ = classify(exc)  # the detail may have what was sent in it
        name = self._upstream.name
        if outcome is Outcome.CONNECT_ERROR:
            what = f"cannot connect to the upstream {name} ({kind}); check --upstream"
            return _BAD_GATEWAY, what, "upstream_refused", Kind.UPSTREAM_REFUSED
        if outcome is Outcome.TIMEOUT:
            what = f"the upstream {name} sent nothing for {self._timeout_s:g} s; try again"
            return _GATEWAY_TIMEOUT, what, "upstream_timeout", Kind.UPSTREAM_SLOW
        what = f"the upstream {name} broke off before its answer ({kind}); try again"
        return _BAD_GATEWAY, what, "upstream_broken", Kind.UPSTREAM_BROKEN


class _Answer:
    """An answer of the upstream: what of it was read ahead, and the rest."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.ahead = b""
        self.filter: UsageChunkFilter | None = None
        assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101 - httpx's seam
        self._stream = response.stream
        self.pieces = aiter(response.stream)

    @property
    def is_stream(self) -> bool:
        """Whether it is an event stream that succeeded."""
        kind = self.response.headers.get("content-type", "").strip().lower()
        return self.response.is_success and kind.startswith("text/event-stream")

    async def read_ahead(self, limit: int) -> None:
        """Read it, or the beginning of it."""
        async for piece in self.pieces:
            self.ahead += piece
            if len(self.ahead) >= limit:
                return

    async def aclose(self) -> None:
        """Let go of the upstream."""
        if isinstance(self.pieces, AsyncGenerator):
            await self.pieces.aclose()
        await self._stream.aclose()


class _Exchange:
    """One request and its answer."""

    def __init__(
        self, proxy: Proxy, recording: Recording, scope: Scope, receive: Receive, send: Send
    ) -> None:
        self._arrived_ns = recording.clock()
        self._proxy = proxy
        self._recording = recording
        self.scope = scope
        self._receive = receive
        self._send = send
        self.path: bytes = b""
        headers: Headers = scope["headers"]
        self._headers = headers
        self._names: Mapping[str, str] = {
            name.decode("latin-1"): content.decode("latin-1") for name, content in headers
        }
        self.is_anthropic = "anthropic-version" in self._names
        self._api: Api | None = None
        self._raw: bytes | None = None
        self._json: dict[str, Any] | None = None
        self._is_parsed = False
        self._watched: Watched | None = None
        self._is_begun = False
        self._received = asyncio.Event()
        self._is_gone = False
        self._is_done = False

    async def run(self) -> None:
        """Pass it through; break it off where the agent goes away."""
        self._api = api_for(self.scope["method"], self.path.decode("latin-1"))
        begun = b""
        if self._api is None:
            where = hidden(b"/".join(self.path.split(b"/")[:3]).decode("latin-1"))
            self._recording.notes.add(Kind.OTHER_PATH, f"{self.scope['method']} {where[:60]}")
        elif _declared(self._names) <= MAX_REQUEST_BYTES:
            begun, is_whole = await self._body()
            if self._is_gone:
                self._recording.notes.add(Kind.CLIENT_GONE)
                return
            if is_whole:
                self._raw = begun
                self._received.set()
        # A task and no task group: a group costs a tenth of a call's delay.
        passing = asyncio.current_task()
        assert passing is not None  # noqa: S101 - for the type checker
        watching = asyncio.get_running_loop().create_task(self._watch(passing))
        try:
            await self._pass_through(begun)
            self._is_done = not self._is_gone
        except asyncio.CancelledError:
            if not self._is_gone:
                raise
            passing.uncancel()
        finally:
            watching.cancel()
            if not self._is_done:
                if self._is_gone:
                    self._recording.notes.add(Kind.CLIENT_GONE)
                self._over(Outcome.CANCELLED)

    async def _watch(self, passing: asyncio.Task[Any]) -> None:
        """Begin the record while the upstream works; break off where the agent goes away."""
        self._begin()
        await self._received.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass
        if not self._is_done:
            self._is_gone = True
            passing.cancel()

    def _begin(self) -> None:
        """Begin the record, once."""
        if self._is_begun or self._api is None:
            return
        self._is_begun = True
        if self._raw is None:
            self._recording.notes.add(Kind.TOO_LONG)
        elif self._parsed() is None:
            self._recording.notes.add(Kind.UNREADABLE_REQUEST)
        self._watched = self._recording.begin(
            self._api,
            self._names,
            raw=self._raw if self._raw is not None else os.urandom(16),  # like no other
            body=self._parsed(),
            at_ns=self._arrived_ns,
        )

    def _parsed(self) -> dict[str, Any] | None:
        if not self._is_parsed:
            self._is_parsed = True
            self._json = None if self._raw is None else object_of(self._raw)
        return self._json

    async def _pass_through(self, begun: bytes) -> None:
        try:
            answer = await self._ask(request_headers(self._headers), begun)
        except (httpx.HTTPError, OSError) as exc:
            if self._is_gone:
                return
            status, message, code, kind = self._proxy.explain(exc)
            self._recording.notes.add(kind)
            await self.refuse(status, message, code=code)
            self._over(classify(exc)[0])
            return
        try:
            await self._give(answer)
        except (httpx.HTTPError, OSError) as exc:
            # The server closes the connection of an answer that is not complete.
            self._recording.notes.add(Kind.UPSTREAM_CUT, classify(exc)[1])
            self._over(classify(exc)[0])
        finally:
            await answer.aclose()

    async def _ask(self, headers: Headers, begun: bytes) -> _Answer:
        raw = self._raw
        if raw is None:
            return await self._ask_unread(headers, begun)
        if self._api is CHAT and b'"stream"' in raw:
            body = self._parsed()
            if body is not None:
                answer = await self._proxy.ask_for_usage(self, headers, raw, body)
                if answer is not None:
                    return answer
        readable = with_readable_coding(headers, as_it_is=False)
        return _Answer(await self._proxy.ask(self, readable, raw))

    async def _ask_unread(self, headers: Headers, begun: bytes) -> _Answer:
        names = self._names
        if not begun and _declared(names) == 0 and "transfer-encoding" not in names:
            self._received.set()
            return _Answer(await self._proxy.ask(self, headers, b""))
        if "content-length" in names:
            headers = [*headers, (b"content-length", names["content-length"].encode())]
        return _Answer(await self._proxy.ask(self, headers, _Upload(self._parts(begun))))

    async def _body(self) -> tuple[bytes, bool]:
        """Read the request's body, or its beginning if it is too long (False)."""
        parts: list[bytes] = []
        size = 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self._is_gone = True
                return b"", False
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if not message.get("more_body", False):
                return b"".join(parts), True
            if size > MAX_REQUEST_BYTES:
                return b"".join(parts), False

    async def _parts(self, begun: bytes) -> AsyncIterator[bytes]:
        """Yield the request's body as it comes."""
        if begun:
            yield begun
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self._is_gone = True
                raise httpx.ReadError("the agent went away within its request")
            if message.get("body"):
                yield message["body"]
            if not message.get("more_body", False):
                break
        self._received.set()

    async def _give(self, answer: _Answer) -> None:
        """Pass an answer on to the agent, piece by piece; each is recorded after it was sent.

        uvloop sends what was written only when it has run all that is ready. So what is recorded
        waits for the loop's next turn: what comes in by then is dealt with after it, as ever.
        """
        self._begin()  # before an answer, however fast
        send, watched, clock = self._send, self._watched, self._recording.clock
        soon = asyncio.get_running_loop().call_soon
        response, kept = answer.response, answer.filter
        status, raw = response.status_code, response.headers.raw
        headers = response_headers(raw, status=status)
        if kept is not None:  # its length changes
            headers = [header for header in headers if header[0] != b"content-length"]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        if watched is not None:
            soon(watched.head, status, raw)
        end_ns = clock()
        if answer.ahead:
            await send(_body_event(answer.ahead))
        try:
            async for piece in answer.pieces:
                end_ns = clock()
                given = piece if kept is None else kept.feed(piece)
                if given:
                    await send(_body_event(given))
                if watched is not None:
                    soon(watched.piece, piece, end_ns)
        except (httpx.HTTPError, OSError):
            if kept is not None:
                await send(_body_event(kept.rest()))
            raise
        rest = b"" if kept is None else kept.rest()
        await send({"type": "http.response.body", "body": rest, "more_body": False})
        # Before anything else can come: the tools asked for are known when their results arrive.
        if watched is not None:
            soon(watched.over, None, end_ns)

    def _over(self, outcome: Outcome) -> None:
        self._begin()
        if self._watched is not None:
            # After the pieces that wait to be recorded.
            over = self._watched.over
            asyncio.get_running_loop().call_soon(over, outcome, self._recording.clock())

    async def refuse(self, status: int, message: str, *, code: str) -> None:
        """Answer with an error in the provider's own shape."""
        message = f"agent-profiler gateway: {message}"
        body: dict[str, Any]
        if self.is_anthropic:
            body = {"type": "error", "error": {"type": "api_error", "message": message}}
        else:
            error = {"message": message, "type": "gateway_error", "param": None, "code": code}
            body = {"error": error}
        content = orjson.dumps(body)
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(content)).encode()),
        ]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": content})


class _Upload(httpx.AsyncByteStream):
    """A request's body on its way through."""

    def __init__(self, parts: AsyncIterator[bytes]) -> None:
        self._parts = parts

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._parts


def _body_event(data: bytes) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": True}


def _declared(names: Mapping[str, str]) -> int:
    length = names.get("content-length", "0")
    return int(length) if length.isascii() and length.isdigit() else 0
