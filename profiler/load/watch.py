"""The harness watching itself: event-loop lag, CPU share, garbage collection, what is in flight."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import anyio

from profiler.clock import NS_PER_S, cpu_ns, monotonic_ns
from profiler.measure.records import DriverSample

if TYPE_CHECKING:
    from collections.abc import Callable

    from profiler.clock import MonotonicNs

_TICK_NS = 50_000_000
_TICKS = 20


class Watch:
    """Counts what the driver does and samples how well it keeps up, about once a second."""

    def __init__(self, clock: MonotonicNs = monotonic_ns, cpu: MonotonicNs = cpu_ns) -> None:
        self._clock = clock
        self._cpu = cpu
        self._gc_began_ns = 0
        self._gc_pause_max_ns = 0
        self.sent = 0
        self.ended = 0
        self.dropped = 0
        self.latest: DriverSample | None = None

    @property
    def in_flight(self) -> int:
        """Interactions that were sent and have not ended."""
        return self.sent - self.ended

    async def run(self, put: Callable[[DriverSample], None]) -> None:
        """Sample until cancelled. Lag is how much later than asked the loop woke us."""
        gc.callbacks.append(self._on_gc)
        try:
            await self._sample(put)
        finally:
            gc.callbacks.remove(self._on_gc)

    def _on_gc(self, phase: str, _info: dict[str, int]) -> None:
        """Time a garbage collection: nothing else runs meanwhile."""
        if phase == "start":
            self._gc_began_ns = self._clock()
        else:
            pause_ns = self._clock() - self._gc_began_ns
            self._gc_pause_max_ns = max(self._gc_pause_max_ns, pause_ns)

    async def _sample(self, put: Callable[[DriverSample], None]) -> None:
        since_ns, since_cpu_ns = self._clock(), self._cpu()
        lag_max_ns = told = 0

        def tell() -> None:
            now_ns = self._clock()
            busy = (self._cpu() - since_cpu_ns) / max(1, now_ns - since_ns)
            self.latest = DriverSample(
                at_ns=now_ns,
                in_flight=self.in_flight,
                sent=self.sent,
                ended=self.ended,
                dropped=self.dropped,
                loop_lag_max_ns=lag_max_ns,
                cpu_share=round(busy, 4),
                gc_pause_max_ns=self._gc_pause_max_ns,
            )
            put(self.latest)

        try:
            while True:
                lag_max_ns = 0
                for _ in range(_TICKS):
                    due_ns = self._clock() + _TICK_NS
                    await anyio.sleep(_TICK_NS / NS_PER_S)
                    lag_max_ns = max(lag_max_ns, self._clock() - due_ns)
                tell()
                told = self.dropped
                since_ns, since_cpu_ns = self._clock(), self._cpu()
                self._gc_pause_max_ns = 0
        finally:
            if self.dropped != told:  # what was dropped since must not be lost
                tell()
