"""Running several shards from the command line: stability over all, and what Ctrl-C does."""

from __future__ import annotations

import os
import signal
from types import SimpleNamespace
from typing import Any

import anyio

from profiler.cli import shards
from profiler.load.tally import Row
from profiler.measure.records import EndReason


class FakeConductor:
    def __init__(self) -> None:
        self.enough = 0
        self.reason: EndReason | None = None
        self.stopped = anyio.Event()

    def call_enough(self) -> None:
        self.enough += 1

    def stop(self, reason: EndReason) -> None:
        self.reason = reason
        self.stopped.set()


def rows(count: int, *, session: int = 0) -> list[Row]:
    return [(session + number, 0.25, 2, 100) for number in range(count)]


def judging(**quota: Any) -> tuple[Any, FakeConductor]:
    conductor: Any = FakeConductor()
    load: Any = SimpleNamespace(**{"requests": None, "sessions": None, **quota})
    return shards._judge(load, conductor), conductor


def test_numbers_that_are_stable_are_enough_once_the_quota_is_reached():
    note, conductor = judging(requests=200)
    note(rows(199))
    assert conductor.enough == 0
    note(rows(1, session=199))
    assert conductor.enough == 1


def test_a_quota_of_sessions_counts_those_of_all_shards():
    note, conductor = judging(sessions=150)
    note(rows(140))
    note(rows(100))  # more of the same sessions
    assert conductor.enough == 0
    note(rows(10, session=140))
    assert conductor.enough == 1


def test_numbers_that_are_not_stable_are_asked_for_again():
    note, conductor = judging(requests=10)
    note([(number, float(1 + number % 7 * 10), 1, 1) for number in range(20)])
    assert conductor.enough == 0
    note(rows(9, session=100))  # too few new ones to ask again
    assert conductor.enough == 0


async def test_the_first_ctrl_c_stops_the_shards_and_the_second_kills_them():
    conductor: Any = FakeConductor()
    killed = anyio.Event()
    executor: Any = SimpleNamespace(shutdown=lambda **options: killed.set())
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(shards._stop_on_signal, conductor, executor)
            await anyio.lowlevel.checkpoint()
            os.kill(os.getpid(), signal.SIGINT)
            await conductor.stopped.wait()
            assert conductor.reason is EndReason.INTERRUPTED
            assert not killed.is_set()
            os.kill(os.getpid(), signal.SIGINT)
            await killed.wait()
            tasks.cancel_scope.cancel()
