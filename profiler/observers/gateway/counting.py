"""Counting tokens beside the traffic: one call after the other, in a thread.

tiktoken lets go of the interpreter lock while it works. Counting on the event loop instead, a short
text at a time, was tried: at 100 calls a second with new texts it delayed others by milliseconds.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import anyio.to_thread

from profiler.errors import AgentProfilerError
from profiler.measure.records import TokenParts
from profiler.observers.gateway.calls import Call, Counts
from profiler.observers.gateway.notes import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from profiler.measure.tokens import TokenCounter
    from profiler.observers.gateway.apis.values import Api, CallAnswer, Countable
    from profiler.observers.gateway.calls import Attempt
    from profiler.observers.gateway.notes import Notes

MAX_WAITING = 4096
"""So many calls may wait to be counted; what comes then is recorded uncounted."""


def counts_of(
    counter: TokenCounter, api: Api, body: dict[str, Any] | None, answer: CallAnswer | None
) -> Counts:
    """Count input by part and output. What could not be read stays None."""
    tokens = None if body is None else _parts(counter, api.countable(body))
    if answer is None or answer.fault is not None:
        return Counts(tokens=tokens)
    return Counts(tokens=tokens, output=sum(map(counter.count_text, answer.texts)))


def _parts(counter: TokenCounter, given: Countable) -> TokenParts:
    if given.texts is not None:
        return TokenParts(user=sum(map(counter.count_text, given.texts)) + given.ready_tokens)
    parts = counter.count_parts(given.messages, given.tools)
    return replace(parts, **dict.fromkeys(given.unseen))


class Counting:
    """Takes calls that are done, counts them, and hands their records over on the event loop."""

    def __init__(self, counter: TokenCounter, record: Callable[..., None], notes: Notes) -> None:
        self._counter = counter
        self._record = record
        self._notes = notes
        self._send, self._receive = anyio.create_memory_object_stream[Call](math.inf)
        self._waiting = 0
        self._idle = anyio.Event()
        self._idle.set()

    def put(self, call: Call) -> None:
        """Take a call. Never waits."""
        if self._waiting >= MAX_WAITING:
            self._notes.add(Kind.NOT_COUNTED)
            self._record(call.record(Counts()))
            return
        if self._waiting == 0:
            self._idle = anyio.Event()
        self._waiting += 1
        self._send.send_nowait(call)

    async def run(self) -> None:
        """Count until cancelled."""
        async with self._receive:
            async for call in self._receive:
                counts = await anyio.to_thread.run_sync(self._count, call.attempts[-1])
                self._record(call.record(counts))
                self._waiting -= 1
                if self._waiting == 0:
                    self._idle.set()

    def _count(self, last: Attempt) -> Counts:
        try:
            return counts_of(self._counter, last.api, last.body, last.answer)
        except AgentProfilerError as exc:
            self._notes.add(Kind.NOT_COUNTED, str(exc))
        except Exception as exc:  # noqa: BLE001 - a body that we misread must not end the run
            self._notes.add(Kind.NOT_COUNTED, type(exc).__name__)
        return Counts()

    async def done(self) -> None:
        """Wait until nothing is left to count."""
        await self._idle.wait()

    def close(self) -> None:
        """Take nothing more."""
        self._send.close()
        self._receive.close()
