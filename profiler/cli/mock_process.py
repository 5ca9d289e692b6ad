"""Starts the mock agent, or the null server, as a process of its own for the length of a block."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import orjson

from profiler.errors import AgentProfilerError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 5.0
_PATHS = {"openai-chat": "/v1/chat/completions", "http-json": "/chat"}


def mock_path(protocol: str) -> str:
    """Return where the mock agent speaks a protocol. Raises `UsageError` where it does not."""
    path = _PATHS.get(protocol)
    if path is None:
        raise UsageError(
            f"the mock agent does not speak {protocol}",
            where="target.url",
            fix="Give the URL of an agent that does, in the workload or with --url",
        )
    return path


@contextmanager
def mock_agent(
    *,
    recordings: Sequence[Path],
    truth: Path,
    log: Path,
    seed: int,
    speed: float,
    llm_url: str | None = None,
    faults: Path | None = None,
) -> Iterator[dict[str, Any]]:
    """Start `agent-profiler mock agent`, yield what it announced (its URLs) and its `pid`, stop it.

    With `llm_url` it calls that LLM, else one of its own. `faults` is a fault plan. It ends by
    itself when its standard input closes: it does not outlive us, however we end. What it complains
    of goes to `log`, which is removed if there was nothing.
    """
    options = _options(recordings, truth, seed, speed, faults)
    if llm_url is not None:
        options += ["--llm-url", llm_url]
    fix = "Try `agent-profiler mock agent`, or give --url of an agent of your own"
    with _mock("agent", options, log, fix) as announced:
        yield announced


@contextmanager
def mock_llm(
    *,
    recordings: Sequence[Path],
    truth: Path,
    log: Path,
    seed: int,
    speed: float,
    faults: Path | None = None,
) -> Iterator[dict[str, Any]]:
    """Start `agent-profiler mock llm`, yield what it announced, stop it: as `mock_agent` does."""
    fix = "Try `agent-profiler mock llm`, or give --upstream of a provider of your own"
    options = _options(recordings, truth, seed, speed, faults)
    with _mock("llm", options, log, fix) as announced:
        yield announced


def _options(
    recordings: Sequence[Path], truth: Path, seed: int, speed: float, faults: Path | None
) -> list[str]:
    options = ["--seed", str(seed), "--speed", str(speed), "--truth", str(truth)]
    for path in recordings:
        options += ["--recordings", str(path)]
    if faults is not None:
        options += ["--faults", str(faults)]
    return options


@contextmanager
def null_server(*, delay_ms: float, log: Path) -> Iterator[dict[str, Any]]:
    """Start `agent-profiler mock null`, yield what it announced, stop it: as `mock_agent` does."""
    fix = "Try `agent-profiler mock null`"
    with _mock("null", ["--delay", f"{delay_ms:g}ms"], log, fix) as announced:
        yield announced


@contextmanager
def _mock(kind: str, options: Sequence[str], log: Path, fix: str) -> Iterator[dict[str, Any]]:
    command = [sys.executable, "-m", "profiler", "mock", kind, "--port", "0", "--announce"]
    command += ["--until-stdin-closes", *options]
    with log.open("wb") as complaints:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            start_new_session=True,
        )
        _let_drivers_finish(process.pid)
    try:
        yield {**_announcement(process, kind, log, fix), "pid": process.pid}
    finally:
        _stop(process)
        if log.stat().st_size == 0:
            log.unlink()


def _let_drivers_finish(pid: int) -> None:
    """Keep a process from interrupting another of this machine whenever it has something to do.

    It gets its share of the cores as before. Else the mock runs on the driver's core as soon as it
    is sent the first of several requests, and the others are sent a millisecond later: nothing that
    a target on a machine of its own would do. See sched(7) on SCHED_BATCH; other systems have none.
    """
    with suppress(AttributeError, OSError):
        os.sched_setscheduler(pid, os.SCHED_BATCH, os.sched_param(0))


def _announcement(
    process: subprocess.Popen[bytes], kind: str, log: Path, fix: str
) -> dict[str, Any]:
    assert process.stdout is not None  # noqa: S101 - opened as a pipe above
    deadline_s = time.monotonic() + START_TIMEOUT_S
    ready, _, _ = select.select([process.stdout], [], [], deadline_s - time.monotonic())
    line = process.stdout.readline() if ready else b""
    if not line:
        said = log.read_text(errors="replace").strip().splitlines()
        raise AgentProfilerError(
            f"the mock {kind} did not start: {said[-1] if said else 'it said nothing'}",
            where=str(log),
            fix=fix,
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
