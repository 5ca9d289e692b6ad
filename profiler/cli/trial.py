"""A trial of the harness: it drives null servers, in a process of its own, and says what it cost.

    python -m profiler.cli.trial URL DELAYED_URL FOLDER SCALE

What runs is what a run runs: the shard, with its recorder, its journal and its token counting, but
no profile. Each step prints a line of JSON when it is done; SCALE stretches all of them.
`ceiling` starts it and judges.
"""

from __future__ import annotations

import sys
import time
from contextlib import asynccontextmanager
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import orjson

from profiler.clock import NS_PER_S, cpu_ns, monotonic_ns
from profiler.load.event_loop import has_uvloop
from profiler.load.shard import ShardSpec, run_shard
from profiler.load.timer import make_timer
from profiler.measure.journal import read_journal
from profiler.measure.records import DriverSample, Interaction, Outcome, Phase
from profiler.workload.model import Workload

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from profiler.load.driver import Driver

USERS = 64
CLOSED_S = 1.2
LADDER = ((10, 1.6), (100, 1.0), (500, 0.8), (1_000, 0.8))
"""Arrivals a second, and for how many seconds."""

TRUE_NS = 20_000_000
"""How long the delayed null server takes for an answer."""

_TIMER_STEP_NS, _TIMER_STEPS = 1_000_000, 300


class Meter:
    """The companion of a driver: wall time from its start to its end, CPU from its start."""

    def __init__(self) -> None:
        self.began_ns = self.ended_ns = self.cpu_before_ns = self.interactions = 0

    @asynccontextmanager
    async def companion(self, driver: Driver) -> AsyncIterator[None]:
        """Be there while the driver runs."""
        self.began_ns, self.cpu_before_ns = monotonic_ns(), cpu_ns()
        yield
        self.ended_ns = monotonic_ns()
        self.interactions = driver.watch.ended


def closed_trial(url: str, journal: Path, scale: float, *, stream: bool) -> dict[str, Any]:
    """Let users send as fast as they can; say how many a second, and what CPU each took."""
    meter = Meter()
    load = {"users": USERS, "duration": CLOSED_S * scale, "warmup": USERS}
    run_shard(_spec(url, journal, load, stream=stream), meter.companion)
    used_ns = cpu_ns() - meter.cpu_before_ns  # with what the recorder had left to do
    wall_ns = meter.ended_ns - meter.began_ns
    if not meter.interactions:
        return {"per_s": None, "cpu_us": None}
    return {
        "per_s": meter.interactions * NS_PER_S / wall_ns,
        "cpu_us": used_ns / 1_000 / meter.interactions,
    }


def ladder_trial(url: str, journal: Path, scale: float) -> dict[str, Any]:
    """Send at rates that climb; say for each how late, and how wrong the latency is at its p99."""
    ladder = [(rate, seconds * scale) for rate, seconds in LADDER]
    steps = [{"rate": f"{rate}/s", "for": seconds} for rate, seconds in ladder]
    load = {
        "rate": {"steps": steps},
        "arrivals": "constant",
        "duration": sum(seconds for _, seconds in ladder),
    }
    run_shard(_spec(url, journal, load, stream=False), Meter().companion)
    records = list(read_journal(journal))
    samples = [record for record in records if isinstance(record, DriverSample)]
    measured = [
        record
        for record in records
        if isinstance(record, Interaction)
        and record.phase is Phase.MEASURE
        and record.outcome is Outcome.OK
        and record.intended_start_ns is not None
    ]
    return {
        "rates": _rungs(measured, ladder),
        "gc_pause_max_ms": max((s.gc_pause_max_ns or 0 for s in samples), default=0) / 1e6,
        "loop_lag_max_ms": max((s.loop_lag_max_ns for s in samples), default=0) / 1e6,
    }


def _rungs(measured: list[Interaction], ladder: list[tuple[int, float]]) -> list[dict[str, Any]]:
    starts_ns = [i.intended_start_ns or 0 for i in measured]
    first_ns = min(starts_ns, default=0)
    rungs, from_ns = [], 0
    for rate, seconds in ladder:
        until_ns = from_ns + round(seconds * NS_PER_S)
        inside = [
            interaction
            for interaction, start_ns in zip(measured, starts_ns, strict=True)
            if from_ns <= start_ns - first_ns < until_ns
        ]
        late_ns = p99(i.send_ns - (i.intended_start_ns or 0) for i in inside)
        took_ns = p99(i.end_ns - i.send_ns for i in inside)
        rungs.append(
            {
                "rate_per_s": rate,
                "sent": len(inside),
                "late_p99_ms": None if late_ns is None else late_ns / 1e6,
                "error_p99_ms": None if took_ns is None else (took_ns - TRUE_NS) / 1e6,
            }
        )
        from_ns = until_ns
    return rungs


def timer_trial() -> dict[str, Any]:
    """Wake every millisecond on an idle event loop; say how late at the 99th percentile."""

    async def lags() -> list[int]:
        timer, found = make_timer(), []
        try:
            for _ in range(_TIMER_STEPS):
                due_ns = monotonic_ns() + _TIMER_STEP_NS
                await timer.wait_until(due_ns)
                found.append(monotonic_ns() - due_ns)
        finally:
            timer.close()
        return found

    found = anyio.run(lags, backend_options={"use_uvloop": has_uvloop()})
    worst_ns = p99(found)
    return {"lag_p99_ms": None if worst_ns is None else worst_ns / 1e6}


def p99(values: Iterable[int]) -> int | None:
    """Return the smallest value that at least 99 % do not exceed; None of none."""
    ordered = sorted(values)
    return ordered[ceil(len(ordered) * 0.99) - 1] if ordered else None


def _spec(url: str, journal: Path, load: dict[str, Any], *, stream: bool) -> ShardSpec:
    plain = {
        "name": "doctor",
        "target": {"url": url, "model": "gpt-4o", "stream": stream, "timeout": "10s"},
        "load": load,
        "scenarios": [{"name": "question", "turns": [{"user": "Where is my order A-17?"}]}],
    }
    context = {"base": Path(), "environ": {}, "tables": {}}
    workload = Workload.model_validate(plain, context=context)
    return ShardSpec(workload=workload, url=url, run_id="doctor", argv=(), journal=journal)


def main(url: str, delayed_url: str, folder: str, scale_text: str) -> None:
    """Do every step and print what each found."""
    scale, into = float(scale_text), Path(folder)
    steps = (
        ("timer", timer_trial),
        ("plain", lambda: closed_trial(url, into / "plain.jsonl", scale, stream=False)),
        ("streamed", lambda: closed_trial(url, into / "streamed.jsonl", scale, stream=True)),
        ("ladder", lambda: ladder_trial(delayed_url, into / "ladder.jsonl", scale)),
    )
    for name, step in steps:
        began_s = time.monotonic()
        found = step()
        line = {"step": name, "took_s": time.monotonic() - began_s, **found}
        print(orjson.dumps(line).decode(), flush=True)  # noqa: T201 - to the process that waits


if __name__ == "__main__":
    main(*sys.argv[1:])
