"""The busiest minute: the most of something in any 60 s, as rate limits are meant.

A minute is 60 whole seconds, wherever it begins: a burst is not halved because the clock's minute
ends within it. Amounts may come in any order; what is `HORIZON_S` older than the latest is closed,
and what comes for a closed second counts for the oldest that is open.
"""

from __future__ import annotations

from collections import deque
from operator import index
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

MINUTE_S = 60
HORIZON_S = 3600


class Minutes:
    """Sums of a few amounts by second, and the most of each within a minute."""

    def __init__(self, amounts: int, horizon_s: int = HORIZON_S) -> None:
        self._horizon_s = horizon_s
        self._open: dict[int, list[int]] = {}
        self._closed_before: int | None = None
        self._window: deque[tuple[int, list[int]]] = deque()
        self._sums = [0] * amounts
        self.totals = [0] * amounts
        self.busiest = [0] * amounts
        self.busiest_from: list[int | None] = [None] * amounts
        """The first second with anything of each busiest minute; of several the first. None: 0."""

    def add(self, second: int, amounts: Sequence[int]) -> None:
        """Add amounts to a second. Raises `TypeError` for one that is no integer."""
        second = index(second)
        if self._closed_before is not None:
            second = max(second, self._closed_before)
        found = self._open.get(second)
        if found is None:
            found = self._open[second] = [0] * len(self._sums)
            if len(self._open) > 2 * self._horizon_s:
                self._close_before(max(self._open) - self._horizon_s)
        for place, amount in enumerate(amounts):
            found[place] += amount
            self.totals[place] += amount

    def close(self) -> None:
        """Take all that is open: nothing comes any more."""
        if self._open:
            self._close_before(max(self._open) + 1)

    def _close_before(self, end: int) -> None:
        self._closed_before = end
        for second in sorted(second for second in self._open if second < end):
            self._take(second, self._open.pop(second))

    def _take(self, second: int, amounts: list[int]) -> None:
        window, sums = self._window, self._sums
        window.append((second, amounts))
        while window[0][0] <= second - MINUTE_S:
            _, gone = window.popleft()
            for place, amount in enumerate(gone):
                sums[place] -= amount
        for place, amount in enumerate(amounts):
            sums[place] += amount
            if sums[place] > self.busiest[place]:
                self.busiest[place] = sums[place]
                self.busiest_from[place] = next(s for s, found in window if found[place])
