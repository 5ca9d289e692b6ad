"""A process that has loaded the command line, and forks for each command that it is given.

To start Python and import us takes longer than most of the runs that tests make. A fork is a
process as any other: its folder, environment, output and end are its own. What it does not have is
a seed of string hashes of its own, nor interpreter options; nor does it show that imports are
complete.
"""

from __future__ import annotations

import gc
import json
import os
import select
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PRELOADED = (
    "profiler.__main__",
    "profiler.cli.session",
    "profiler.cli.watching",
    "profiler.cli.caution",
    "profiler.cli.again",
    "profiler.cli.mock_process",
    "profiler.endpoints.select",
    "profiler.profile.build",
    "profiler.report.terminal",
    "profiler.report.markdown",
    "rich.console",
)


class Forks:
    """The process that forks; one command at a time."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def run(
        self, arguments: list[str], cwd: Path, env: dict[str, str], timeout_s: float
    ) -> tuple[int, str, str]:
        """Run a command; return its exit code, what it printed, and what it complained of."""
        with tempfile.TemporaryDirectory() as folder:
            out, err = Path(folder, "out"), Path(folder, "err")
            asked = {"arguments": arguments, "cwd": str(cwd), "env": env}
            asked |= {"out": str(out), "err": str(err)}
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(asked).encode() + b"\n")
            self._process.stdin.flush()
            pid = self._read(timeout_s)
            try:
                code = self._read(timeout_s)
            except subprocess.TimeoutExpired:
                os.kill(pid, 9)
                self._read(timeout_s)
                raise
            return code, out.read_text(), err.read_text()

    def _read(self, timeout_s: float) -> int:
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], timeout_s)[0]:
            raise subprocess.TimeoutExpired("agent-profiler", timeout_s)
        told = os.read(self._process.stdout.fileno(), 8)
        if len(told) != 8:
            raise RuntimeError("the process that forks has ended")
        return int.from_bytes(told, "big", signed=True)

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


def _serve() -> dict[str, Any] | None:
    """Fork for each command: return it in the fork, and None here when there is none any more."""
    for line in sys.stdin.buffer:
        pid = os.fork()
        if pid == 0:
            asked: dict[str, Any] = json.loads(line)
            return asked
        _tell(pid)
        _tell(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    return None


def _tell(number: int) -> None:
    os.write(1, number.to_bytes(8, "big", signed=True))


def _become(asked: dict[str, Any]) -> None:
    """Take over what a process is started with."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    out, err = (os.open(asked[name], os.O_WRONLY | os.O_CREAT, 0o600) for name in ("out", "err"))
    for number, opened in enumerate((nothing, out, err)):
        os.dup2(opened, number)
        os.close(opened)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    sys.argv = [str(ROOT / "profiler" / "__main__.py"), *asked["arguments"]]
    sys.path[0] = asked["cwd"]


def _main() -> None:
    for module in PRELOADED:
        import_module(module)
    from profiler.cli.app import main
    from profiler.measure.tokens import TokenCounter

    TokenCounter("o200k_base").prepare()
    gc.freeze()
    asked = _serve()
    if asked is not None:
        _become(asked)
        main()


if __name__ == "__main__":
    _main()
