"""What every way in has in common: bytes to spans in a thread, spans to the collector."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import anyio
import anyio.lowlevel
import anyio.to_thread

from profiler.observers.otlp.collector import Arrived
from profiler.observers.otlp.decode import PROTOBUF, decode, unpacked
from profiler.observers.otlp.dialects import sighting

if TYPE_CHECKING:
    from profiler.observers.otlp.collector import Collector
    from profiler.observers.otlp.decode import RefusedError

_THREADS = 2
_SLICE = 2000
_ASGI_EVENT = "asgi.event.type"  # one span for each chunk of a streamed answer, and nothing in it


class _Read(NamedTuple):
    arrived: list[Arrived]
    invalid: int


def read(body: bytes, media: str = PROTOBUF, encoding: str = "") -> _Read:
    """Return what a request's body says. Raises `RefusedError`, and nothing else."""
    batch = decode(unpacked(body, encoding), media)
    arrived = [
        Arrived(span.trace_id, sighting(span))
        for span in batch.spans
        if _ASGI_EVENT not in span.attributes
    ]
    return _Read(arrived, batch.invalid)


class Intake:
    """Hands requests on to a collector. One event loop; the reading is done in threads."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        self._threads = anyio.CapacityLimiter(_THREADS)

    async def traces(self, body: bytes, media: str = PROTOBUF, encoding: str = "") -> int:
        """Take a request with spans; returns how many of them were invalid.

        Raises `RefusedError` for a request that is wrong as a whole; the caller tells `refused`.
        """
        arrived, invalid = await anyio.to_thread.run_sync(
            read, body, media, encoding, limiter=self._threads
        )
        for start in range(0, len(arrived), _SLICE):
            self._collector.add(arrived[start : start + _SLICE])
            await anyio.lowlevel.checkpoint()
        self._collector.notes.add("invalid_span", invalid)
        return invalid

    def ignored(self, signal: str) -> None:
        """Count a request with logs or metrics."""
        self._collector.notes.add(f"{signal}_ignored")

    def no_token(self) -> None:
        """Count a request without the receiver's token."""
        self._collector.notes.add("no_token")

    def refused(self, error: RefusedError) -> None:
        """Count a request that was not taken."""
        self._collector.notes.add(error.kind, example=f"First: {error.message}")
