"""Running a client as a process of its own, on a core of its own, and what that cost."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

TIMEOUT_S = 90.0
_SAID_CHARACTERS = 160
_NOT_FOR_CLIENTS = frozenset({"PYTHONDONTWRITEBYTECODE", "PYTHONDEVMODE", "COVERAGE_PROCESS_START"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Cores:
    """Which core is whose. None: this machine has one, or cannot pin."""

    client: int | None
    server: int | None

    @classmethod
    def of_this_machine(cls) -> Cores:
        """Take the last core for clients and the first for the server."""
        if not hasattr(os, "sched_setaffinity"):
            return cls(client=None, server=None)
        usable = sorted(os.sched_getaffinity(0))
        if len(usable) == 1:
            return cls(client=None, server=None)
        return cls(client=usable[-1], server=usable[0])

    def __str__(self) -> str:
        if self.client is None:
            return "not pinned: clients and server share a core"
        return f"clients on core {self.client}, the server on core {self.server}"


@contextmanager
def on_core(core: int | None) -> Iterator[None]:
    """Start children on a core: they inherit ours."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def environment(bytecode: Path) -> dict[str, str]:
    """Return the environment for what is measured: Python keeps its bytecode, as for a user.

    In a folder of its own, so that it is there whatever the machine's settings, and goes away.
    """
    env = {name: value for name, value in os.environ.items() if name not in _NOT_FOR_CLIENTS}
    return {**env, "PYTHONPYCACHEPREFIX": str(bytecode)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """One process that ended: its CPU time and peak memory are its own and its children's."""

    code: int
    out: str
    said: str
    spawned_ns: int
    wall_s: float
    cpu_s: float
    peak_mb: float


class ClientFailedError(Exception):
    """A client did not do what it was asked to."""


def run(
    command: Sequence[str],
    *,
    cwd: Path,
    core: int | None,
    env: dict[str, str] | None = None,
    fine_codes: frozenset[int] = frozenset({0}),
) -> Ran:
    """Run a command to its end. Raises `ClientFailedError` with the last line that it said.

    The peak counts this process's own size too (the kernel hands it down when a child starts), so
    nothing large is imported here.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, on_core(core):
        spawned_ns = time.monotonic_ns()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            cwd=cwd,
            env={**environment(cwd / "bytecode"), **(env or {})},
            start_new_session=True,
        )
        killer = threading.Timer(TIMEOUT_S, _end_group, (process.pid,))
        killer.start()
        try:
            _, status, used = os.wait4(process.pid, 0)
        finally:
            killer.cancel()
            killer.join()
            _end_group(process.pid)  # workers that it left behind
        wall_s = (time.monotonic_ns() - spawned_ns) / 1e9
        process.returncode = os.waitstatus_to_exitcode(status)
        ran = Ran(
            code=process.returncode,
            out=_text(out),
            said=_text(err),
            spawned_ns=spawned_ns,
            wall_s=wall_s,
            cpu_s=used.ru_utime + used.ru_stime,
            peak_mb=used.ru_maxrss / 1024,
        )
    if ran.code == -signal.SIGKILL and ran.wall_s >= TIMEOUT_S:
        raise ClientFailedError(f"it had not ended after {TIMEOUT_S:.0f} s")
    if ran.code not in fine_codes:
        lines = [line for line in (ran.said or ran.out).splitlines() if line.strip()]
        said = lines[-1].strip()[:_SAID_CHARACTERS] if lines else "it said nothing"
        raise ClientFailedError(f"exit code {ran.code}: {said}")
    return ran


def _end_group(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")
