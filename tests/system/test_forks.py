"""A fork is, to whoever starts and watches it, the process that Python would have started."""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path
from subprocess import PIPE, Popen  # not yet the one that forks, as in a test

import orjson
import pytest

from tests.system.cli import ROOT, command, environment
from tests.system.forks import Fork, is_forked
from tests.system.processes import MARK, marked, no_orphans, wait_until

pytestmark = pytest.mark.system

SERVER = command("mock", "null", "--port", 0, "--announce", "--until-stdin-closes")


def serving(start=Fork, **options):
    process = start(SERVER, stdin=PIPE, stdout=PIPE, **options)
    assert orjson.loads(process.stdout.readline())["url"].startswith("http://127.0.0.1:")
    return process


@pytest.fixture
def server():
    with serving() as process:
        yield process
        process.kill()


@pytest.mark.parametrize(
    "arguments",
    [("run", "nowhere"), ("run",), ("mock", "null", "--port", "x"), ("workload", "smoke")],
    ids=" ".join,
)
def test_it_says_what_a_new_process_says_and_ends_as_it_does(tmp_path, arguments):
    def ended(start) -> tuple[int, bytes, bytes]:
        pipes = {"stdout": PIPE, "stderr": PIPE}
        with start(command(*arguments), cwd=tmp_path, env=environment(), **pipes) as process:
            out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    assert ended(Fork) == ended(Popen)


def test_it_is_shown_with_its_own_command_folder_environment_and_session(tmp_path):
    with no_orphans() as mark:
        env = environment(**{MARK: mark})
        with serving(cwd=tmp_path, env=env, start_new_session=True) as process:
            shown = Path(f"/proc/{process.pid}")
            assert (shown / "cwd").readlink() == tmp_path
            words = (shown / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
            assert words == [word.encode() for word in SERVER]
            assert marked(mark) == [process.pid]
            assert os.getsid(process.pid) == process.pid
            assert process.poll() is None
            process.stdin.close()
            assert process.wait(30) == 0


def open_files(pid: int) -> list[str]:
    """Return what each open file is, without the numbers of sockets and pipes."""
    found = Path(f"/proc/{pid}/fd").iterdir()
    return sorted(str(link.readlink()).partition(":[")[0] for link in found)


def test_it_has_such_files_open_as_a_new_process(server):
    with serving(Popen) as new:
        assert open_files(server.pid) == open_files(new.pid)
        new.kill()
    for number, pipe in enumerate((server.stdin, server.stdout)):
        ours, its = Path(f"/proc/self/fd/{pipe.fileno()}"), Path(f"/proc/{server.pid}/fd/{number}")
        assert its.readlink() == ours.readlink()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_as_any_other(server, number):
    server.send_signal(number)
    assert server.wait(30) == (-9 if number == signal.SIGKILL else 0)
    wait_until(lambda: not Path(f"/proc/{server.pid}").exists(), "it was reaped")


def test_one_that_asks_for_nothing_is_let_go():
    with serving() as first, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as asker:
        asker.connect(Fork.address)
        asker.shutdown(socket.SHUT_WR)
        assert asker.recv(1) == b""
        with serving() as second:
            assert first.poll() is None
            for process in (first, second):
                process.stdin.close()
                assert process.wait(30) == 0


def test_nothing_outlives_a_killed_process_that_started_forks():
    code = (
        "import sys; from tests.system.forks import Fork; "
        "p = Fork(sys.argv[1:], stdin=-1, stdout=-1); "
        "print(p.stdout.readline().decode(), flush=True); sys.stdin.read()"
    )
    with no_orphans() as mark:
        starter = Popen(
            [sys.executable, "-c", code, *SERVER],
            cwd=ROOT,
            env=environment(**{MARK: mark}),
            stdin=PIPE,
            stdout=PIPE,
        )
        with starter:
            assert b"http" in starter.stdout.readline()
            assert len(marked(mark)) == 3  # it, what forks, and the fork
            starter.kill()


def test_what_is_not_ours_or_must_be_new_is_started_as_ever():
    assert is_forked(command("run", "smoke"))
    assert not is_forked([sys.executable, "-W", "error", "-m", "profiler", "run", "smoke"])
    assert not is_forked(command("profile", "run"))
    assert not is_forked(["/bin/true"])
    with Fork([sys.executable, "-c", "raise SystemExit(3)"]) as process:
        assert process.wait(30) == 3
