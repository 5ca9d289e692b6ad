"""Calls as events tell them: each from the event that begins it to the one that ends it."""

from __future__ import annotations

from collections import defaultdict, deque
from typing import TYPE_CHECKING, Any

from profiler.clock import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterator


class Call:
    """One call as it becomes known. `facts` are what its end tells."""

    __slots__ = ("end_ns", "facts", "failed", "is_over", "name", "start_ns")

    def __init__(self, name: str | None, start_ns: int | None = None) -> None:
        self.name = name
        self.start_ns = start_ns
        self.end_ns: int | None = None
        self.is_over = False
        self.failed = False
        self.facts: dict[str, Any] = {}

    def interval(self, zero_ns: int) -> dict[str, float]:
        """Return start and end in seconds after `zero_ns`, as a trace block has them.

        What came in one piece was held back on its way: such a call has no time.
        """
        start_ns, end_ns = self.start_ns, self.end_ns
        if start_ns is None or end_ns is None or start_ns >= end_ns:
            return {}
        return {
            "start_s": (start_ns - zero_ns) / NS_PER_S,
            "end_s": (end_ns - zero_ns) / NS_PER_S,
        }


class ToldCalls:
    """The calls of one kind in one answer, in the order in which they were first told.

    An end belongs to the beginning with the same id; without ids, to the first open one of its
    name; without names, to the first open one. An id that is told again tells nothing new.
    """

    def __init__(self) -> None:
        self._calls: list[Call] = []
        self._by_id: dict[str, Call] = {}
        self._open: defaultdict[str | None, deque[Call]] = defaultdict(deque)

    def __iter__(self) -> Iterator[Call]:
        return iter(self._calls)

    def __len__(self) -> int:
        return len(self._calls)

    def begin(self, key: str | None, name: str | None, at_ns: int | None) -> None:
        """Take the beginning of a call."""
        if key is not None and key in self._by_id:
            return
        call = self._add(Call(name, at_ns), key)
        if key is None:
            self._open[name].append(call)
            if name is not None:
                self._open[None].append(call)

    def end(self, key: str | None, name: str | None, at_ns: int | None) -> Call | None:
        """Take the end of a call, and return it; None: it had ended before.

        One whose beginning was not told is a call, too.
        """
        call = None if key is None else self._by_id.get(key)
        if call is not None and call.is_over:
            return None
        if call is None:
            call = self._first_open(name)
        if call is None:
            call = self._add(Call(name), key)
        elif key is not None:
            self._by_id[key] = call
        call.is_over = True
        call.end_ns = at_ns
        call.name = call.name or name
        return call

    def _add(self, call: Call, key: str | None) -> Call:
        self._calls.append(call)
        if key is not None:
            self._by_id[key] = call
        return call

    def _first_open(self, name: str | None) -> Call | None:
        queue = self._open.get(name)
        while queue:
            call = queue.popleft()
            if not call.is_over:
                return call
        return None
