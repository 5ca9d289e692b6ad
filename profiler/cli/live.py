"""How a gateway alone is doing, in one line: in place on a terminal, now and then elsewhere."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import anyio

from profiler.clock import NS_PER_S, monotonic_ns
from profiler.measure.records import LlmCall, Outcome
from profiler.report.quantities import plural, quantity, whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from profiler.clock import MonotonicNs
    from profiler.measure.records import Record

EVERY_S, ELSEWHERE_EVERY_S = 1.0, 10.0
_MINUTE_S = 60


class Passed:
    """Counts the calls that were recorded."""

    def __init__(self, clock: MonotonicNs = monotonic_ns) -> None:
        self._clock = clock
        self._seconds: deque[list[int]] = deque()
        self.calls = self.failed = self.input_tokens = self.output_tokens = 0

    def take(self, record: Record) -> None:
        """Take a record; only LLM calls count."""
        if not isinstance(record, LlmCall):
            return
        self.calls += 1
        self.failed += record.outcome is not Outcome.OK
        if record.usage is not None:
            given, written = record.usage.input_tokens, record.usage.output_tokens
            self.input_tokens += 0 if given is None else given
            self.output_tokens += 0 if written is None else written
        second = self._clock() // NS_PER_S
        if self._seconds and self._seconds[-1][0] == second:
            self._seconds[-1][1] += 1
        else:
            self._seconds.append([second, 1])
        self._forget(second)

    def in_last_minute(self) -> int:
        """Return the calls that were recorded within the last 60 s."""
        self._forget(self._clock() // NS_PER_S)
        return sum(calls for _, calls in self._seconds)

    def _forget(self, second: int) -> None:
        while self._seconds and self._seconds[0][0] <= second - _MINUTE_S:
            self._seconds.popleft()

    def line(self, under_way: int) -> str:
        """Write `12 calls (3 in the last minute), 1 failed, 2 under way, 4.50k tokens in, ...`."""
        latest = whole(self.in_last_minute())
        parts = [f"{plural(self.calls, 'call')} ({latest} in the last minute)"]
        if self.failed:
            parts.append(f"{whole(self.failed)} failed")
        if under_way:
            parts.append(f"{whole(under_way)} under way")
        parts.append(f"{quantity(self.input_tokens, 'tokens')} tokens in")
        return ", ".join([*parts, f"{quantity(self.output_tokens, 'tokens')} out"])


async def follow(console: Console, line: Callable[[], str]) -> None:
    """Show the line until cancelled: each second on a terminal, each ten seconds elsewhere."""
    if not console.is_terminal:
        while True:
            await anyio.sleep(ELSEWHERE_EVERY_S)
            console.print(line(), highlight=False, markup=False, soft_wrap=True)
    from rich.live import Live
    from rich.text import Text

    with Live(console=console, auto_refresh=False, transient=True) as shown:
        while True:
            shown.update(Text(line(), no_wrap=True, overflow="ellipsis"), refresh=True)
            await anyio.sleep(EVERY_S)
