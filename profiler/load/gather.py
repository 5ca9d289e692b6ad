"""A run split into shards and gathered again, on whatever an `Executor` runs things on.

Nothing here knows whether that is a process of this machine or a cluster.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import zlib
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from profiler import __version__
from profiler.errors import AgentProfilerError, JournalError, UsageError
from profiler.load.conducted import Conducted
from profiler.load.plan import Share
from profiler.load.resume import taken_up
from profiler.load.shard import Hooks, RunEnd, ShardEnd, ShardSpec, run_shard
from profiler.measure import JOURNAL_NAME
from profiler.measure.records import EndReason, Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Executor, Future

    from profiler.load.conductor import Conductor, Stand
    from profiler.measure.reached import Reached

READY_WITHIN_S = 60.0
"""How long a shard may take from being submitted to being ready to start."""

GRACE_S = 5.0
"""How long the result of a shard is waited for after it hung up without having ended."""

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardTask:
    """One shard as it is sent to where it runs: all that it needs, secrets included.

    `brings_journal`: it runs on another machine, and its journal comes back in its result. `make`
    is applied to the closed journal there, and its result comes back too. `reached`: how far the
    shard came, where it is resumed; None: it begins.
    """

    spec: ShardSpec
    stand: Stand
    brings_journal: bool
    make: Callable[[Path], bytes] | None = None
    reached: Reached | None = None
    tool_version: str = __version__


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardResult:
    """How a shard ended, and what it brings: its journal (zlib) where asked to, what was made."""

    end: ShardEnd
    journal: bytes | None
    made: bytes | None


def play(task: ShardTask) -> ShardResult:
    """Run one shard to its end. This is what an executor is given; blocks.

    Raises `AgentProfilerError` for a shard that could not start.
    """
    if task.tool_version != __version__:
        raise UsageError(
            f"a worker has agent-profiler {__version__}, this is {task.tool_version}",
            fix="Install the same version on both",
        )
    spec, reached = task.spec, task.reached
    conducted = Conducted(
        task.stand,
        spec.share.index,
        tells_rows=spec.until_stable,
        meter=spec.meter,
        before=0 if reached is None else reached.phases[Phase.MEASURE].sent,
    )
    hooks = Hooks(on_interaction=conducted.count, is_stable=conducted.is_stable)
    with _journal(task) as journal:
        resumption = None
        if reached is not None:
            resumption = taken_up(journal, reached, fsync=spec.fsync, meter=spec.meter)
        end = run_shard(replace(spec, journal=journal), conducted.companion, hooks, resumption)
        made = None
        if task.make is not None and _is_worth_it(end):
            with suppress(AgentProfilerError):  # who gathers makes it again, and tells
                made = task.make(journal)
        packed = _pack(journal) if task.brings_journal else None
    return ShardResult(end=end, journal=packed, made=made)


def _is_worth_it(end: ShardEnd) -> bool:
    """Say whether there is anything to make of a journal: not where nothing ever answered."""
    if end.reason is EndReason.ERROR_LIMIT:
        return end.answered
    return end.reason is not EndReason.JOURNAL_FAILED


@contextmanager
def _journal(task: ShardTask) -> Iterator[Path]:
    if not task.brings_journal:
        yield task.spec.journal
        return
    folder = Path(tempfile.mkdtemp(prefix="agent-profiler-"))
    try:
        yield folder / JOURNAL_NAME
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _pack(file: Path) -> bytes:
    packer = zlib.compressobj(1)
    with file.open("rb") as stream:
        packed = [packer.compress(chunk) for chunk in iter(lambda: stream.read(_CHUNK), b"")]
    return b"".join((*packed, packer.flush()))


def unpack(packed: bytes, file: Path) -> None:
    """Write a journal that came back in a result. Raises `JournalError` where it cannot be."""
    unpacker = zlib.decompressobj()
    try:
        with file.open("xb") as stream:
            for first in range(0, len(packed), _CHUNK):
                stream.write(unpacker.decompress(packed[first : first + _CHUNK]))
            stream.write(unpacker.flush())
    except OSError as exc:
        raise JournalError(
            f"cannot write the journal of a shard: {exc.strerror}",
            where=str(file),
            fix="Free some space, or give --out a directory that is writable, and run again",
        ) from exc


def tasks_of(
    spec: ShardSpec,
    shards: int,
    stand: Stand,
    *,
    journal_of: Callable[[int], Path],
    brings_journal: bool,
    make: Callable[[Path], bytes] | None = None,
    reached: Sequence[Reached | None] | None = None,
) -> list[ShardTask]:
    """Split a run: one task for each shard, in order. `reached`: how far each came before."""
    return [
        ShardTask(
            spec=replace(
                spec,
                share=Share(index=index, count=shards),
                journal=journal_of(index),
                texts=None if spec.texts is None else journal_of(index).with_name(spec.texts.name),
                judges_target=False,
            ),
            stand=stand,
            brings_journal=brings_journal,
            make=make,
            reached=None if reached is None else reached[index],
        )
        for index in range(shards)
    ]


class Gathering:
    """The shards of one run under way: starts them together, waits for all."""

    def __init__(
        self,
        executor: Executor,
        conductor: Conductor,
        *,
        function: Callable[[ShardTask], ShardResult] = play,
        on_result: Callable[[int, ShardResult], None] = lambda *_: None,
    ) -> None:
        self._executor = executor
        self._conductor = conductor
        self._function = function
        self._on_result = on_result
        self._ends: dict[int, ShardEnd] = {}
        self._lost: dict[int, BaseException] = {}
        self._problem: BaseException | None = None

    async def run(
        self,
        tasks: Sequence[ShardTask],
        *,
        ready_within_s: float = READY_WITHIN_S,
        start_wall_ns: int | None = None,
    ) -> RunEnd:
        """Submit the tasks, start the shards when all are ready, and wait until all have ended.

        A shard that is lost after the start is told in the result, and the others go on. One that
        cannot start ends the run: raises what it raised.
        """
        async with anyio.create_task_group() as waiting:
            for index, task in enumerate(tasks):
                future = self._executor.submit(self._function, task)
                waiting.start_soon(self._wait_for, index, future)
            try:
                await self._conductor.start(ready_within_s, start_wall_ns or 0)
            except AgentProfilerError as exc:
                self._problem = exc
                waiting.cancel_scope.cancel()
        if self._problem is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)
            raise self._problem
        return self._end()

    async def _wait_for(self, index: int, future: Future[ShardResult]) -> None:
        done = anyio.Event()
        loop = asyncio.get_running_loop()

        def tell(_: Future[ShardResult]) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(done.set)

        future.add_done_callback(tell)
        async with anyio.create_task_group() as either:
            either.start_soon(self._give_up, index, either.cancel_scope)
            await done.wait()
            either.cancel_scope.cancel()
        if not future.done():
            future.cancel()
            self._lose(index, AgentProfilerError("its connection was lost"))
            return
        self._take(index, future)

    async def _give_up(self, index: int, waiting: anyio.CancelScope) -> None:
        await self._conductor.gone(index)
        await anyio.sleep(GRACE_S)
        waiting.cancel()

    def _take(self, index: int, future: Future[ShardResult]) -> None:
        exc = future.exception() if not future.cancelled() else AgentProfilerError("cancelled")
        if exc is not None:
            self._lose(index, exc)
            return
        result = future.result()
        self._on_result(index, result)
        self._ends[index] = result.end
        if result.end.reason is EndReason.JOURNAL_FAILED:
            self._conductor.stop(EndReason.JOURNAL_FAILED, result.end.detail)

    def _lose(self, index: int, exc: BaseException) -> None:
        self._lost[index] = exc
        if not self._conductor.has_started and self._conductor.reason is None:
            self._problem = exc
            self._conductor.stop(EndReason.INTERRUPTED)

    def _end(self) -> RunEnd:
        lost = tuple(
            f"shard {index + 1} was lost: {exc}" for index, exc in sorted(self._lost.items())
        )
        answered = self._conductor.tally.answered
        answered = answered or any(end.answered for end in self._ends.values())
        if self._conductor.reason is not None:
            reason, detail = self._conductor.reason, self._conductor.detail
        else:
            reason, detail = _latest([end for _, end in sorted(self._ends.items())])
        return RunEnd(reason=reason, detail=detail, answered=answered, lost=lost)


_BY_WEIGHT = (EndReason.COMPLETED, EndReason.DURATION, EndReason.MAX_REQUESTS)


def _latest(ends: list[ShardEnd]) -> tuple[EndReason, str | None]:
    """Return the reason of shards that ended by themselves: of several the weightiest."""
    if not ends:
        return EndReason.INTERRUPTED, None

    def weight(end: ShardEnd) -> int:
        return _BY_WEIGHT.index(end.reason) if end.reason in _BY_WEIGHT else len(_BY_WEIGHT)

    worst = max(ends, key=weight)
    return worst.reason, worst.detail
