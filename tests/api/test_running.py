"""Runs from Python: real processes, the mock agent, files where they belong."""

from __future__ import annotations

import anyio
import pytest

import profiler
from profiler.errors import TargetUnusableError, UsageError
from profiler.measure import JOURNAL_NAME

pytestmark = pytest.mark.unmeasured

HELLO = {"name": "hello", "scenarios": [{"name": "a", "turns": [{"user": "hi"}]}]}


def test_a_mapping_is_a_workload_and_the_run_can_be_repeated_from_its_directory(tmp_path):
    out = tmp_path / "run"
    profile = profiler.run(HELLO, requests=6, warmup=0, users=3, mock_speed=50, out=out)
    assert (profile.sample.interactions, profile.sample.failed) == (6, {})
    assert profiler.load_profile(out) == profile
    assert str(out / "workload.yaml") in profile.run.argv
    again = profiler.run(
        out / "workload.yaml", requests=6, warmup=0, users=3, mock_speed=50, out=tmp_path / "again"
    )
    assert again.run.digests == profile.run.digests


async def test_other_tasks_go_on_while_a_run_is_awaited(tmp_path):
    ticks = 0

    async def tick():
        nonlocal ticks
        while True:
            await anyio.sleep(0.01)
            ticks += 1

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(tick)
        profile = await profiler.arun(
            HELLO, requests=2, warmup=0, mock_speed=50, out=tmp_path / "run"
        )
        tasks.cancel_scope.cancel()
    assert profile.sample.interactions == 2
    assert ticks > 3


async def test_a_run_that_is_cancelled_leaves_a_partial_profile_and_no_process(tmp_path):
    out = tmp_path / "run"
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(
            lambda: profiler.arun(
                HELLO, users=2, requests=100_000, warmup=0, mock_speed=50, out=out
            )
        )
        journal = out / JOURNAL_NAME
        with anyio.fail_after(60):
            while not journal.exists() or journal.read_bytes().count(b'"interaction"') < 5:  # noqa: ASYNC110
                await anyio.sleep(0.05)
        tasks.cancel_scope.cancel()
    profile = profiler.load_profile(out)
    assert profile.sample.partial
    assert profile.sample.interactions >= 5


def test_an_agent_that_is_not_there_is_said_to_be_unusable(tmp_path):
    with pytest.raises(TargetUnusableError, match="Connection refused"):
        profiler.run(HELLO, url="http://127.0.0.1:1/v1/chat/completions", out=tmp_path / "run")


def test_a_workload_that_is_wrong_leaves_no_directory(tmp_path):
    out = tmp_path / "run"
    with pytest.raises(UsageError, match="there is no scenario"):
        profiler.run({"scenarios": []}, out=out)
    assert not out.exists()


def test_a_module_of_the_callers_folder_does_not_stand_in_for_pythons(tmp_path, monkeypatch):
    (tmp_path / "random.py").write_text("raise SystemExit('not the one')\n")
    monkeypatch.chdir(tmp_path)
    profile = profiler.run(HELLO, requests=1, warmup=0, mock_speed=50)
    assert profile.sample.interactions == 1
    assert len([*(tmp_path / "results").iterdir()]) == 1
