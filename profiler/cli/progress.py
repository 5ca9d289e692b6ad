"""The progress of a run on standard error: a bar in a terminal, nothing elsewhere."""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Self

import anyio

from profiler.measure.records import Phase

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType

    from rich.console import Console
    from rich.progress import TaskID

    from profiler.load.driver import Driver
    from profiler.load.tally import Tally
    from profiler.workload.model import Workload

_EVERY_S = 0.2
_FORCES_TERMINAL = ("FORCE_COLOR", "TTY_COMPATIBLE")
"""Variables by which rich is told what is a terminal."""


def shown(
    source: Driver | Callable[[], Standing], workload: Workload, *, quiet: bool
) -> AbstractAsyncContextManager[object]:
    """Return what shows the progress of a run while it is entered; rich is loaded only if needed.

    `source` as for `Progress`.
    """
    forced = any(name in os.environ for name in _FORCES_TERMINAL)
    if quiet or not (forced or sys.stderr.isatty()):
        return nullcontext()
    return Progress(source, workload)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How far a run is; `ended` and `failed` are those of its phase."""

    phase: Phase
    ended: int
    failed: int
    in_flight: int

    @classmethod
    def of_driver(cls, driver: Driver) -> Standing:
        """Return how far a run in one process is."""
        return cls(
            phase=driver.phase,
            ended=driver.budget.ended,
            failed=driver.budget.failed,
            in_flight=driver.watch.in_flight,
        )

    @classmethod
    def of_tally(cls, tally: Tally) -> Standing:
        """Return how far all shards of a run are together."""
        warming = tally.phase is Phase.WARMUP
        return cls(
            phase=tally.phase,
            ended=tally.warmup_ended if warming else tally.ended,
            failed=tally.warmup_failed if warming else tally.failed,
            in_flight=tally.in_flight,
        )


class Progress:
    """Shows how far a run is, while in its `async with` block.

    `source` is the driver, or says how far all the shards of the run are.
    """

    def __init__(
        self,
        source: Driver | Callable[[], Standing],
        workload: Workload,
        console: Console | None = None,
    ) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar

        self._standing = source if callable(source) else partial(Standing.of_driver, source)
        self._load = workload.load
        self._console = console if console is not None else Console(stderr=True)
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[state]}"),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
        )
        self._tasks = anyio.create_task_group()
        self._task: TaskID | None = None

    async def __aenter__(self) -> Self:
        """Start showing, where there is a terminal to show on."""
        await self._tasks.__aenter__()
        if self._console.is_terminal:
            self._task = self._bar.add_task("starting", total=None, state="")
            self._bar.start()
            self._tasks.start_soon(self._follow)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        """Stop showing."""
        self._tasks.cancel_scope.cancel()
        try:
            return await self._tasks.__aexit__(kind, exc, trace)
        finally:
            if self._task is not None:
                self._bar.stop()

    async def _follow(self) -> None:
        while True:
            self._show()
            await anyio.sleep(_EVERY_S)

    def _show(self) -> None:
        assert self._task is not None  # noqa: S101 - set before this task starts
        standing = self._standing()
        warming = standing.phase is Phase.WARMUP
        state = f"{standing.in_flight} in flight"
        if standing.failed:
            state += f", {standing.failed} failed"
        self._bar.update(
            self._task,
            description="warming up" if warming else "measuring",
            total=self._load.warmup if warming else self._total(),
            completed=standing.ended,
            state=state,
        )

    def _total(self) -> int | None:
        return self._load.requests
