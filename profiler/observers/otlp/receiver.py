"""The OTLP receiver of a run: where spans come in, and what it is told and asked."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from profiler.admission import admitting
from profiler.clock import monotonic_ns
from profiler.observers.otlp import grpc_receiver, http_receiver
from profiler.observers.otlp.collector import Collector
from profiler.observers.otlp.intake import Intake
from profiler.serving import listening

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from profiler.clock import ClockAnchor, MonotonicNs
    from profiler.observers.in_flight import InFlight

GRACE_S = 6.0
"""How long to wait for spans after an interaction's end: exporters send every 5 s."""


class Receiver:
    """A receiver that listens: `url` for OTLP over HTTP, `grpc_address` over gRPC or None."""

    def __init__(self, collector: Collector, url: str, grpc_address: str | None) -> None:
        self.url = url
        self.grpc_address = grpc_address
        self._collector = collector

    def interaction_ended(self, trace_id: str, send_ns: int, end_ns: int) -> None:
        """Take note that an interaction is over; times on the harness's monotonic clock."""
        self._collector.ended(trace_id, send_ns, end_ns)

    async def drain(
        self, grace_s: float = GRACE_S, on_wait: Callable[[int, float], None] | None = None
    ) -> None:
        """Wait for spans that are missing, then write what there is and the notes.

        Waits until every interaction is complete or has been over for `grace_s`. Tells
        `on_wait` how many are missing, and the seconds that are left at most.
        """
        await self._collector.drain(grace_s, on_wait)


@asynccontextmanager
async def running_receiver(
    *,
    record: Callable[..., None],
    in_flight: InFlight,
    anchor: ClockAnchor,
    host: str = "127.0.0.1",
    port: int = 4318,
    grpc_port: int | None = None,
    token: str | None = None,
    clock: MonotonicNs = monotonic_ns,
    hold_s: float = GRACE_S,
) -> AsyncIterator[Receiver]:
    """Receive OTLP while the block runs; records go to `record(*records)`, on this event loop.

    Complete interactions are written `hold_s` after their end, the others by `drain`. Ports may be
    0; without `grpc_port` there is no gRPC. With a `token` only who sends it is listened to. Raises
    `UsageError` for a port that is taken, and for a host beyond loopback without a token.
    """
    collector = Collector(
        record=record, in_flight=in_flight, anchor=anchor, clock=clock, hold_s=hold_s
    )
    intake = Intake(collector)
    async with AsyncExitStack() as stack:
        app = admitting(
            http_receiver.application(intake), host, token, where="OTLP", refused=intake.no_token
        )
        url = await stack.enter_async_context(listening(app, host, port))
        grpc_address = None
        if grpc_port is not None:
            grpc_address = await stack.enter_async_context(
                grpc_receiver.serving(intake, host, grpc_port, token=token)
            )
        yield Receiver(collector, url, grpc_address)
