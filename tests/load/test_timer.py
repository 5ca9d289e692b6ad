"""Timers wake at an instant, never before it."""

from __future__ import annotations

import asyncio
import os
import sys

import pytest

from profiler.clock import monotonic_ns
from profiler.load.timer import LoopTimer, TimerFd, make_timer
from tests.load.virtual_time import run_virtual

MS = 1_000_000

linux = pytest.mark.skipif(sys.platform != "linux", reason="timerfd is Linux's own")


@pytest.fixture(params=[pytest.param(TimerFd, marks=linux), LoopTimer])
def kind(request):
    return request.param


async def test_it_never_wakes_early(kind):
    timer = kind()
    try:
        for gap_ns in (50_000, 1 * MS, 3 * MS, 10 * MS):
            due_ns = monotonic_ns() + gap_ns
            await timer.wait_until(due_ns)
            assert monotonic_ns() >= due_ns
            due_ns = monotonic_ns() + gap_ns
            await timer.wait_until(due_ns, awake_ns=2 * MS)
            assert monotonic_ns() >= due_ns
    finally:
        timer.close()


async def test_an_instant_that_has_passed_is_no_wait(kind):
    timer = kind()
    await timer.wait_until(monotonic_ns() - 5)
    timer.close()


@pytest.mark.parametrize("awake_ns", [0, 7200 * 1000 * MS])
async def test_a_wait_can_be_cancelled_and_the_timer_used_again(kind, awake_ns):
    timer = kind()
    far_ns = monotonic_ns() + 3600 * 1000 * MS
    waiting = asyncio.ensure_future(timer.wait_until(far_ns, awake_ns=awake_ns))
    await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    due_ns = monotonic_ns() + 2 * MS
    await timer.wait_until(due_ns)
    assert monotonic_ns() >= due_ns
    timer.close()


@pytest.mark.parametrize("awake_ns", [0, 7200 * 1000 * MS])
async def test_a_wait_ends_early_when_woken(kind, awake_ns):
    timer = kind()
    far_ns = monotonic_ns() + 3600 * 1000 * MS
    asyncio.get_running_loop().call_later(0.01, timer.wake)
    await timer.wait_until(far_ns, awake_ns=awake_ns)
    assert monotonic_ns() < far_ns
    timer.wake()  # with nobody waiting: nothing happens
    timer.close()


@linux
async def test_a_timerfd_is_closed_once_and_leaves_no_descriptor():
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a count is all
    with TimerFd() as timer:
        await timer.wait_until(monotonic_ns() + MS)
    timer.close()
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 - a count is all


@linux
async def test_linux_gets_a_timerfd_and_a_foreign_clock_the_portable_timer():
    timer = make_timer()
    assert isinstance(timer, TimerFd)
    timer.close()
    assert isinstance(make_timer(lambda: 0), LoopTimer)


def test_the_portable_timer_is_exact_in_virtual_time():
    async def main(clock):
        due_ns = clock() + 1234 * MS
        await make_timer(clock).wait_until(due_ns)
        return clock() - due_ns

    assert 0 <= run_virtual(main) <= 1000
