"""The null server of the benchmarks: the C one where a compiler is, else the shipped one."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.driver.process import environment, on_core

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = Path(__file__).resolve().parents[1] / "null_server.c"
_STOP_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What the server does with a request. Times are exact, in milliseconds."""

    delay_ms: float = 0.0
    ttft_ms: float = 0.0
    gap_ms: float = 0.0
    chunks: int = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class NullServer:
    """A server that runs."""

    url: str
    _stats_url: str

    def stats(self) -> dict[str, Any]:
        """Ask it for its figures; the question is not counted."""
        with urllib.request.urlopen(self._stats_url, timeout=10) as response:
            figures: dict[str, Any] = json.load(response)
        return figures


class NullServers:
    """Starts null servers, all on one core."""

    def __init__(self, scratch: Path, core: int | None) -> None:
        self._core, self._scratch = core, scratch
        self._binary = _compiled(scratch)

    @property
    def name(self) -> str:
        """Say which server it is."""
        if self._binary is None:
            return "Python (no C compiler here: it may be the limit, see its share)"
        return "C (epoll)"

    @contextmanager
    def running(self, answers: Answers | None = None) -> Iterator[NullServer]:
        """Run one server for the length of a block."""
        with on_core(self._core):
            process = subprocess.Popen(
                self._command(answers if answers is not None else Answers()),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment(self._scratch / "bytecode"),
            )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            said = json.loads(process.stdout.readline())
            yield NullServer(url=said["url"], _stats_url=said["stats"])
        finally:
            process.stdin.close()
            try:
                process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()

    def _command(self, answers: Answers) -> list[str]:
        if self._binary is None:
            command = [sys.executable, "-m", "profiler", "mock", "null", "--port", "0"]
            command += ["--announce", "--until-stdin-closes", "--chunks", str(answers.chunks)]
            command += ["--delay", f"{answers.delay_ms:g}ms", "--ttft", f"{answers.ttft_ms:g}ms"]
            return [*command, "--chunk-gap", f"{answers.gap_ms:g}ms"]
        command = [str(self._binary), "--port", "0", "--chunks", str(answers.chunks)]
        for name, ms in (
            ("--delay-us", answers.delay_ms),
            ("--ttft-us", answers.ttft_ms),
            ("--gap-us", answers.gap_ms),
        ):
            command += [name, str(round(ms * 1000))]
        return command


def _compiled(scratch: Path) -> Path | None:
    """Compile the server; None where that is not possible."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None or not sys.platform.startswith("linux"):
        return None
    binary = scratch / "null_server"
    done = subprocess.run(
        [compiler, "-O2", "-o", str(binary), str(SOURCE)], capture_output=True, check=False
    )
    return binary if done.returncode == 0 else None
