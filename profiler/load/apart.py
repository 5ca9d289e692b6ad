"""Keeps processes that we started off the core on which the driver is about to send.

Linux runs who is sent something on the sender's core if it will: a mock that is sent the first
request of an instant then takes that core for a slice of 4 ms, and the others are late by as much.
No target on a machine of its own does that.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def keeping_apart(pids: Sequence[int]) -> Callable[[], None]:
    """Return what leaves these processes all cores but the one that calls it.

    It takes a fifth of a millisecond where the core is another one than last time. On systems
    other than Linux, where there is one core, and of processes that have ended, it does nothing.
    Source: sched_setaffinity(2), sched_getcpu(3).
    """
    if not pids or not hasattr(os, "sched_setaffinity"):
        return _nothing
    cores = os.sched_getaffinity(0)
    current = _current_core()
    if len(cores) == 1 or current is None:
        return _nothing
    last = -1

    def keep_apart() -> None:
        nonlocal last
        core = current()
        if core == last:
            return
        last = core
        for pid in pids:
            _allow(pid, cores - {core})

    return keep_apart


def _nothing() -> None:
    pass


def _current_core() -> Callable[[], int] | None:
    """Return what tells the core of the thread that calls it, None where nothing does."""
    try:
        found: Callable[[], int] = ctypes.CDLL(None).sched_getcpu
    except (OSError, AttributeError):
        return None
    return found if found() >= 0 else None


def _allow(pid: int, cores: set[int]) -> None:
    """Let all threads of a process run on these cores; those that they start will, too."""
    try:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), cores)
    except OSError:
        return  # it has ended, or may not be touched
