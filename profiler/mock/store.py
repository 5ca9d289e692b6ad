"""Where an agent keeps its sessions. The seam is one small protocol: a key, some bytes."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from profiler.mock.timing import Lognormal, random_for

if TYPE_CHECKING:
    from profiler.mock.timing import Pace

_OPERATION = Lognormal(median_s=0.0003, p95_s=0.0008)
DEFAULT_MAX_SESSIONS = 100_000
DEFAULT_MAX_BYTES = 512 * 1024 * 1024


@dataclass(slots=True)
class OperationCount:
    """What a store really did."""

    reads: int = 0
    writes: int = 0


class StateStore(Protocol):
    """A state store as the agent uses it. Every operation is counted where it is carried out."""

    name: str
    total: OperationCount

    async def get(self, key: str, tally: OperationCount) -> bytes | None:
        """Read a value, and count the read in `tally` and `total`. None: there is none."""
        ...

    async def set(self, key: str, value: bytes, tally: OperationCount) -> None:
        """Write a value, and count the write in `tally` and `total`."""
        ...


class MemoryStore:
    """Sessions in memory; beyond either bound the least recently used ones are forgotten."""

    name = "memory"

    def __init__(
        self,
        *,
        pace: Pace,
        seed: int,
        max_sessions: int = DEFAULT_MAX_SESSIONS,
        max_bytes: int = DEFAULT_MAX_BYTES,
    ) -> None:
        self.total = OperationCount()
        self._pace = pace
        self._seed = seed
        self._max_sessions = max_sessions
        self._max_bytes = max_bytes
        self._bytes = 0
        self._values: OrderedDict[str, bytes] = OrderedDict()

    async def get(self, key: str, tally: OperationCount) -> bytes | None:
        """Read a value and mark it as used."""
        await self._wait("get", key, tally.reads)
        tally.reads += 1
        self.total.reads += 1
        value = self._values.get(key)
        if value is not None:
            self._values.move_to_end(key)
        return value

    async def set(self, key: str, value: bytes, tally: OperationCount) -> None:
        """Write a value, and forget the least recently used sessions where there are too many."""
        await self._wait("set", key, tally.writes)
        tally.writes += 1
        self.total.writes += 1
        self._bytes += len(value) - len(self._values.pop(key, b""))
        self._values[key] = value
        while len(self._values) > self._max_sessions or self._bytes > self._max_bytes:
            _, forgotten = self._values.popitem(last=False)
            self._bytes -= len(forgotten)

    async def _wait(self, kind: str, key: str, number: int) -> None:
        if not self._pace.instant:
            random = random_for(kind, self._seed, key, number)
            await self._pace.sleep_s(_OPERATION.draw_s(random))
