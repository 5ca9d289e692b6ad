"""Processes that a test started, found by a mark in their environment, whoever started them."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MARK = "AGENT_PROFILER_TEST_MARK"
DEADLINE_S = 60


def marked(mark: str, command: str = "") -> list[int]:
    """Return the ids of the processes that carry the mark and have `command` in their command."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environment, line = (folder / "environ").read_bytes(), (folder / "cmdline").read_bytes()
        except OSError:
            continue  # not ours, or gone by now
        if f"{MARK}={mark}".encode() in environment and command.encode() in line:
            found.append(int(folder.name))
    return sorted(found)


def wait_until(condition: Callable[[], object], what: str, *, every_s: float = 0.02) -> None:
    """Wait for a state, as long as it takes, up to a minute; look `every_s`."""
    deadline_s = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > deadline_s:
            pytest.fail(f"not in a minute: {what}")
        time.sleep(every_s)


@contextmanager
def no_orphans() -> Iterator[str]:
    """Yield a mark for the environment; at the end no process that carries it may be left."""
    mark = uuid4().hex
    try:
        yield mark
        wait_until(lambda: not marked(mark), "every process has ended")
    finally:
        for pid in marked(mark):
            os.kill(pid, 9)
