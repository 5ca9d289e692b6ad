"""Counting tokens beside the traffic: one call after the other, in a thread."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from profiler.errors import AgentProfilerError
from profiler.measure.records import TokenParts
from profiler.observers.gateway.calls import Call, Counts
from profiler.observers.gateway.notes import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from profiler.measure.tokens import TokenCounter
    from profiler.observers.gateway.apis.values import Api, CallAnswer
    from profiler.observers.gateway.notes import Notes

MAX_WAITING = 4096
"""So many calls may wait to be counted; what comes then is recorded uncounted."""


def counts_of(
    counter: TokenCounter, api: Api, body: dict[str, Any] | None, answer: CallAnswer | None
) -> Counts:
    """Count input by part and output. What could not be read stays None."""
    tokens = None if body is None else _parts(counter, api, body)
    if answer is None or answer.fault is not None:
        return Counts(tokens=tokens)
    return Counts(tokens=tokens, output=sum(map(counter.count_text, answer.texts)))


def _parts(counter: TokenCounter, api: Api, body: dict[str, Any]) -> TokenParts:
    countable = api.countable(body)
    if countable.texts is not None:
        texts = sum(map(counter.count_text, countable.texts))
        return TokenParts(user=texts + countable.ready_tokens)
    parts = counter.count_parts(countable.messages, countable.tools)
    return replace(parts, **dict.fromkeys(countable.unseen))


class Counting:
    """Takes calls that are done, counts them, and hands their records over on the event loop."""

    def __init__(self, record: Callable[..., None], notes: Notes) -> None:
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
                counts = await anyio.to_thread.run_sync(self._count, call)
                self._record(call.record(counts))
                self._waiting -= 1
                if self._waiting == 0:
                    self._idle.set()

    def _count(self, call: Call) -> Counts:
        last = call.attempts[-1]
        if last.count is None:
            return Counts()
        try:
            return last.count(last.answer)
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
