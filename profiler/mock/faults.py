"""The faults themselves: an ASGI application around a mock's, which breaks some of its answers.

Most faults do without the mock's own answer; those that break one take it whole and send a part of
it, or more than it. Every injected fault is in the truth log before its first byte is sent.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, assert_never

import anyio
import orjson

from profiler.clock import ClockAnchor, monotonic_ns
from profiler.mock.fault_answers import endless_pieces, error_answer, large_answer
from profiler.mock.fault_wire import connection_of, listen_again, stop_listening
from profiler.mock.wire import headers_of, read_body, trace_context

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from profiler.mock.fault_plan import Draw, Fault
    from profiler.mock.fault_wire import FaultyConnection
    from profiler.mock.truth import TruthLog

_GAP_S = 0.1
_MEGABYTES = 10
_GARBAGE = bytes(range(0x80, 0x100)) * 4
_CREATED = re.compile(rb'"created":\s*(\d+)')
_MOST_RAW_BYTES = 2**20


@dataclass(slots=True)
class _Answer:
    """A whole answer, taken from an application."""

    status: int = 200
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""

    async def take(self, message: Message) -> None:
        """Be the application's `send`."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = [(name, value) for name, value in message.get("headers", ())]
        else:
            self.body += message.get("body", b"")

    def raw_head(self, *extra: tuple[bytes, bytes]) -> bytes:
        """Return status and headers as bytes, without a length but with `extra`."""
        kept = [header for header in self.headers if header[0] != b"content-length"]
        lines = b"".join(b"%b: %b\r\n" % header for header in (*kept, *extra))
        return b"HTTP/1.1 %d Faulty\r\n%b\r\n" % (self.status, lines)


@dataclass(slots=True, kw_only=True)
class _Request:
    """One request that a fault meets."""

    app: ASGIApp
    scope: Scope
    receive: Receive
    send: Send
    body: bytes
    is_stream: bool
    fault: Fault
    connection: FaultyConnection

    async def pass_on(self, send: Send) -> None:
        """Let the mock answer, to `send`."""
        await self.app(self.scope, _replayed(self.body, self.receive), send)

    async def answer(self) -> _Answer:
        """Return the mock's own answer."""
        answer = _Answer()
        await self.pass_on(answer.take)
        return answer

    async def gone(self) -> None:
        """Wait until the connection is no more: only then is nothing expected from us."""
        while (await self.receive())["type"] != "http.disconnect":
            pass

    async def whole(self, answer: _Answer) -> None:
        """Send an answer as it is; a stream in chunks, all else with its length."""
        headers = [header for header in answer.headers if header[0] != b"content-length"]
        if not self.is_stream:
            headers.append((b"content-length", b"%d" % len(answer.body)))
        start = {"type": "http.response.start", "status": answer.status, "headers": headers}
        await self.send(start)
        await self.send({"type": "http.response.body", "body": answer.body})


class Faulty:
    """A mock's application, with faults. Counts POST requests only: they are what a mock is for."""

    def __init__(self, app: ASGIApp, draw: Draw, *, of: str, truth: TruthLog | None) -> None:
        self._app = app
        self._draw = draw
        self._of = of
        self._truth = truth
        self._start_ns = monotonic_ns()
        self._count = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or fail to."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        self._count += 1
        number, at_s = self._count, (monotonic_ns() - self._start_ns) / 1e9
        fault = self._draw.fault(number, at_s)
        if fault is None:
            await self._app(scope, receive, send)
            return
        body = await read_body(scope, receive)
        is_stream = _asks_for_stream(body)
        if fault.kind == "duplicate_events" and not is_stream:
            await self._app(scope, _replayed(body, receive), send)
            return
        headers = headers_of(scope)
        self._log(
            fault=fault.name,
            request=number,
            trace_id=trace_context(headers).trace_id,
            session=headers.get("x-session-id"),
            stream=is_stream,
            at_s=at_s,
        )
        await _inject(
            _Request(
                app=self._app,
                scope=scope,
                receive=receive,
                send=send,
                body=body,
                is_stream=is_stream,
                fault=fault,
                connection=connection_of(scope),
            )
        )

    async def refuse(self, server: uvicorn.Server, host: str, port: int) -> None:
        """Refuse connections when the plan says so, one time after the other."""
        for fault in sorted(self._draw.refusals, key=lambda fault: fault.from_s):
            assert fault.for_s is not None  # noqa: S101 - the model sees to it
            await anyio.sleep(fault.from_s - (monotonic_ns() - self._start_ns) / 1e9)
            from_ns = monotonic_ns()
            await stop_listening(server)
            await anyio.sleep(fault.for_s)
            await listen_again(server, host, port)
            to_ns = monotonic_ns()
            self._log(fault=fault.name, from_s=from_ns / 1e9, to_s=to_ns / 1e9)

    def _log(self, **said: Any) -> None:
        if self._truth is not None:
            self._truth.write({"kind": "fault", "of": self._of, **said})


