"""Starts the mock agent as a process of its own for the length of a run."""

from __future__ import annotations

import select
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import orjson

from profiler.errors import AgentProfilerError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 5.0


@contextmanager
def mock_agent(
    *, recordings: Sequence[Path], truth: Path, log: Path, seed: int, speed: float
) -> Iterator[dict[str, Any]]:
    """Start `agent-profiler mock agent`, yield what it announced (its URLs), stop it.

    It ends by itself when its standard input closes: it does not outlive us, however we end. What
    it complains of goes to `log`, which is removed if there was nothing.
    """
    command = [sys.executable, "-m", "profiler", "mock", "agent", "--port", "0", "--announce"]
    command += ["--seed", str(seed), "--speed", str(speed), "--truth", str(truth)]
    command += ["--until-stdin-closes"]
    for path in recordings:
        command += ["--recordings", str(path)]
    with log.open("wb") as complaints:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            start_new_session=True,
        )
    try:
        yield _announcement(process, log)
    finally:
        _stop(process)
        if log.stat().st_size == 0:
            log.unlink()


def _announcement(process: subprocess.Popen[bytes], log: Path) -> dict[str, Any]:
    assert process.stdout is not None  # noqa: S101 - opened as a pipe above
    deadline_s = time.monotonic() + START_TIMEOUT_S
    ready, _, _ = select.select([process.stdout], [], [], deadline_s - time.monotonic())
    line = process.stdout.readline() if ready else b""
    if not line:
        said = log.read_text(errors="replace").strip().splitlines()
        raise AgentProfilerError(
            f"the mock agent did not start: {said[-1] if said else 'it said nothing'}",
            where=str(log),
            fix="Try `agent-profiler mock agent`, or give --url of an agent of your own",
        )
    announced: dict[str, Any] = orjson.loads(line)
    return announced


def _stop(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
