"""Splitting a run over an executor and gathering what it brings, whatever the executor is."""

from __future__ import annotations

import zlib
from concurrent.futures import Executor, Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from profiler.errors import AgentProfilerError, JournalError, UsageError
from profiler.load import gather
from profiler.load.conductor import Stand
from profiler.load.gather import Gathering, ShardResult, ShardTask, play, tasks_of, unpack
from profiler.load.plan import Share
from profiler.load.shard import ShardEnd, ShardSpec, run_shard
from profiler.measure.journal import read_journal
from profiler.measure.records import End, EndReason, Run
from profiler.workload.load import load_workload

WAIT_S = 20
STAND = Stand(host="127.0.0.1", port=1, token="t")


def spec_in(folder: Path, load: str = "users: 2") -> ShardSpec:
    file = folder / "w.yaml"
    file.write_text(f"name: x\nload: {{{load}}}\nscenarios: [{{name: a, turns: [{{user: hi}}]}}]\n")
    return ShardSpec(
        workload=load_workload(file),
        url="http://127.0.0.1:9/",
        run_id="run",
        argv=(),
        journal=folder / "journal.jsonl",
    )


def result(reason: EndReason = EndReason.COMPLETED, detail: str | None = None) -> ShardResult:
    end = ShardEnd(reason=reason, detail=detail, answered=True)
    return ShardResult(end=end, journal=None, made=None)


class ByHand(Executor):
    """Futures that the test completes."""

    def __init__(self) -> None:
        self.futures: list[Future[Any]] = []
        self.is_shut = False

    def submit(self, fn, /, *args, **kwargs):
        self.futures.append(Future())
        return self.futures[-1]

    def shutdown(self, wait=True, *, cancel_futures=False):
        self.is_shut = True


class FakeConductor:
    """Starts at once, unless it `fails`; a test says who is gone."""

    def __init__(self, shards: int, fails: AgentProfilerError | None = None) -> None:
        self.has_started = False
        self.reason: EndReason | None = None
        self.detail: str | None = None
        self.tally = SimpleNamespace(answered=False)
        self.left = [anyio.Event() for _ in range(shards)]
        self.go = anyio.Event()
        self.fails = fails

    async def start(self, within_s, wall_ns):
        await self.go.wait()
        if self.fails is not None:
            raise self.fails
        self.has_started = self.reason is None

    def stop(self, reason, detail=None):
        if self.reason is None:
            self.reason, self.detail = reason, detail
            self.go.set()

    async def gone(self, shard):
        await self.left[shard].wait()


async def gathered(conductor, executor, then, *, shards=2):
    """Gather while `then` plays the shards."""
    brought: list[tuple[int, ShardResult]] = []
    gathering = Gathering(executor, conductor, on_result=lambda *both: brought.append(both))
    ends: list[Any] = []

    async def run() -> None:
        ends.append(await gathering.run([None] * shards))

    with anyio.fail_after(WAIT_S):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            while len(executor.futures) < shards:
                await anyio.lowlevel.checkpoint()
            await then()
    return ends[0], brought


async def test_the_run_ends_as_its_shards_did_the_weightiest_reason_first():
    conductor, executor = FakeConductor(3), ByHand()

    async def then():
        conductor.go.set()
        for future, reason in zip(
            executor.futures,
            (EndReason.COMPLETED, EndReason.MAX_REQUESTS, EndReason.DURATION),
            strict=True,
        ):
            future.set_result(result(reason))

    end, brought = await gathered(conductor, executor, then, shards=3)
    assert (end.reason, end.answered, end.lost) == (EndReason.MAX_REQUESTS, True, ())
    assert sorted(index for index, _ in brought) == [0, 1, 2]


async def test_a_shard_that_is_lost_is_told_and_the_others_are_gathered():
    conductor, executor = FakeConductor(2), ByHand()

    async def then():
        conductor.go.set()
        await anyio.lowlevel.checkpoint()
        executor.futures[1].set_exception(AgentProfilerError("it was killed"))
        executor.futures[0].set_result(result())

    end, brought = await gathered(conductor, executor, then)
    assert end.lost == ("shard 2 was lost: it was killed",)
    assert [index for index, _ in brought] == [0]


async def test_a_shard_whose_result_never_comes_is_given_up(monkeypatch):
    monkeypatch.setattr(gather, "GRACE_S", 0)
    conductor, executor = FakeConductor(2), ByHand()

    async def then():
        conductor.go.set()
        conductor.left[0].set()
        executor.futures[1].set_result(result())

    end, _ = await gathered(conductor, executor, then)
    assert end.lost == ("shard 1 was lost: its connection was lost",)
    assert executor.futures[0].cancelled()


