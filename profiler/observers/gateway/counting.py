"""Counting tokens beside the traffic: one call after the other, in slices that delay nobody.

Short texts are counted on the event loop, one at a time with others' work between: handing them to
a thread costs more than counting them, and a thread that runs Python keeps the interpreter lock
from the loop. Long texts go to a thread: tiktoken lets go of the lock while it works.
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
from profiler.observers.gateway.apis.reading import mappings, string
from profiler.observers.gateway.calls import Call, Counts
from profiler.observers.gateway.notes import Kind
from profiler.values import value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from profiler.measure.tokens import TokenCounter
    from profiler.observers.gateway.apis.values import Api, CallAnswer, Countable
    from profiler.observers.gateway.calls import Attempt
    from profiler.observers.gateway.notes import Notes

MANY_TEXTS = 400
"""More texts than these take a thread even if each is known: summing them takes a millisecond."""

_SLICE_CHARS = 1_000

MAX_WAITING = 4096
"""So many calls may wait to be counted; what comes then is recorded uncounted."""


@value
class Countables:
    """The input and the output of one call. None: not known."""

    input: Countable | None
    output: tuple[str, ...] | None

    def texts(self) -> Iterator[str]:
        """Yield the texts that will be counted, most of them."""
        if self.input is not None:
            yield from self.input.texts or ()
            for message in self.input.messages:
                content = message.get("content")
                if isinstance(content, str):
                    yield content
                else:
                    yield from (string(part.get("text")) or "" for part in mappings(content))
                for call in message.get("tool_calls", ()):
                    yield call["function"]["arguments"]
        yield from self.output or ()


def countables_of(api: Api, body: dict[str, Any] | None, answer: CallAnswer | None) -> Countables:
    """Return what there is to count of a call."""
    is_known = answer is not None and answer.fault is None
    return Countables(
        input=None if body is None else api.countable(body),
        output=answer.texts if answer is not None and is_known else None,
    )


def counts_of(counter: TokenCounter, given: Countables) -> Counts:
    """Count input by part and output. What could not be read stays None."""
    tokens = None if given.input is None else _parts(counter, given.input)
    if given.output is None:
        return Counts(tokens=tokens)
    return Counts(tokens=tokens, output=sum(map(counter.count_text, given.output)))


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
                counts = await self._count(call.attempts[-1])
                self._record(call.record(counts))
                self._waiting -= 1
                if self._waiting == 0:
                    self._idle.set()

    async def _count(self, last: Attempt) -> Counts:
        try:
            given = countables_of(last.api, last.body, last.answer)
            if await self._know(given):
                return counts_of(self._counter, given)
            return await anyio.to_thread.run_sync(counts_of, self._counter, given)
        except AgentProfilerError as exc:
            self._notes.add(Kind.NOT_COUNTED, str(exc))
        except Exception as exc:  # noqa: BLE001 - a body that we misread must not end the run
            self._notes.add(Kind.NOT_COUNTED, type(exc).__name__)
        return Counts()

    async def _know(self, given: Countables) -> bool:
        """Count the texts one by one, so that their sum is quick; False: that takes a thread."""
        quick, worth = self._counter.quick_count, 0
        for number, text in enumerate(given.texts()):
            if number == MANY_TEXTS or quick(text) is None:
                return False
            worth += len(text)
            if worth > _SLICE_CHARS:
                worth = 0
                await anyio.lowlevel.checkpoint()
        return True

    async def done(self) -> None:
        """Wait until nothing is left to count."""
        await self._idle.wait()

    def close(self) -> None:
        """Take nothing more."""
        self._send.close()
        self._receive.close()
