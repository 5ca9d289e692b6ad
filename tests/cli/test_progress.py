"""Progress shows in a terminal and nowhere else."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import anyio
from rich.console import Console

from profiler.cli.progress import Progress, Standing
from profiler.load.tally import Tally, together
from profiler.measure.records import Phase


def fakes(*, phase=Phase.MEASURE, failed=0) -> tuple[Any, Any]:
    driver = SimpleNamespace(
        phase=phase,
        watch=SimpleNamespace(in_flight=3),
        budget=SimpleNamespace(ended=40, failed=failed),
    )
    return driver, SimpleNamespace(load=SimpleNamespace(requests=120, warmup=50))


async def shown(driver: Any, workload: Any, *, terminal: bool) -> str:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=terminal, width=120)
    async with Progress(driver, workload, console):
        await anyio.sleep(0.05)
    return screen.getvalue()


async def test_a_terminal_sees_how_far_it_is():
    text = await shown(*fakes(failed=2), terminal=True)
    assert "measuring" in text
    assert "40/120" in text
    assert "3 in flight, 2 failed" in text


async def test_the_warm_up_counts_its_own():
    text = await shown(*fakes(phase=Phase.WARMUP), terminal=True)
    assert "warming up" in text
    assert "40/50" in text


async def test_all_shards_are_shown_as_one():
    _, workload = fakes()
    measuring = Tally(phase=Phase.MEASURE, in_flight=2, ended=10, failed=1, warmup_ended=9)
    warming = Tally(phase=Phase.WARMUP, in_flight=1, warmup_ended=30, warmup_failed=2)

    def standing(*tallies: Tally) -> Any:
        return lambda: Standing.of_tally(together(tallies))

    text = await shown(standing(measuring, measuring), workload, terminal=True)
    assert "20/120" in text
    assert "4 in flight, 2 failed" in text
    text = await shown(standing(measuring, warming), workload, terminal=True)
    assert "warming up" in text
    assert "39/50" in text


async def test_a_file_sees_nothing():
    assert await shown(*fakes(), terminal=False) == ""
