"""A run in this process: what is told of it while it goes, who watches it, what stops it."""

from __future__ import annotations

import signal
from contextlib import asynccontextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio

from profiler.cli.progress import Form, shown
from profiler.cli.standing import DriverStanding
from profiler.clock import NS_PER_S, ClockAnchor, monotonic_ns
from profiler.load.apart import keeping_apart
from profiler.load.resume import ended_before
from profiler.load.shard import Hooks, RunEnd, run_shard
from profiler.load.so_far import SoFar
from profiler.load.tally import row_of
from profiler.measure.records import EndReason, Interaction

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from profiler.cli.exporting import Exporter
    from profiler.cli.mocks import Route
    from profiler.cli.run_options import RunOptions
    from profiler.cli.watching import Ended, Watching
    from profiler.load.driver import Driver
    from profiler.load.meter import Meter
    from profiler.load.shard import Resumption, ShardSpec
    from profiler.measure.records import Record
    from profiler.profile.stability import RunningStability


def run_alone(
    spec: ShardSpec, options: RunOptions, route: Route, resumption: Resumption | None
) -> RunEnd:
    """Run it all here, until it has ended."""
    stability = _stability() if options.until_stable else None
    if stability is not None and resumption is not None:
        judge = _feeder(stability, None)
        for ended in ended_before(spec.journal, frozenset(resumption.reached.unfinished)):
            judge(*ended)
    so_far = SoFar(is_observed=bool(options.observing.names))
    feed = _feeder(stability, so_far if options.form is not Form.NOTHING else None)
    exporter = _exporter(options)
    if exporter is not None:
        feed = _both(exporter.ended, feed)
    hooks = Hooks(
        on_interaction=feed,
        is_stable=(lambda: True) if stability is None else lambda: not stability.unstable(),
        before_instant=keeping_apart(route.mock_pids),
    )
    watching = _watching(options, route.upstream, feed, _seen_by(so_far, options.meter), exporter)
    if watching is not None:
        hooks = replace(hooks, on_start=watching.began, on_interaction=watching.ended)
    end = run_shard(
        spec,
        lambda driver: _watched(driver, options, so_far, watching, exporter),
        hooks,
        resumption,
    )
    return RunEnd(reason=end.reason, detail=end.detail, answered=end.answered)


def _exporter(options: RunOptions) -> Exporter | None:
    """Return what shows the run's metrics to others, None where nobody is to see them."""
    if not options.exporting.is_on:
        return None
    from profiler.cli.exporting import Exporter

    return Exporter(options.exporting, options.observing, say=_sayer(options))


def _sayer(options: RunOptions) -> Callable[[str], None]:
    from rich.console import Console

    return Console(stderr=True, quiet=options.quiet, style="dim", highlight=False).print


def _both(first: Ended, second: Ended) -> Ended:
    def ended(interaction: Interaction, inside: tuple[Record, ...]) -> None:
        first(interaction, inside)
        second(interaction, inside)

    return ended


def _seen_by(so_far: SoFar, meter: Meter | None) -> Callable[[Record], None]:
    """Return who is told of what observers record."""
    if meter is None:
        return so_far.see

    def see(record: Record) -> None:
        so_far.see(record)
        meter.see(record)

    return see


def _watching(
    options: RunOptions,
    upstream: str | None,
    then: Ended,
    saw: Callable[[Record], None],
    exporter: Exporter | None,
) -> Watching | None:
    """Return what runs the observers, None for a run that is watched from outside only."""
    if not options.observing.names:
        return None
    from profiler.cli.watching import Watching

    say = _sayer(options)
    also = (lambda *_: None) if exporter is None else exporter.take
    return Watching(options.observing, upstream=upstream, then=then, saw=saw, say=say, also=also)


@asynccontextmanager
async def _watched(
    driver: Driver,
    options: RunOptions,
    so_far: SoFar,
    watching: Watching | None,
    exporter: Exporter | None,
) -> AsyncIterator[None]:
    """Start what watches, wait for the start, show progress, and stop the driver on Ctrl-C."""
    around = nullcontext() if watching is None else watching.around(driver)
    exported = nullcontext() if exporter is None else exporter.around()
    tell = DriverStanding(driver, options.workload, so_far, until_stable=options.until_stable)
    progress = shown(tell, options.form, options.events)
    async with anyio.create_task_group() as tasks:
        waiting = anyio.CancelScope()
        tasks.start_soon(_stop_on_signal, driver, waiting, watching)
        async with exported, around, progress:
            with waiting:
                await _sleep_until(options.split.start_wall_ns)
            yield
        tasks.cancel_scope.cancel()


async def _stop_on_signal(
    driver: Driver, waiting: anyio.CancelScope, watching: Watching | None
) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            driver.stop(EndReason.INTERRUPTED)
            waiting.cancel()
            if watching is not None:
                watching.hurry()


async def _sleep_until(wall_ns: int | None) -> None:
    if wall_ns is not None:
        left_ns = ClockAnchor.now().monotonic_at(wall_ns) - monotonic_ns()
        await anyio.sleep(max(0, left_ns) / NS_PER_S)


def _stability() -> RunningStability:
    from profiler.profile.stability import RunningStability

    return RunningStability()


def _feeder(stability: RunningStability | None, so_far: SoFar | None) -> Ended:
    if stability is None:
        return so_far.take if so_far is not None else lambda *_: None

    def feed(interaction: Interaction, inside: tuple[Record, ...]) -> None:
        if so_far is not None:
            so_far.take(interaction, inside)
        row = row_of(interaction, inside)
        if row is not None:
            _, latency_s, llm_calls, input_tokens = row
            stability.add(
                session=interaction.session,
                latency_s=latency_s,
                llm_calls=llm_calls,
                input_tokens=input_tokens,
            )

    return feed