async def test_a_shard_that_cannot_start_ends_the_run_with_what_it_raised():
    conductor, executor = FakeConductor(2), ByHand()

    async def then():
        executor.futures[0].set_exception(UsageError("it cannot"))
        await conductor.go.wait()
        executor.futures[1].set_result(result(EndReason.INTERRUPTED))

    with pytest.RaisesGroup(pytest.RaisesExc(UsageError, match="it cannot")):
        await gathered(conductor, executor, then)
    assert conductor.reason is EndReason.INTERRUPTED
    assert executor.is_shut


async def test_shards_that_are_not_ready_are_left_behind():
    conductor, executor = FakeConductor(2, fails=AgentProfilerError("not ready")), ByHand()

    async def then():
        conductor.go.set()

    with pytest.RaisesGroup(pytest.RaisesExc(AgentProfilerError, match="not ready")):
        await gathered(conductor, executor, then)
    assert executor.is_shut


async def test_a_journal_that_cannot_be_written_stops_all():
    conductor, executor = FakeConductor(2), ByHand()

    async def then():
        conductor.go.set()
        await anyio.lowlevel.checkpoint()
        executor.futures[0].set_result(result(EndReason.JOURNAL_FAILED, "disk full"))
        while conductor.reason is None:  # noqa: ASYNC110 - another's state
            await anyio.sleep(0.001)
        executor.futures[1].set_result(result(EndReason.JOURNAL_FAILED))

    end, _ = await gathered(conductor, executor, then)
    assert (end.reason, end.detail) == (EndReason.JOURNAL_FAILED, "disk full")


async def test_a_run_of_which_nothing_came_back_was_interrupted():
    conductor, executor = FakeConductor(1), ByHand()

    async def then():
        conductor.go.set()
        await anyio.lowlevel.checkpoint()
        executor.futures[0].cancel()

    end, _ = await gathered(conductor, executor, then, shards=1)
    assert (end.reason, end.answered) == (EndReason.INTERRUPTED, False)
    assert end.lost == ("shard 1 was lost: cancelled",)


def test_each_shard_gets_its_share_and_leaves_the_verdict_to_the_conductor(tmp_path):
    spec = spec_in(tmp_path)
    tasks = tasks_of(
        spec, 3, STAND, journal_of=lambda index: tmp_path / str(index), brings_journal=False
    )
    assert [task.spec.share for task in tasks] == [Share(index=i, count=3) for i in range(3)]
    assert [task.spec.journal.name for task in tasks] == ["0", "1", "2"]
    assert not any(task.spec.judges_target for task in tasks)
    assert {task.spec.run_id for task in tasks} == {"run"}


def test_another_version_on_a_worker_is_refused(tmp_path):
    task = ShardTask(
        spec=spec_in(tmp_path), stand=STAND, brings_journal=False, tool_version="0.0.0"
    )
    with pytest.raises(UsageError, match=r"0\.0\.0.*same version"):
        play(task)


def test_a_shard_without_a_conductor_sends_nothing(tmp_path):
    task = ShardTask(spec=spec_in(tmp_path), stand=STAND, brings_journal=True)
    with pytest.raises(AgentProfilerError, match="cannot reach the conductor"):
        play(task)
    assert not (tmp_path / "journal.jsonl").exists()  # it ran elsewhere


def test_a_journal_comes_back_as_it_was(tmp_path):
    file = tmp_path / "journal.jsonl"
    file.write_bytes(b'{"event":"x"}\n' * 200_000)  # more than one chunk
    packed = gather._pack(file)
    assert zlib.decompress(packed) == file.read_bytes()
    assert len(packed) < 100_000
    unpack(packed, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == file.read_bytes()
    with pytest.raises(JournalError, match="cannot write the journal of a shard: File exists"):
        unpack(packed, tmp_path / "back")


def test_an_idle_shard_leaves_a_journal_that_says_that_it_offered_nothing(tmp_path):
    from dataclasses import replace

    spec = replace(spec_in(tmp_path), share=Share(index=4, count=5))
    end = run_shard(spec)
    assert (end.reason, end.answered) == (EndReason.COMPLETED, False)
    run, last = read_journal(tmp_path)
    assert isinstance(run, Run)
    assert isinstance(last, End)
    assert run.load["users"] == 0
    assert run.manifest == {"shard": 4, "shards": 5} | {
        key: value for key, value in run.manifest.items() if key not in {"shard", "shards"}
    }


def test_the_harness_leaves_the_interpreter_as_it_found_it(tmp_path):
    import gc
    import sys
    from dataclasses import replace

    before = sys.getswitchinterval()
    run_shard(replace(spec_in(tmp_path), share=Share(index=4, count=5)))
    assert sys.getswitchinterval() == before
    assert gc.get_freeze_count() == 0
