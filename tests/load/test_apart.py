"""Mocks of a run stay off the core on which the driver sends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from profiler.load.apart import keeping_apart

needs_cores = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) == 1,
    reason="one core, or no Linux: nothing can be kept apart",
)


@pytest.fixture
def other():
    """Return a process with two threads that waits for its input to end."""
    code = "import sys, threading as t; t.Thread(target=sys.stdin.read).start(); print(flush=True)"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        yield process


@needs_cores
def test_a_process_leaves_one_core_and_has_all_the_others(other):
    cores = os.sched_getaffinity(0)
    keeping_apart([other.pid])()
    threads = [int(each.name) for each in Path(f"/proc/{other.pid}/task").iterdir()]
    assert len(threads) == 2
    allowed = [os.sched_getaffinity(thread) for thread in threads]
    assert allowed[0] == allowed[1] < cores
    assert len(allowed[0]) == len(cores) - 1


@needs_cores
def test_the_core_that_is_left_is_the_callers(other):
    cores = os.sched_getaffinity(0)
    try:
        for core in sorted(cores)[:2]:
            keep_apart = keeping_apart([other.pid])  # made where all cores may be used
            os.sched_setaffinity(0, {core})
            keep_apart()
            os.sched_setaffinity(0, cores)
            assert os.sched_getaffinity(other.pid) == cores - {core}
    finally:
        os.sched_setaffinity(0, cores)


@needs_cores
def test_a_process_that_has_ended_is_let_be(other):
    cores = os.sched_getaffinity(0)
    keep_apart = keeping_apart([other.pid])
    other.stdin.close()
    other.wait(60)
    keep_apart()
    assert os.sched_getaffinity(0) == cores


def test_without_a_process_nothing_is_done():
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    keeping_apart([])()
    assert cores is None or os.sched_getaffinity(0) == cores
