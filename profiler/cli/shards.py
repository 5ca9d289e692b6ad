"""A run over several shards: conducts them, shows how far they are, keeps what they bring."""

from __future__ import annotations

import signal
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import anyio

from profiler.cli.files import PROFILE_NAME, write_whole
from profiler.cli.standing import TallyStanding
from profiler.load.conductor import Conductor
from profiler.load.gather import Gathering, tasks_of, unpack
from profiler.load.meter import NO_LIMIT
from profiler.load.resume import ended_before
from profiler.load.tally import row_of
from profiler.measure import JOURNAL_NAME
from profiler.measure.records import EndReason

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from concurrent.futures import Executor
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from profiler.cli.crew import Crew
    from profiler.cli.standing import Standing
    from profiler.load.gather import ShardResult
    from profiler.load.shard import RunEnd, ShardSpec
    from profiler.load.tally import Row
    from profiler.measure.reached import Reached
    from profiler.workload.model import Load

    Show = Callable[[Callable[[], Standing]], AbstractAsyncContextManager[object]]


def journal_profile(journal: Path) -> bytes:
    """Return a shard's profile as JSON: what a worker makes of its journal, beside the others."""
    from profiler.profile.build import build_profile
    from profiler.profile.model import dump_profile

    return dump_profile(build_profile(journal))


def run_shards(
    spec: ShardSpec,
    crew: Crew,
    run_dir: Path,
    *,
    start_wall_ns: int | None,
    show: Show,
    reached: Sequence[Reached | None] | None = None,
) -> RunEnd:
    """Run the shards of `spec` in `run_dir`, until all have ended.

    With `reached` they go on from there, each with its own journal; those that had ended send
    nothing.

    `show` shows how far all of them are. Leaves `shards/<k>/journal.jsonl` and, of those that ended
    in order, `profile.json` beside it. Raises `AgentProfilerError` where a shard cannot start.
    """
    from profiler.load.event_loop import has_uvloop

    conducting = partial(
        _conduct, spec, crew, run_dir, start_wall_ns=start_wall_ns, show=show, reached=reached
    )
    return anyio.run(conducting, backend_options={"use_uvloop": has_uvloop()})


async def _conduct(
    spec: ShardSpec,
    crew: Crew,
    run_dir: Path,
    *,
    start_wall_ns: int | None,
    show: Show,
    reached: Sequence[Reached | None] | None,
) -> RunEnd:
    load = spec.workload.load
    limits = NO_LIMIT if spec.meter is None else spec.meter.limits
    conductor = Conductor(crew.shards, error_limit=load.error_limit, limits=limits)
    if spec.until_stable:
        conductor.on_rows = _judge(load, conductor)
        for index, before in enumerate(reached or ()):
            if before is not None:
                conductor.on_rows(_rows_before(_folder(run_dir, index), before))

    def journal_of(index: int) -> Path:
        folder = _folder(run_dir, index)
        folder.mkdir(parents=True, exist_ok=True)
        return folder / JOURNAL_NAME

    def keep(index: int, result: ShardResult) -> None:
        folder = _folder(run_dir, index)
        if result.journal is not None:
            unpack(result.journal, folder / JOURNAL_NAME)
        if result.made is not None:
            write_whole(folder / PROFILE_NAME, result.made)

    async with conductor.standing(crew.host, crew.port, listen=crew.listen) as stand:
        tasks = tasks_of(
            spec,
            crew.shards,
            stand,
            journal_of=journal_of,
            brings_journal=crew.is_elsewhere,
            make=journal_profile,
            reached=reached,
        )
        gathering = Gathering(crew.executor, conductor, on_result=keep)
        standing = TallyStanding(spec.workload, until_stable=spec.until_stable)
        progress = show(lambda: standing(conductor.tally, conductor.overview))
        async with _watched(conductor, crew.executor, progress):
            return await gathering.run(tasks, start_wall_ns=start_wall_ns)


def _rows_before(folder: Path, reached: Reached) -> list[Row]:
    """Return what the shard's measured interactions say of stability that need not be sent."""
    ended = ended_before(folder / JOURNAL_NAME, frozenset(reached.unfinished))
    rows = (row_of(interaction, inside) for interaction, inside in ended)
    return [row for row in rows if row is not None]


def _folder(run_dir: Path, index: int) -> Path:
    from profiler.measure import SHARDS_NAME

    return run_dir / SHARDS_NAME / str(index + 1)


@asynccontextmanager
async def _watched(
    conductor: Conductor, executor: Executor, progress: AbstractAsyncContextManager[object]
) -> AsyncIterator[None]:
    """Show the progress of all shards, and stop them on Ctrl-C; on a second one, kill them."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_stop_on_signal, conductor, executor)
        async with progress:
            yield
        tasks.cancel_scope.cancel()


async def _stop_on_signal(conductor: Conductor, executor: Executor) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            if conductor.reason is EndReason.INTERRUPTED:
                executor.shutdown(wait=False, cancel_futures=True)
            conductor.stop(EndReason.INTERRUPTED)


def _judge(load: Load, conductor: Conductor) -> Callable[[list[Row]], None]:
    """Return what takes note of interactions, and says when their numbers are stable.

    Asked as one process would ask itself: of all that was measured, once the quota is reached.
    """
    from profiler.profile.stability import RunningStability

    stability = RunningStability()
    sessions: set[int] = set()
    seen = asked_at = 0

    def note(rows: list[Row]) -> None:
        nonlocal seen, asked_at
        for session, latency_s, llm_calls, input_tokens in rows:
            sessions.add(session)
            stability.add(str(session), latency_s, llm_calls, input_tokens)
        seen += len(rows)
        enough = seen >= (load.requests or 0) and len(sessions) >= (load.sessions or 0)
        if enough and seen - asked_at >= _ASK_EVERY:
            asked_at = seen
            if not stability.unstable():
                conductor.call_enough()

    return note


_ASK_EVERY = 10
