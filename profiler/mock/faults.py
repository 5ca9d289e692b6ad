"""A mock with faults: an ASGI application around the mock's own, which answers as a plan says.

Every injected fault is in the truth log before its first byte is sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import orjson

from profiler.clock import NS_PER_S, monotonic_ns
from profiler.mock.fault_kinds import FaultyRequest, inject, replayed
from profiler.mock.fault_wire import connection_of, listen_again, stop_listening
from profiler.mock.wire import headers_of, read_body, trace_context

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp, Receive, Scope, Send

    from profiler.mock.fault_plan import Draw
    from profiler.mock.truth import TruthLog


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
        number, at_s = self._count, (monotonic_ns() - self._start_ns) / NS_PER_S
        fault = self._draw.fault(number, at_s)
        if fault is None:
            await self._app(scope, receive, send)
            return
        body = await read_body(scope, receive)
        is_stream = _asks_for_stream(body)
        if fault.kind == "duplicate_events" and not is_stream:
            await self._app(scope, replayed(body, receive), send)
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
        await inject(
            FaultyRequest(
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
            await anyio.sleep(fault.from_s - (monotonic_ns() - self._start_ns) / NS_PER_S)
            from_ns = monotonic_ns()
            await stop_listening(server)
            await anyio.sleep(fault.for_s)
            await listen_again(server, host, port)
            to_ns = monotonic_ns()
            self._log(fault=fault.name, from_s=from_ns / NS_PER_S, to_s=to_ns / NS_PER_S)

    def _log(self, **said: Any) -> None:
        if self._truth is not None:
            self._truth.write({"kind": "fault", "of": self._of, **said})


def _asks_for_stream(body: bytes) -> bool:
    try:
        asked = orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return isinstance(asked, dict) and asked.get("stream") is True
