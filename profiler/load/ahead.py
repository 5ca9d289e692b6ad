"""Sessions that have all but begun: what makes their first message delays no other's."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from profiler.load.live import Live


@dataclass(slots=True, kw_only=True)
class Standby:
    """An arrival's session. Where a task of its own waits for the word already, it is `waiting`."""

    live: Live
    _word: asyncio.Future[bool] | None = field(default=None, repr=False)

    @property
    def is_waiting(self) -> bool:
        """Whether a task waits for the word."""
        return self._word is not None

    def wait(self) -> asyncio.Future[bool]:
        """Return what tells the task whether it may begin. Call it on the event loop."""
        self._word = asyncio.get_running_loop().create_future()
        return self._word

    def let(self, *, begin: bool) -> None:
        """Give the word; nothing where none is waited for."""
        if self._word is not None and not self._word.done():
            self._word.set_result(begin)


class Line:
    """The sessions whose arrivals are next. `take` gives one more, None where there is none."""

    def __init__(self, take: Callable[[], Live | None]) -> None:
        self._take = take
        self._standing: deque[Standby] = deque()

    def first(self) -> Standby | None:
        """Return the first in line, None where no more come. It stays."""
        if not self._standing:
            self._grow()
        return self._standing[0] if self._standing else None

    def fill(self, count: int, *, while_true: Callable[[], bool]) -> list[Standby]:
        """Have up to `count` stand in line; return all who do."""
        while len(self._standing) < count and while_true() and self._grow():
            pass
        return list(self._standing)

    def leave(self) -> None:
        """Let the first go."""
        self._standing.popleft()

    def dismiss(self) -> None:
        """Tell all who stand in line that their arrival does not come."""
        while self._standing:
            self._standing.popleft().let(begin=False)

    def _grow(self) -> bool:
        live = self._take()
        if live is not None:
            self._standing.append(Standby(live=live))
        return live is not None
