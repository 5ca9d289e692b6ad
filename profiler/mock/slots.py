"""Worker slots, and the line in front of them: what an agent with few workers has."""

from __future__ import annotations

from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from profiler.clock import NS_PER_S, monotonic_ns
from profiler.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from profiler.clock import MonotonicNs


class Slots:
    """As many interactions are worked on at a time as workers have slots, `each` so many.

    All others wait, first come, first served.

    As in a queue of jobs, a message whose user has gone away is worked on like any other.
    """

    def __init__(self, workers: int, each: int = 1, clock: MonotonicNs = monotonic_ns) -> None:
        if workers < 1 or each < 1:
            raise UsageError(
                f"{workers} workers with {each} slots each can do nothing",
                where="mock agent",
                fix="Give 1 or more of both, or leave them out: then nothing waits",
            )
        self.workers = workers
        self._count = workers * each
        self.busy = 0
        self._clock = clock
        self._waiting: deque[tuple[int, anyio.Event]] = deque()

    @property
    def depth(self) -> int:
        """How many wait: those that are being worked on are not among them."""
        return len(self._waiting)

    @property
    def oldest_age_s(self) -> float:
        """How long the first in line has waited; 0 where none waits."""
        return (self._clock() - self._waiting[0][0]) / NS_PER_S if self._waiting else 0.0

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait for a slot, and hold it for the length of the block."""
        await self._take()
        try:
            yield
        finally:
            self._give()

    async def _take(self) -> None:
        if self.busy < self._count:
            self.busy += 1
            return
        place = (self._clock(), anyio.Event())
        self._waiting.append(place)
        try:
            await place[1].wait()
        except BaseException:
            if place[1].is_set():
                self._give()  # it was ours by then
            else:
                self._waiting.remove(place)
            raise

    def _give(self) -> None:
        """Pass the slot on to the first in line; `busy` stays as it is then."""
        if self._waiting:
            self._waiting.popleft()[1].set()
        else:
            self.busy -= 1
