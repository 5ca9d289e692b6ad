"""Calls at exact instants: late by microseconds, never early."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING

from profiler.clock import NS_PER_S, monotonic_ns
from profiler.load.timer import make_timer

if TYPE_CHECKING:
    from collections.abc import Callable

_IDLE_NS = 3600 * NS_PER_S


class Alarm:
    """Calls functions with the instant that they were due at, in that order, while `run` runs."""

    def __init__(self) -> None:
        self._timer = make_timer()
        self._waiting: list[tuple[int, int, Callable[[int], None]]] = []
        self._count = 0

    def at(self, due_ns: int, call: Callable[[int], None]) -> None:
        """Call `call(due_ns)` at that instant of the monotonic clock."""
        self._count += 1  # of two that are due at once, the first comes first
        entry = (due_ns, self._count, call)
        heappush(self._waiting, entry)
        if self._waiting[0] is entry:
            self._timer.wake()

    async def run(self) -> None:
        """Call what is due, until cancelled."""
        waiting = self._waiting
        try:
            while True:
                now_ns = monotonic_ns()
                await self._timer.wait_until(waiting[0][0] if waiting else now_ns + _IDLE_NS)
                while waiting and waiting[0][0] <= monotonic_ns():
                    due_ns, _, call = heappop(waiting)
                    call(due_ns)
        finally:
            self._timer.close()
