"""Runs the observers of a run around its driver, on its event loop, and lets them finish."""

from __future__ import annotations

import os
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from profiler.cli.observing import OTLP_HEADERS, with_variable
from profiler.clock import ClockAnchor
from profiler.measure.tokens import TokenCounter
from profiler.observers.in_flight import InFlight

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from profiler.cli.observing import Observing
    from profiler.load.driver import Driver
    from profiler.measure.records import Interaction, Record
    from profiler.observers.gateway.gateway import Gateway
    from profiler.observers.otlp.receiver import Receiver

    Ended = Callable[[Interaction, tuple[Record, ...]], None]


class Watching:
    """The observers of one run. `began` and `ended` are the driver's hooks; `then` is told too.

    `saw` is told of each record that an observer makes, `also` of those that it makes at a time.
    """

    def __init__(
        self,
        observing: Observing,
        *,
        upstream: str | None,
        then: Ended,
        saw: Callable[[Record], None],
        say: Callable[[str], None],
        also: Callable[..., None] = lambda *_: None,
    ) -> None:
        self._then = then
        self._saw = saw
        self._also = also
        self._observing = observing
        self._upstream = upstream
        self._say = say
        self._in_flight = InFlight()
        self._gateway: Gateway | None = None
        self._receiver: Receiver | None = None
        self._late: anyio.CancelScope | None = None
        self._is_waiting = False

    def began(self, trace_id: str, user: str, session: str) -> None:
        """Take note of an interaction that is about to be sent."""
        self._in_flight.begin(trace_id, user, session=session)

    def ended(self, interaction: Interaction, inside: tuple[Record, ...]) -> None:
        """Take note of an interaction's end."""
        trace_id = interaction.trace_id
        self._in_flight.end(trace_id)
        if self._gateway is not None:
            self._gateway.interaction_ended(trace_id)
        if self._receiver is not None:
            self._receiver.interaction_ended(trace_id, interaction.send_ns, interaction.end_ns)
        self._then(interaction, inside)

    @asynccontextmanager
    async def around(self, driver: Driver) -> AsyncIterator[None]:
        """Watch while the driver runs, then wait for what comes late.

        Raises `UsageError` for an address that is taken and a store that cannot be watched.
        """
        observing, put, also = self._observing, driver.recorder.put, self._also

        def record(*records: Record) -> None:
            put(*records)
            also(*records)
            for one in records:
                self._saw(one)

        counter = driver.recorder.counter
        assert isinstance(counter, TokenCounter)  # noqa: S101 - a run has this one, tests others
        async with AsyncExitStack() as stack:
            if observing.gateway is not None:
                from profiler.observers.gateway.gateway import running_gateway

                assert self._upstream is not None  # noqa: S101 - `check_fits` and the mock LLM
                self._gateway = gateway = await stack.enter_async_context(
                    running_gateway(
                        upstream=self._upstream,
                        record=record,
                        in_flight=self._in_flight,
                        counter=counter,
                        host=observing.gateway.host,
                        port=observing.gateway.port,
                        token=observing.token,
                    )
                )
                base_url = with_variable(gateway.openai_base_url, observing.token)
                self._say(f"gateway: OPENAI_BASE_URL={base_url}")
            if observing.otlp is not None:
                from profiler.observers.otlp.receiver import running_receiver

                self._receiver = receiver = await stack.enter_async_context(
                    running_receiver(
                        record=record,
                        in_flight=self._in_flight,
                        anchor=ClockAnchor.now(),
                        host=observing.otlp.host,
                        port=observing.otlp.port,
                        grpc_port=observing.otlp_grpc,
                        token=observing.otlp_token,
                        hold_s=observing.grace_s,
                    )
                )
                self._say(f"OTLP: OTEL_EXPORTER_OTLP_ENDPOINT={receiver.url}")
                if observing.otlp_token is not None:
                    self._say(f"OTLP: OTEL_EXPORTER_OTLP_HEADERS={OTLP_HEADERS}")
            async with _probing(observing.state, record):
                yield
            if self._gateway is not None:
                await self._gateway.drain()
            if self._receiver is not None:
                with anyio.CancelScope() as self._late:
                    await self._receiver.drain(observing.grace_s, on_wait=self._waiting)
                if self._late.cancelled_caught:
                    await self._receiver.drain(0.0)

    def hurry(self) -> None:
        """Wait no longer for what comes late."""
        if self._late is not None:
            self._late.cancel()

    def _waiting(self, interactions: int, left_s: float) -> None:
        if self._is_waiting:
            return  # one line is enough: it says how long at most
        self._is_waiting = True
        self._say(f"waiting up to {left_s:.0f} s for the spans of {interactions:,} interactions")


@asynccontextmanager
async def _probing(urls: tuple[str, ...], record: Callable[..., None]) -> AsyncIterator[None]:
    """Look at the stores' own statistics before and after."""
    if not urls:
        yield
        return
    from profiler.observers.state.select import probes_for

    probes = probes_for(urls, environ=os.environ)
    for probe in probes:
        await probe.begin()
    yield
    for probe in probes:
        record(await probe.finish())
        for note in probe.notes:
            record(note)
