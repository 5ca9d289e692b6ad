"""The requests of a trace in order of their times, in bounded memory.

Logs are written a little out of order: up to 10,000 requests wait for one that was earlier.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from profiler.workload.importers.kinds import ImportKind
from profiler.workload.importers.request_batches import Batch, read_batches
from profiler.workload.importers.streaming import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from profiler.workload.importers.request_lines import Request

TRACES = frozenset({ImportKind.MOONCAKE, ImportKind.AZURE_LLM})
BACKWARDS = "a time before that of a line above, put in order"
TOO_LATE = "a time long before that of lines above, which arrives with the latest of them"
_MOST_WAITING, _MOST_WAITING_BLOCKS = 10_000, 1_000_000
_LONG_AGO_NS = -(2**63)


def requests(stream: BinaryIO, kind: ImportKind) -> Iterator[Request | Problem]:
    """Yield every request in order of its time, and every line that is none, in bounded memory."""
    for item in batches(stream, kind):
        if isinstance(item, Problem):
            yield item
        else:
            yield from item.requests()


def batches(stream: BinaryIO, kind: ImportKind) -> Iterator[Batch | Problem]:
    """Yield what `requests` does, many requests at a time: each of them sooner."""
    order = _Order()
    for item in read_batches(stream, kind):
        if isinstance(item, Problem):
            yield item
        elif ready := order.add(item):
            yield ready
    if order.waiting:
        yield order.waiting


class _Order:
    """Puts requests in order: `waiting` are those, in order, before which another may come."""

    def __init__(self) -> None:
        self.waiting = Batch.of(())
        self._blocks = 0
        self._latest_ns = self._given_ns = _LONG_AGO_NS

    def add(self, batch: Batch) -> Batch:
        """Take requests as they stand in the file; return those that are to wait no longer."""
        times = batch.at_ns
        if times[0] >= self._latest_ns and times == sorted(times):
            self._latest_ns = times[-1]
            self.waiting.extend(batch)
            self._blocks += sum(map(len, batch.blocks))
            return self._ready()
        ready = Batch.of(())
        for number in range(len(batch)):
            self._add_one(batch.part(number, number + 1))
            ready.extend(self._ready())
        return ready

    def _add_one(self, one: Batch) -> None:
        at_ns = one.at_ns[0]
        if at_ns < self._given_ns:
            at_ns = one.at_ns[0] = self._given_ns
            one.notes[0] = (*one.notes[0], TOO_LATE)
        elif at_ns < self._latest_ns:
            one.notes[0] = (*one.notes[0], BACKWARDS)
        self._latest_ns = max(self._latest_ns, at_ns)
        self._blocks += len(one.blocks[0])
        # Among those of one time it is the last: its line is.
        self.waiting.insert(bisect_right(self.waiting.at_ns, at_ns), one)

    def _ready(self) -> Batch:
        """Take those away that are to wait no longer."""
        ready = self.waiting.take(max(0, len(self.waiting) - _MOST_WAITING))
        self._blocks -= sum(map(len, ready.blocks))
        if self._blocks > _MOST_WAITING_BLOCKS:
            number = 0
            for count in map(len, self.waiting.blocks):
                if self._blocks <= _MOST_WAITING_BLOCKS:
                    break
                self._blocks -= count
                number += 1
            ready.extend(self.waiting.take(number))
        if ready:
            self._given_ns = max(self._given_ns, ready.at_ns[-1])
        return ready
