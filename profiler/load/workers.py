"""Processes of this machine as an `Executor`: one for each piece of work, each on its own.

A `ProcessPoolExecutor` breaks as a whole when one of its workers dies. Here a death is the failure
of one future and nobody else notices. A worker is a new interpreter, not a fork: nothing of this
process's threads and event loops is inherited, and starting costs its imports, which workers do
side by side. It is in a session of its own, so a Ctrl-C at the terminal reaches only the parent,
and the parent decides; its exit status says how it died.
"""

from __future__ import annotations

import gc
import os
import pickle
import signal
import subprocess
import sys
import threading
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

from profiler.errors import AgentProfilerError
from profiler.redaction import hidden

if TYPE_CHECKING:
    from collections.abc import Callable

_ROOT = Path(__file__).parents[2]
_MAIN = "import sys; sys.path.append(sys.argv[1]); from profiler.load.workers import serve; serve()"
"""Found as this process found the package, also where it is not installed; never in the current
folder, which `-P` keeps out."""


class WorkerDiedError(AgentProfilerError):
    """A worker process ended without a result."""


class Processes(Executor):
    """Runs each call in a process of its own, all of them at once.

    Functions, arguments and results are pickled; functions must be importable. A future fails with
    what the call raised, or with `WorkerDiedError`. What a worker writes to standard error comes
    out on ours when it has ended, but for its last words, which are in that error.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._running: set[subprocess.Popen[bytes]] = set()
        self._is_shut = False
        self._is_killed = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Start a process for the call. Raises `RuntimeError` after `shutdown`."""
        call = pickle.dumps((fn, args, kwargs))
        future: Future[Any] = Future()
        thread = threading.Thread(target=self._work, args=(future, call), name="worker")
        with self._lock:
            if self._is_shut:
                raise RuntimeError("cannot submit after shutdown")
            self._threads.append(thread)
            thread.start()
        return future

    def pids(self) -> list[int]:
        """Return the process ids of the workers that run now."""
        with self._lock:
            return sorted(process.pid for process in self._running)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 - the signature that `Executor` gives
        """Take no more calls; kill those under way if `cancel_futures`; wait for them if `wait`."""
        with self._lock:
            self._is_shut = True
            if cancel_futures:
                self._is_killed = True
                for process in self._running:
                    process.kill()
        if wait:
            for thread in self._threads:
                thread.join()

    def _work(self, future: Future[Any], call: bytes) -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(self._result(call))
        except BaseException as exc:  # noqa: BLE001 - raised where the future is waited for
            future.set_exception(exc)

    def _result(self, call: bytes) -> Any:
        command = [sys.executable, "-P", "-c", _MAIN, str(_ROOT)]
        with self._lock:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
            self._running.add(process)
            if self._is_killed:
                process.kill()
        try:
            out, err = process.communicate(call)
        finally:
            with self._lock:
                self._running.discard(process)
        said = err.decode(errors="replace")
        if process.returncode != 0 or not out:
            raise WorkerDiedError(_how(process, said))
        sys.stderr.write(hidden(said))
        is_result, value = pickle.loads(out)  # noqa: S301 - from our own process, by a private pipe
        if is_result:
            return value
        raise value


def _how(process: subprocess.Popen[bytes], said: str) -> str:
    code = process.returncode
    how = f"exited with {code}"
    if code < 0:
        try:
            how = f"was killed by {signal.Signals(-code).name}"
        except ValueError:
            how = f"was killed by signal {-code}"
    words = said.strip().splitlines()
    return f"process {process.pid} {how}" + (f": {words[-1]}" if words else "")


def serve() -> None:
    """Be a worker: read one call from standard input, write its result to standard output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    results = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what anybody prints is no result
    outcome: tuple[bool, Any]
    try:
        gc.disable()  # finding the function imports most of what it needs: that makes no garbage
        function, args, kwargs = pickle.load(sys.stdin.buffer)  # noqa: S301 - from our parent, by a private pipe
        gc.enable()
        outcome = True, function(*args, **kwargs)
    except Exception as exc:  # noqa: BLE001 - raised in the parent
        outcome = False, exc
    try:
        data = pickle.dumps(outcome)
    except Exception as exc:  # noqa: BLE001 - an error that cannot travel is told in words
        data = pickle.dumps((False, RuntimeError(f"{outcome[1]!r} ({exc!r})")))
    with os.fdopen(results, "wb") as stream:
        stream.write(data)


def usable_cores() -> int:
    """Return how many cores this process may use: its affinity, and its container's CPU quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(cores or 1, _quota(Path("/sys/fs/cgroup/cpu.max"), cores or 1)))


def _quota(file: Path, without: int) -> int:
    """Return the cores that a control group (v2) allows, rounded up; `without` where it does not.

    The file says `quota period` in microseconds, the quota `max` for no limit.
    """
    try:
        quota, period = file.read_text().split()
        return without if quota == "max" else -(-int(quota) // int(period))
    except (OSError, ValueError):
        return without