def _asks_for_stream(body: bytes) -> bool:
    try:
        asked = orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return isinstance(asked, dict) and asked.get("stream") is True


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that begins with a body that was read already."""
    is_given = False

    async def replaying() -> Message:
        nonlocal is_given
        if is_given:
            return await receive()
        is_given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replaying


async def _inject(request: _Request) -> None:  # noqa: C901, PLR0912 - one line for each kind
    kind = request.fault.kind
    match kind:
        case "reset_before_headers" | "reset_in_headers":
            await _reset_early(request)
        case "reset_in_body":
            await _reset_in_body(request)
        case "reset_after_answer":
            await _reset_after_answer(request)
        case "stall":
            request.connection.is_faulty = True
            await request.gone()
        case "drip":
            await _drip(request)
        case "length_too_long" | "length_too_short":
            await _wrong_length(request)
        case "garbage":
            request.connection.hold()
            request.connection.write_raw(_GARBAGE)
            await _closed(request)
        case "truncated":
            await _truncated(request)
        case "duplicate_events":
            await _duplicated(request)
        case "status":
            await _failed(request)
        case "error_in_body":
            await request.whole(_canned(error_answer(is_stream=request.is_stream), request))
        case "endless":
            await _endless(request)
        case "large":
            await _large(request)
        case "clock_jump":
            await _jumped(request)
        case "refuse":
            raise AssertionError(kind)  # meets no request
        case _:
            assert_never(kind)


async def _closed(request: _Request) -> None:
    request.connection.close()
    await request.gone()


async def _reset_early(request: _Request) -> None:
    connection = request.connection
    connection.hold()
    if request.fault.kind == "reset_in_headers":
        connection.write_raw(b"HTTP/1.1 200 OK\r\ncontent-ty")
    await connection.reset()
    await request.gone()


async def _reset_in_body(request: _Request) -> None:
    answer = await request.answer()
    connection = request.connection
    connection.hold()
    half = answer.body[: min(len(answer.body) // 2, _MOST_RAW_BYTES)]
    if request.is_stream:
        head = answer.raw_head((b"transfer-encoding", b"chunked"))
        connection.write_raw(b"%b%x\r\n%b\r\n" % (head, len(half), half))
    else:
        head = answer.raw_head((b"content-length", b"%d" % len(answer.body)))
        connection.write_raw(head + half)
    await connection.reset()
    await request.gone()


async def _reset_after_answer(request: _Request) -> None:
    answer = await request.answer()
    connection = request.connection
    connection.hold()
    await request.whole(answer)
    await connection.reset()


async def _drip(request: _Request) -> None:
    """Send a byte, and another one after a while."""
    gap_s = _GAP_S if request.fault.gap_s is None else request.fault.gap_s
    answer = await request.answer()
    connection = request.connection
    connection.is_faulty = True
    start = {"type": "http.response.start", "status": answer.status, "headers": answer.headers}
    await request.send(start)
    for at in range(len(answer.body)):
        if connection.transport.is_closing():
            await request.gone()
            return
        piece = answer.body[at : at + 1]
        await request.send({"type": "http.response.body", "body": piece, "more_body": True})
        await asyncio.sleep(gap_s)
    await request.send({"type": "http.response.body", "body": b""})


async def _wrong_length(request: _Request) -> None:
    """Declare more or fewer bytes than are sent, by half of them."""
    answer = await request.answer()
    size = len(answer.body)
    declared = size // 2 if request.fault.kind == "length_too_short" else size + size // 2
    request.connection.hold()
    head = answer.raw_head((b"content-length", b"%d" % declared))
    request.connection.write_raw(head + answer.body)
    await _closed(request)


async def _truncated(request: _Request) -> None:
    """End the answer in its middle, in all order as far as HTTP is concerned."""
    answer = await request.answer()
    if request.is_stream:
        events = answer.body.split(b"\n\n")
        # The last ones say that it is complete: half of what is before them, and half an event.
        kept = max(1, (len(events) - len(_LAST_EVENTS)) // 2)
        cut = events[kept][: len(events[kept]) // 2] if kept < len(events) else b""
        answer.body = b"".join(event + b"\n\n" for event in events[:kept]) + cut
    else:
        answer.body = answer.body[: len(answer.body) // 2]
    await request.whole(answer)


_LAST_EVENTS = ("stop", "usage", "[DONE]", "")


async def _duplicated(request: _Request) -> None:
    """Send each event twice, as it comes."""

    async def twice(message: Message) -> None:
        if message["type"] == "http.response.body" and message.get("body"):
            events = message["body"].split(b"\n\n")[:-1]
            doubled = b"".join((event + b"\n\n") * 2 for event in events)
            message = {**message, "body": doubled}
        await request.send(message)

    await request.pass_on(twice)


async def _failed(request: _Request) -> None:
    fault = request.fault
    assert fault.status is not None  # noqa: S101 - the model sees to it
    body = orjson.dumps(
        {
            "error": {
                "message": "An injected fault.",
                "type": "server_error",
                "param": None,
                "code": fault.name,
            }
        }
    )
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
    ]
    if fault.retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % fault.retry_after_s))
    await request.send({"type": "http.response.start", "status": fault.status, "headers": headers})
    await request.send({"type": "http.response.body", "body": body})


def _canned(body: bytes, request: _Request) -> _Answer:
    kind = b"text/event-stream; charset=utf-8" if request.is_stream else b"application/json"
    return _Answer(headers=[(b"content-type", kind)], body=body)


async def _endless(request: _Request) -> None:
    """Send an answer without an end, as fast as it is taken."""
    connection = request.connection
    connection.is_faulty = True
    headers = _canned(b"", request).headers
    await request.send({"type": "http.response.start", "status": 200, "headers": headers})
    for piece in endless_pieces(is_stream=request.is_stream):
        if connection.transport.is_closing():
            await request.gone()
            return
        await request.send({"type": "http.response.body", "body": piece, "more_body": True})
        await asyncio.sleep(0)


async def _large(request: _Request) -> None:
    """Send a sound answer of so many megabytes."""
    megabytes = _MEGABYTES if request.fault.megabytes is None else request.fault.megabytes
    headers = _canned(b"", request).headers
    await request.send({"type": "http.response.start", "status": 200, "headers": headers})
    for piece in large_answer(megabytes * 10**6, is_stream=request.is_stream):
        if request.connection.transport.is_closing():
            await request.gone()
            return
        await request.send({"type": "http.response.body", "body": piece, "more_body": True})
    await request.send({"type": "http.response.body", "body": b""})


async def _jumped(request: _Request) -> None:
    """Answer with a clock that is wrong: in the header `date`, and in `created`."""
    jump_s = request.fault.jump_s
    assert jump_s is not None  # noqa: S101 - the model sees to it
    wall_s = ClockAnchor.now().wall_ns / 1e9 + jump_s
    date = (b"date", formatdate(wall_s, usegmt=True).encode())

    async def jumping(message: Message) -> None:
        if message["type"] == "http.response.body" and message.get("body"):
            message = {**message, "body": _CREATED.sub(_created(jump_s), message["body"])}
        await request.send(message)

    request.connection.cycle.default_headers = [date]
    await request.pass_on(jumping)


def _created(jump_s: float) -> Any:
    """Return what moves `created`, with as many digits: the length of the answer stays."""

    def moved(found: re.Match[bytes]) -> bytes:
        digits = found[1]
        return b'"created":%0*d' % (len(digits), max(0, int(digits) + round(jump_s)))

    return moved
