"""Real state stores for a test: a Redis server, a PostgreSQL server, on free ports of their own."""

from __future__ import annotations

import atexit
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.system.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

IN_CI = bool(os.environ.get("CI"))


def program(*names: str) -> str:
    """Find a program; without it the test is skipped, in CI it fails."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    search = os.pathsep.join([os.environ.get("PATH", os.defpath), *map(str, folders)])
    for name in names:
        if found := shutil.which(name, path=search):
            return found
    reason = f"needs {' or '.join(names)}"
    if IN_CI:
        pytest.fail(f"{reason}: .ci/run installs it")
    pytest.skip(reason)


_kept: list[socket.socket] = []


def free_port() -> int:
    """Return a port that nobody listens on.

    It stays ours to the end, so that nobody else is given it until a server that is told of it has
    started. On Linux that server may take it all the same: neither of the two that share it insists
    on being alone, and ours does not listen.
    """
    probe = socket.socket()
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    probe.bind(("127.0.0.1", 0))
    port: int = probe.getsockname()[1]
    if sys.platform == "linux":
        _kept.append(probe)
    else:
        probe.close()
    return port


@atexit.register
def _give_back() -> None:
    for probe in _kept:
        probe.close()


@dataclass
class RedisServer:
    """A Redis server that can be stopped and started again on the same port."""

    port: int
    folder: Path
    password: str | None = None
    options: tuple[str, ...] = ()
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """The URL of database 0, with the password."""
        login = f":{self.password}@" if self.password else ""
        return f"redis://{login}127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        command = [program("redis-server"), "--port", str(self.port), "--bind", "127.0.0.1"]
        command += ["--dir", str(self.folder), "--save", "", "--appendonly", "no", *self.options]
        if self.password:
            command += ["--requirepass", self.password]
        with (self.folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_until(self._listens, "redis-server listens")

    def stop(self) -> None:
        """Stop it, with everything that it held."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
            self._process = None

    def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "redis.log").read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@contextmanager
def redis_server(password: str | None = None, *options: str) -> Iterator[RedisServer]:
    """Run a Redis server until the end of the block; `options` are those of its command line."""
    program("redis-server")
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        server = RedisServer(free_port(), Path(folder), password, options)
        try:
            server.start()
            yield server
        finally:
            server.stop()


@dataclass
class PostgresServer:
    """A PostgreSQL server that trusts nobody without a password; `admin` may do everything."""

    port: int
    folder: Path
    password: str
    preload: str = "pg_stat_statements"
    options: dict[str, str] = field(default_factory=dict)

    def url(self, database: str = "postgres", user: str = "admin", password: str = "") -> str:
        """The URL of a database, with the password."""
        secret = password or self.password
        return f"postgresql://{user}:{secret}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        settings = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "shared_preload_libraries": self.preload,
            "fsync": "off",
            "autovacuum": "off",
            **self.options,
        }
        given = " ".join(f"-c {name}='{value}'" for name, value in settings.items())
        self._run("pg_ctl", "-w", "-t", "60", "-o", given, "-l", str(self.folder / "log"), "start")

    def stop(self) -> None:
        """Stop it in order."""
        self._run("pg_ctl", "-m", "fast", "-w", "stop")

    def create(self) -> None:
        """Make the data directory, with the one user."""
        secret = self.folder / "password"
        secret.write_text(self.password)
        secret.chmod(0o644)
        self._run(
            "initdb",
            "-U",
            "admin",
            "-A",
            "scram-sha-256",
            f"--pwfile={secret}",
            "-N",
            "-E",
            "UTF8",
            "--no-locale",
        )

    def _run(self, name: str, *arguments: str) -> None:
        owner = _as_postgres()
        done = subprocess.run(
            [program(name), "-D", str(self.folder / "data"), *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd="/",
            env={**os.environ, "LC_ALL": "C"},
            check=False,
            user=owner[0] if owner else None,
            group=owner[1] if owner else None,
            extra_groups=[] if owner else None,
        )
        log = self.folder / "log"
        assert done.returncode == 0, (done.stderr, log.read_text() if log.exists() else "")


@contextmanager
def postgres_server(
    password: str = "admin", *, preload: str = "pg_stat_statements", **options: str
) -> Iterator[PostgresServer]:
    """Run a PostgreSQL server until the end of the block; `options` are settings."""
    for name in ("initdb", "pg_ctl", "postgres"):
        program(name)
    # Not tmp_path, not $TMPDIR: the user `postgres` may not look into those.
    with tempfile.TemporaryDirectory(prefix="postgres-", dir="/tmp") as name:
        folder = Path(name)
        if owner := _as_postgres():
            os.chown(folder, *owner)
        server = PostgresServer(free_port(), folder, password, preload, options)
        server.create()
        server.start()
        try:
            yield server
        finally:
            server.stop()


def _as_postgres() -> tuple[int, int] | None:
    """PostgreSQL refuses to run as root: then it runs as its own user."""
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam("postgres")
    return entry.pw_uid, entry.pw_gid
