"""A shard under a conductor: waits for the start, says how far it is, stops when it is told to."""

from __future__ import annotations

import platform
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio

from profiler.clock import NS_PER_S, ClockAnchor, monotonic_ns
from profiler.errors import AgentProfilerError
from profiler.load import glimpse
from profiler.load.lines import Lines
from profiler.load.meter import ENDS
from profiler.load.so_far import SoFar
from profiler.load.tally import Row, Tally, row_of, to_json
from profiler.measure.records import EndReason, Interaction, Outcome

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from profiler.load.conductor import Stand
    from profiler.load.driver import Driver
    from profiler.load.meter import Meter
    from profiler.measure.records import Record

CONNECT_TIMEOUT_S = 20.0
REPORT_EVERY_S = 0.2
GLIMPSE_EVERY_NS = NS_PER_S
LAST_WORDS_TIMEOUT_S = 5.0
_ROWS_IN_A_LINE = 256


class Conducted:
    """The companion of one shard's driver, and the hooks through which it knows what happens.

    The first failure is told at once, everything else a few times a second, and what only those who
    watch ask for once a second. Where the conductor goes away, the shard stops, its journal intact:
    nobody is left to stop it otherwise.
    """

    def __init__(
        self,
        stand: Stand,
        shard: int,
        *,
        tells_rows: bool = False,
        meter: Meter | None = None,
        before: int = 0,
    ) -> None:
        """`before`: measured interactions that the shard need not send again, being resumed."""
        self._stand = stand
        self._meter = meter
        self._shard = shard
        self._tells_rows = tells_rows
        self._rows: list[Row] = []
        self._tally = Tally(before=before)
        self._so_far = SoFar()
        self._glimpsed_ns = 0
        self._is_stable = False
        self._urgent = anyio.Event()
        self._go = anyio.Event()
        self._stopped = anyio.Event()
        self._start_wall_ns = 0

    def count(self, interaction: Interaction, inside: tuple[Record, ...]) -> None:
        """Take note of an interaction that ended."""
        outcome = interaction.outcome
        kind, detail = interaction.error_kind, interaction.error_detail
        self._tally.count(outcome, interaction.phase, kind if detail is None else detail)
        if self._meter is not None:
            self._meter.take(interaction, inside)
        self._so_far.take(interaction, inside)
        if outcome is not Outcome.OK:
            self._urgent.set()
        if self._tells_rows and (row := row_of(interaction, inside)) is not None:
            self._rows.append(row)

    def is_stable(self) -> bool:
        """Whether the conductor said that the numbers of all shards together are stable."""
        return self._is_stable

    @asynccontextmanager
    async def companion(self, driver: Driver) -> AsyncIterator[None]:
        """Connect, wait for the start, let the driver run, say that it ended.

        Raises `AgentProfilerError` where the conductor cannot be reached.
        """
        stand = self._stand
        try:
            with anyio.fail_after(CONNECT_TIMEOUT_S):
                stream = await anyio.connect_tcp(stand.host, stand.port)
        except (OSError, TimeoutError) as exc:
            raise AgentProfilerError(
                f"shard {self._shard + 1} on {platform.node()} cannot reach the conductor: "
                f"{str(exc) or 'no answer'}",
                where=f"{stand.host}:{stand.port}",
                fix="Give --conductor an address of the first machine that the workers can reach",
            ) from exc
        async with stream:
            lines = Lines(stream)
            await lines.send({"say": "hello", "token": stand.token, "shard": self._shard})
            if self._meter is not None:  # what was spent before may be all that may be
                await lines.send({"say": "tally", "tally": self._told(driver)})
            await lines.send({"say": "ready", "wall_ns": time.time_ns()})
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._listen, lines, driver)
                await self._wait_for_start()
                tasks.start_soon(self._report, lines, driver)
                yield
                tasks.cancel_scope.cancel()
            with anyio.move_on_after(LAST_WORDS_TIMEOUT_S):
                await self._send_rows(lines)
                await self._send_glimpses(lines, driver)
                await lines.send({"say": "ended", "tally": self._told(driver)})

    async def _wait_for_start(self) -> None:
        await self._go.wait()
        due_ns = ClockAnchor.now().monotonic_at(self._start_wall_ns)
        with anyio.move_on_after((due_ns - monotonic_ns()) / NS_PER_S):
            await self._stopped.wait()

    async def _listen(self, lines: Lines, driver: Driver) -> None:
        while (message := await lines.receive()) is not None:
            match message.get("say"):
                case "clock":
                    await lines.send({"say": "clock", "wall_ns": time.time_ns()})
                case "start":
                    self._start_wall_ns = message["wall_ns"]
                    self._go.set()
                case "stable":
                    self._is_stable = True
                case "stop":
                    self._stop(driver, EndReason(message["reason"]))
        self._stop(driver, EndReason.INTERRUPTED)

    def _stop(self, driver: Driver, reason: EndReason) -> None:
        if reason in ENDS:
            driver.let_end(reason, None)
        else:
            driver.stop(reason)
        self._stopped.set()
        self._go.set()

    async def _report(self, lines: Lines, driver: Driver) -> None:
        has_failed = False
        while True:
            with anyio.move_on_after(REPORT_EVERY_S):
                if has_failed:
                    await anyio.sleep_forever()
                await self._urgent.wait()
                has_failed = True
            await self._send_rows(lines)
            await lines.send({"say": "tally", "tally": self._told(driver)})
            if monotonic_ns() - self._glimpsed_ns >= GLIMPSE_EVERY_NS:
                self._glimpsed_ns = monotonic_ns()
                await self._send_glimpses(lines, driver)

    async def _send_rows(self, lines: Lines) -> None:
        rows, self._rows = self._rows, []
        for first in range(0, len(rows), _ROWS_IN_A_LINE):
            await lines.send({"say": "rows", "rows": rows[first : first + _ROWS_IN_A_LINE]})

    async def _send_glimpses(self, lines: Lines, driver: Driver) -> None:
        for each in glimpse.glimpses(self._so_far, driver.watch):
            await lines.send({"say": "glimpse", "glimpse": glimpse.to_json(each)})

    def _told(self, driver: Driver) -> dict[str, Any]:
        self._tally.in_flight = driver.watch.in_flight
        self._tally.phase = driver.phase
        if self._meter is not None:
            self._tally.meter(self._meter.spent)
        return to_json(self._tally)
