"""A process that has loaded us, and forks for each command of ours that it is asked for.

To start Python and import us takes longer than most of what tests start. A fork is a process as
any other: its folder, environment, open files, session and end are its own, and `/proc` shows it
with the command and the environment that it was asked for. What it does not have is a seed of
string hashes of its own, nor interpreter options; nor does it show that imports are complete.

    python -m tests.system.forking SOCKET ROOM

The socket is a descriptor, which listens; it ends when its standard input does. Who asks is in
`tests.system.forks`.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from typing import Any, NoReturn

from profiler.cli import app
from profiler.load import workers
from profiler.measure.tokens import TokenCounter
from tests.system.forks import NUMBER_BYTES, ROOT, Fork

MOST_BYTES = 131_072
"""Of what is asked."""
PRELOADED = (
    "anyio._backends._asyncio",
    "anyio._core._signals",
    "encodings.utf_8_sig",
    "httpcore",
    "profiler.__main__",
    "profiler.cli.again",
    "profiler.cli.capture",
    "profiler.cli.caution",
    "profiler.cli.events",
    "profiler.cli.init_describing",
    "profiler.cli.init_seen",
    "profiler.cli.live",
    "profiler.cli.mock_process",
    "profiler.cli.objective_options",
    "profiler.cli.run_options",
    "profiler.cli.session",
    "profiler.cli.shards",
    "profiler.cli.spending",
    "profiler.cli.watching",
    "profiler.endpoints.recognise",
    "profiler.endpoints.select",
    "profiler.export.buckets",
    "profiler.load.outlook",
    "profiler.load.shard",
    "profiler.load.workers",
    "profiler.mock.null_server",
    "profiler.mock.serve",
    "profiler.profile.build",
    "profiler.profile.shards",
    "profiler.report.markdown",
    "profiler.report.outlook_json",
    "profiler.report.terminal",
    "profiler.workload.document",
    "profiler.workload.load",
    "profiler.workload.shipped",
    "profiler.workload.starter",
    "rich.console",
    "typer._adapters",
    "uvicorn.lifespan.off",
    "uvicorn.lifespan.on",
    "uvicorn.loops.auto",
    "uvicorn.protocols.http.httptools_impl",
    "uvicorn.protocols.websockets.auto",
    "uvloop",
)


class Forking:
    """Waits for who asks, and for the end of what was forked, which it tells who asked."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        self._askers: dict[int, tuple[int, socket.socket]] = {}
        self._ready = DefaultSelector()
        self._ready.register(0, EVENT_READ)
        self._ready.register(listening, EVENT_READ)

    def serve(self) -> dict[str, Any] | None:
        """Return what is asked for in the fork, and None here when standard input has ended."""
        while True:
            for key, _ in self._ready.select():
                if key.fd == 0:
                    return None
                if key.fileobj is not self._listening:
                    self._tell(key.fd)
                elif (asked := self._fork()) is not None:
                    return asked

    def _fork(self) -> dict[str, Any] | None:
        asker, _ = self._listening.accept()
        message, files, _, _ = socket.recv_fds(asker, MOST_BYTES, 3)
        if not message:  # killed before it had asked
            asker.close()
            return None
        pid = os.fork()
        if pid == 0:
            asker.close()
            self._forget()
            for number, opened in enumerate(files):
                os.dup2(opened, number)
            os.closerange(3, os.sysconf("SC_OPEN_MAX"))
            asked: dict[str, Any] = json.loads(message)
            return asked
        for opened in files:
            os.close(opened)
        _say(asker, pid)
        ended = os.pidfd_open(pid)
        self._ready.register(ended, EVENT_READ)
        self._askers[ended] = pid, asker
        return None

    def _tell(self, ended: int) -> None:
        pid, asker = self._askers.pop(ended)
        self._ready.unregister(ended)
        os.close(ended)
        _say(asker, os.waitpid(pid, 0)[1])
        asker.close()

    def _forget(self) -> None:
        """Leave to the process that forks what is its own."""
        self._ready.close()
        self._listening.close()
        for _, asker in self._askers.values():
            asker.close()


def _say(asker: socket.socket, number: int) -> None:
    with suppress(OSError):  # who asked may have ended
        asker.send(number.to_bytes(NUMBER_BYTES))


def _become(asked: dict[str, Any]) -> None:
    """Take over what a process is started with, but for its open files."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if asked["new_session"]:
        os.setsid()
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    _show(asked)
    sys.path[0] = asked["cwd"]
    # Made anew: those that there are remember what kind of file the first ones were.
    for name, number in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
        old = getattr(sys, name)
        opened = os.fdopen(
            number, old.mode, encoding=old.encoding, errors=old.errors, closefd=False
        )
        opened.reconfigure(line_buffering=opened.isatty() or number == 2)
        setattr(sys, name, opened)


def _show(asked: dict[str, Any]) -> None:
    """Write command and environment to where Linux looks for them when someone asks `/proc`.

    Nothing else looks there any more: the environment was copied when it was changed.
    """
    stat = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()
    command_at, command_end, environment_at, environment_end = map(int, stat[45:49])
    environment = [f"{name}={value}" for name, value in asked["env"].items()]
    for words, at, end in (
        (asked["command"], command_at, command_end),
        (environment, environment_at, environment_end),
    ):
        shown = b"".join(os.fsencode(word) + b"\0" for word in words)
        size = end - at
        ctypes.memmove(at, shown[: size - 1].ljust(size, b"\0"), size)


def _run(command: list[str]) -> int:
    """Do what Python would, given this command; return its exit code."""
    try:
        if command[1] == "-m":
            sys.modules["__main__"] = import_module("profiler.__main__")
            sys.argv = [str(ROOT / "profiler" / "__main__.py"), *command[3:]]
            app.main()
        else:
            sys.argv = ["-c", *command[4:]]
            workers.serve()
    except SystemExit as ended:
        return int(ended.code or 0)
    except BaseException:  # noqa: BLE001 - nobody above is of this process
        sys.excepthook(*sys.exc_info())
        return 1
    return 0


def _end(code: int) -> NoReturn:
    """End as Python does, but leave what is loaded as it is: to free it takes longer than a run."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    os._exit(code)


def _main() -> None:
    for module in PRELOADED:
        import_module(module)
    TokenCounter("o200k_base").prepare()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the terminal: who started us decides
    gc.freeze()
    listening = socket.socket(fileno=int(sys.argv[1]))
    address = listening.getsockname()
    asked = Forking(listening).serve()
    if asked is not None:
        Fork.address = address
        subprocess.Popen = Fork  # type: ignore[misc]
        _become(asked)
        _end(_run(asked["command"]))


if __name__ == "__main__":
    _main()
