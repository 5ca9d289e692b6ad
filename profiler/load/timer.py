"""Waking at an instant of the monotonic clock, as exactly as the system lets us.

On Linux a timerfd wakes the event loop: the kernel's timer is absolute and fires within
microseconds, where the loop's own timers are rounded to a millisecond (uvloop) or late by one
(asyncio). Elsewhere: sleep until shortly before, then yield to the loop until it is time.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
from typing import TYPE_CHECKING, Protocol, Self

from profiler.clock import NS_PER_S, monotonic_ns

if TYPE_CHECKING:
    from types import TracebackType

    from profiler.clock import MonotonicNs

_CLOCK_MONOTONIC = 1
_NONBLOCK, _CLOEXEC = os.O_NONBLOCK, getattr(os, "O_CLOEXEC", 0)
_ABSOLUTE = 1
_SPIN_NS = 2_000_000
_EXPIRATIONS = 8


class Timer(Protocol):
    """Wakes one task at a time. `async with` or `close` ends it."""

    async def wait_until(self, due_ns: int, *, awake_ns: int = 0) -> None:
        """Return at the instant, or at once when it has passed, or when woken. May be cancelled.

        `awake_ns` before the instant the core is kept from sleeping: to wake takes it up to a
        millisecond, on virtual machines above all.
        """
        ...

    def wake(self) -> None:
        """Let the wait under way return."""
        ...

    def close(self) -> None:
        """Give back what it holds."""
        ...


class LoopTimer:
    """The portable one: right to the length of one turn of the event loop.

    `spin_ns` before the instant it stops trusting the loop's timers and lets the loop turn.
    """

    def __init__(self, clock: MonotonicNs = monotonic_ns, *, spin_ns: int = _SPIN_NS) -> None:
        self._clock = clock
        self._spin_ns = spin_ns
        self._waiter: asyncio.Future[bool] | None = None

    async def wait_until(self, due_ns: int, *, awake_ns: int = 0) -> None:  # noqa: ARG002 - it is
        """Return at the instant, or at once when it has passed, or when woken."""
        loop = asyncio.get_running_loop()
        is_woken = False
        while not is_woken and (left_ns := due_ns - self._clock()) > 0:
            self._waiter = waiter = loop.create_future()
            delay_s = max(0, left_ns - self._spin_ns) / NS_PER_S
            handle = loop.call_later(delay_s, _finish, waiter)
            try:
                is_woken = await waiter
            finally:
                handle.cancel()
                self._waiter = None

    def wake(self) -> None:
        """Let the wait under way return."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(True)

    def close(self) -> None:
        """Hold nothing."""


def _finish(waiter: asyncio.Future[bool]) -> None:
    if not waiter.done():
        waiter.set_result(False)


class _TimeSpec(ctypes.Structure):
    _fields_ = (("tv_sec", ctypes.c_long), ("tv_nsec", ctypes.c_long))


class _TimerSpec(ctypes.Structure):
    _fields_ = (("it_interval", _TimeSpec), ("it_value", _TimeSpec))


class TimerFd:
    """A Linux timerfd (timerfd_create(2)) that the event loop watches. Use within that loop."""

    def __init__(self, clock: MonotonicNs = monotonic_ns) -> None:
        self._clock = clock
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.timerfd_create(_CLOCK_MONOTONIC, _NONBLOCK | _CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._fd, self._fired)
        self._waiter: asyncio.Future[None] | None = None
        self._is_woken = False
        self._spec = _TimerSpec()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the descriptor. May be called twice."""
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    async def wait_until(self, due_ns: int, *, awake_ns: int = 0) -> None:
        """Return at the instant, or at once when it has passed, or when woken. May be cancelled."""
        self._is_woken = False
        await self._sleep_until(due_ns - awake_ns)
        while not self._is_woken and self._clock() < due_ns:  # noqa: ASYNC110 - to stay awake
            await asyncio.sleep(0)

    async def _sleep_until(self, due_ns: int) -> None:
        if due_ns <= self._clock():
            return
        value = self._spec.it_value
        value.tv_sec, value.tv_nsec = divmod(due_ns, NS_PER_S)
        if self._libc.timerfd_settime(self._fd, _ABSOLUTE, ctypes.byref(self._spec), None) != 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime")
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _fired(self) -> None:
        try:
            os.read(self._fd, _EXPIRATIONS)
        except BlockingIOError:
            return  # set anew in the meantime
        self._release()

    def wake(self) -> None:
        """Let the wait under way return."""
        self._is_woken = True
        self._release()

    def _release(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def make_timer(clock: MonotonicNs = monotonic_ns) -> Timer:
    """Return the best timer of this system. Call it on the event loop.

    A timerfd counts on the system's monotonic clock, so any other `clock` (a test's) takes the
    portable one, which then trusts the loop's timers.
    """
    if sys.platform == "linux" and clock is monotonic_ns:
        try:
            return TimerFd(clock)
        except (OSError, AttributeError):
            return LoopTimer(clock)
    return LoopTimer(clock, spin_ns=_SPIN_NS if clock is monotonic_ns else 0)
