"""The faults, kind by kind: what each puts on the wire. docs/faults.md has them in a table.

Most do without the mock's own answer; those that break one take it whole and send a part of it, or
more than it.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, assert_never

import orjson

from profiler.clock import NS_PER_S, ClockAnchor
from profiler.mock.fault_answers import endless_pieces, error_answer, large_answer

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from profiler.mock.fault_plan import Fault
    from profiler.mock.fault_wire import FaultyConnection

_GAP_S = 0.1
_MEGABYTES = 10
_GARBAGE = bytes(range(0x80, 0x100)) * 4
_CREATED = re.compile(rb'"created":\s*(\d+)')
_MOST_RAW_BYTES = 2**20
_LAST_EVENTS = ("stop", "usage", "[DONE]", "")


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
class FaultyRequest:
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
        await self.app(self.scope, replayed(self.body, self.receive), send)

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


def replayed(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that begins with a body that was read already."""
    is_given = False

    async def replaying() -> Message:
        nonlocal is_given
        if is_given:
            return await receive()
        is_given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replaying


async def inject(request: FaultyRequest) -> None:  # noqa: C901, PLR0912 - one line for each kind
    """Answer a request with its fault. Returns when the connection is of no more use, or free."""
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


async def _closed(request: FaultyRequest) -> None:
    request.connection.close()
    await request.gone()


async def _reset_early(request: FaultyRequest) -> None:
    connection = request.connection
    connection.hold()
    if request.fault.kind == "reset_in_headers":
        connection.write_raw(b"HTTP/1.1 200 OK\r\ncontent-ty")
    await connection.reset()
    await request.gone()


async def _reset_in_body(request: FaultyRequest) -> None:
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


async def _reset_after_answer(request: FaultyRequest) -> None:
    answer = await request.answer()
    connection = request.connection
    connection.hold()
    await request.whole(answer)
    await connection.reset()


async def _drip(request: FaultyRequest) -> None:
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


async def _wrong_length(request: FaultyRequest) -> None:
    """Declare more or fewer bytes than are sent, by half of them."""
    answer = await request.answer()
    size = len(answer.body)
    declared = size // 2 if request.fault.kind == "length_too_short" else size + size // 2
    request.connection.hold()
    head = answer.raw_head((b"content-length", b"%d" % declared))
    request.connection.write_raw(head + answer.body)
    await _closed(request)


async def _truncated(request: FaultyRequest) -> None:
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


async def _duplicated(request: FaultyRequest) -> None:
    """Send each event twice, as it comes."""

    async def twice(message: Message) -> None:
        if message["type"] == "http.response.body" and message.get("body"):
            events = message["body"].split(b"\n\n")[:-1]
            doubled = b"".join((event + b"\n\n") * 2 for event in events)
            message = {**message, "body": doubled}
        await request.send(message)

    await request.pass_on(twice)


async def _failed(request: FaultyRequest) -> None:
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


def _canned(body: bytes, request: FaultyRequest) -> _Answer:
    kind = b"text/event-stream; charset=utf-8" if request.is_stream else b"application/json"
    return _Answer(headers=[(b"content-type", kind)], body=body)


async def _endless(request: FaultyRequest) -> None:
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


async def _large(request: FaultyRequest) -> None:
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


async def _jumped(request: FaultyRequest) -> None:
    """Answer with a clock that is wrong: in the header `date`, and in `created`."""
    jump_s = request.fault.jump_s
    assert jump_s is not None  # noqa: S101 - the model sees to it
    wall_s = ClockAnchor.now().wall_ns / NS_PER_S + jump_s
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
