"""Starts commands of ours as forks of a process that has loaded us: see `tests.system.forking`."""

from __future__ import annotations

import atexit
import inspect
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from threading import Lock
from typing import Any, ClassVar

from profiler.load import workers

ROOT = Path(__file__).parents[2]
ROOM = 16_384
"""Bytes that a fork can show a command in, and as many for an environment."""
NUMBER_BYTES = 4

ANEW = "profile"
"""What this computes again is compared byte by byte with what the run wrote. Nothing of it may
depend on the seed of hashes, of which each new process has its own."""

_starting = Lock()
_NAMES = list(inspect.signature(subprocess.Popen._execute_child).parameters)[1:]  # type: ignore[attr-defined]
_NOT_OF_FORKS = ("preexec_fn", "pass_fds", "shell", "gid", "gids", "uid", "executable")


def is_forked(command: Any) -> bool:
    """Say whether a command is one of ours, without interpreter options, that may be forked."""
    if not isinstance(command, list) or command[0] != sys.executable:
        return False
    match command[1:4]:
        case ["-m", "profiler", str(name)]:
            return name != ANEW
        case ["-P", "-c", str(code)]:
            return code == workers._MAIN
    return False


class Fork(subprocess.Popen[Any]):
    """A process, started as a fork where it is a command of ours, and as ever where it is not.

    The process that forks is its parent, and tells how it ended; all else is as with `Popen`.
    """

    address: ClassVar[bytes | None] = None
    """Of the process that forks; None: it is started with the first fork."""
    _told: socket.socket | None = None

    def _execute_child(self, *arguments: Any) -> None:
        given = dict(zip(_NAMES, arguments, strict=True))
        command = given["args"]
        if not is_forked(command) or any(given[name] for name in _NOT_OF_FORKS):
            super()._execute_child(*arguments)  # type: ignore[misc]
            return
        env = os.environ if given["env"] is None else given["env"]
        asked = {
            "command": [os.fspath(word) for word in command],
            "cwd": str(Path(given["cwd"] or ".").absolute()),
            "env": dict(env),
            "new_session": given["start_new_session"],
        }
        ends = (given["p2cread"], given["c2pwrite"], given["errwrite"])
        files = [number if end == -1 else end for number, end in enumerate(ends)]
        self._told = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._told.connect(_address())
        socket.send_fds(self._told, [json.dumps(asked).encode()], files)
        self.pid = self._read(0)
        self._child_created = True
        pipes = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
        self._close_pipe_fds(*(given[name] for name in pipes))  # type: ignore[attr-defined]

    def _read(self, flags: int) -> int:
        assert self._told is not None
        told = self._told.recv(NUMBER_BYTES, flags)
        if not told:
            raise RuntimeError("the process that forks has ended")
        return int.from_bytes(told)

    def _try_wait(self, wait_flags: int) -> tuple[int, int]:
        if self._told is None:
            return super()._try_wait(wait_flags)  # type: ignore[misc,no-any-return]
        try:
            status = self._read(socket.MSG_DONTWAIT if wait_flags else 0)
        except BlockingIOError:
            return 0, 0
        self._told.close()
        return self.pid, status

    def _internal_poll(self, *arguments: Any, **options: Any) -> int | None:
        if self._told is None:
            return super()._internal_poll(*arguments, **options)  # type: ignore[misc,no-any-return]
        # As the method that this is in place of: who waits for the end has the lock until then.
        lock: Lock = self._waitpid_lock  # type: ignore[attr-defined]
        if lock.acquire(blocking=False):
            try:
                if self.returncode is None:
                    pid, status = self._try_wait(os.WNOHANG)
                    if pid:
                        self._handle_exitstatus(status)  # type: ignore[attr-defined]
            finally:
                lock.release()
        return self.returncode


def _address() -> bytes:
    with _starting:
        if Fork.address is None:
            Fork.address = _start()
        return Fork.address


def _start() -> bytes:
    """Start the process that forks; return where it listens. It ends when this process does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
        listening.bind("")  # Linux finds it a name
        listening.listen()
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.system.forking", str(listening.fileno()), " " * ROOM],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "ROOM": " " * ROOM},
            stdin=subprocess.PIPE,
            pass_fds=[listening.fileno()],
        )
        address: bytes = listening.getsockname()

    def end() -> None:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(60)

    atexit.register(end)
    return address
