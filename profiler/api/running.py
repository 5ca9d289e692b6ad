"""A run from Python, in a process of its own.

What measures must not share an interpreter with what else goes on: a notebook, a test suite, an
application served beside it. Each would be seen in every latency.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from profiler.api.options import arguments
from profiler.cli.files import new_run_dir, write_whole
from profiler.errors import (
    AgentProfilerError,
    GateFailedError,
    InconclusiveError,
    TargetUnusableError,
    UsageError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Unpack

    from profiler.api.options import RunOptions
    from profiler.profile.model import WorkloadProfile

GRACE_S = 30.0
"""How long a run that was interrupted has to write the profile of what there is."""

WORKLOAD_NAME = "workload.yaml"
_ERRORS: dict[int, type[AgentProfilerError]] = {
    error.exit_code: error
    for error in (UsageError, GateFailedError, InconclusiveError, TargetUnusableError)
}
_WITH_PROFILE = frozenset({0, InconclusiveError.exit_code, 130})


def run(workload: str | Path | Mapping[str, Any], **options: Unpack[RunOptions]) -> WorkloadProfile:
    """Replay a workload against an agent and return what one interaction costs.

    `workload` is a file, the name of a shipped workload (`airline`, `support`, `smoke`), or a
    mapping with a workload file's keys, which is kept in the run's directory (paths in it are
    best absolute). Options are those of `agent-profiler run` (`profiler.api.RunOptions`). Files go
    to `out`, else to `results/<workload>-<date>-<time>`.

    The profile is returned also where the harness was the bottleneck or numbers are not stable:
    `profile.trust.verdict` and `profile.sample.partial` say so. Raises `UsageError` for wrong
    input, `TargetUnusableError` where the agent is not there or fails past the error limit. A
    KeyboardInterrupt ends the run; the profile of what there was is in its directory.
    """
    with _started(workload, dict(options)) as process:
        process.popen.wait()
        return process.profile()


async def arun(
    workload: str | Path | Mapping[str, Any], **options: Unpack[RunOptions]
) -> WorkloadProfile:
    """Do what `run` does, and leave the event loop to others meanwhile.

    A task that is cancelled ends the run; the profile of what there was is in its directory.
    """
    with _started(workload, dict(options)) as process:
        try:
            await anyio.to_thread.run_sync(process.popen.wait, abandon_on_cancel=True)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(process.end)
            raise
        return process.profile()


@dataclass(frozen=True, slots=True)
class _Process:
    """A run that was started, and what it says."""

    popen: subprocess.Popen[bytes]
    out: IO[bytes]
    err: IO[bytes]

    def end(self) -> None:
        """See that nothing is left: a run still there is asked, and killed after `GRACE_S`."""
        if self.popen.poll() is not None:
            return
        self.popen.send_signal(signal.SIGINT)
        try:
            self.popen.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()

    def profile(self) -> WorkloadProfile:
        """Return the profile of a run that ended, or raise what it complained of."""
        code = self.popen.returncode
        printed = _lines(self.out)
        if code in _WITH_PROFILE and printed:
            from profiler.profile.model import load_profile

            return load_profile(Path(printed[-1]))
        said = [line for line in _lines(self.err) if line.startswith("error: ")]
        what = said[-1].removeprefix("error: ") if said else f"the run ended with exit code {code}"
        raise _ERRORS.get(code, AgentProfilerError)(what)


@contextmanager
def _started(
    workload: str | Path | Mapping[str, Any], options: dict[str, Any]
) -> Iterator[_Process]:
    given = arguments(options)  # raises before anything is made
    with (
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
        _file_of(workload, options) as (file, more),
    ):
        popen = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", "profiler", "run", str(file), "--quiet", *given, *more],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            # A module of the caller's folder must not stand in for one of Python's.
            env={**os.environ, "PYTHONSAFEPATH": "1"},
            start_new_session=True,  # Ctrl-C is ours to pass on, and comes once
        )
        process = _Process(popen, out, err)
        try:
            yield process
        finally:
            process.end()


@contextmanager
def _file_of(
    workload: str | Path | Mapping[str, Any], options: dict[str, Any]
) -> Iterator[tuple[str | Path, list[str]]]:
    """Give the workload's file; of a mapping, write it into the directory of the run."""
    if isinstance(workload, (str, Path)):
        yield workload, []
        return
    import yaml

    out = options.get("out")
    name = str(workload.get("name", "workload"))
    run_dir = new_run_dir(None if out is None else Path(out), name)
    file = run_dir / WORKLOAD_NAME
    text = yaml.safe_dump({"name": name, **workload}, sort_keys=False, allow_unicode=True)
    write_whole(file, text.encode())
    try:
        yield file, [] if out is not None else ["--out", str(run_dir)]
    finally:
        if {*run_dir.iterdir()} <= {file}:  # nothing was run
            file.unlink(missing_ok=True)
            run_dir.rmdir()


def _lines(stream: IO[bytes]) -> list[str]:
    stream.seek(0)
    return stream.read().decode(errors="replace").strip().splitlines()
