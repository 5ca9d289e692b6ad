"""How runs end: refused, interrupted, killed, out of disk, wrong from the start."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import orjson
import pytest

from profiler.cli.app import main
from tests.system.cli import (
    ROOT,
    agent_profiler,
    command,
    environment,
    json_lines,
    load_json,
)
from tests.system.stores import free_port

pytestmark = pytest.mark.system


@pytest.fixture
def refusing() -> str:
    return f"http://127.0.0.1:{free_port()}"


def test_a_target_that_refuses_connections_ends_the_run_at_once(tmp_path, refusing):
    began = time.monotonic()
    done = agent_profiler("run", ROOT / "scenarios/support.yaml", "--url", refusing, cwd=tmp_path)
    took_s = time.monotonic() - began
    assert done.code == 5
    assert len(done.err.strip().splitlines()) == 1
    assert refusing in done.err
    assert "refused" in done.err or "connect" in done.err.lower()
    assert "Traceback" not in done.err
    assert took_s < 3 or os.getloadavg()[0] > 2  # the promise is for a machine with a core to spare


def start_run(folder: Path, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command("run", ROOT / "scenarios/airline.yaml", "--out", "run", *arguments),
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def interactions(run: Path) -> list[dict]:
    """Return the interactions whose lines are whole."""
    data = (run / "journal.jsonl").read_bytes()
    lines = [line for line in data.splitlines(keepends=True) if line.endswith(b"\n")]
    return [event for line in lines if (event := orjson.loads(line))["event"] == "interaction"]


def wait_for_interactions(run: Path, count: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if (run / "journal.jsonl").exists() and len(interactions(run)) >= count:
            return
        time.sleep(0.02)
    pytest.fail(f"no {count} interactions in a minute")


def test_a_killed_run_profiles_every_interaction_that_had_ended(tmp_path):
    process = start_run(tmp_path, "--warmup", 0, "-n", 1000, "--mock-speed", 5)
    run = tmp_path / "run"
    wait_for_interactions(run, 30)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    ended = interactions(run)
    done = agent_profiler("profile", run, cwd=tmp_path)
    assert done.is_done, done.err
    profile = load_json(run / "profile.json")
    assert profile["sample"]["partial"]
    assert profile["sample"]["interactions"] == len(ended) >= 30
    assert profile["interaction"]["latency"]["count"] == len(ended)


def test_the_mock_agent_does_not_outlive_a_killed_run(tmp_path):
    process = start_run(tmp_path, "-n", 1000)
    wait_for_interactions(tmp_path / "run", 1)
    run_line = json_lines(tmp_path / "run" / "journal.jsonl")[0]
    address = run_line["target"]["mock"]["address"]
    port = int(address.rpartition(":")[2].partition("/")[0])
    process.kill()
    process.communicate(timeout=30)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return
        time.sleep(0.05)
    pytest.fail("the mock agent still listens")


def test_ctrl_c_ends_with_a_partial_profile(tmp_path):
    process = start_run(tmp_path, "--warmup", 0, "-n", 1000)
    wait_for_interactions(tmp_path / "run", 10)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    profile = load_json(tmp_path / "run" / "profile.json")
    assert profile["sample"]["partial"]
    assert profile["sample"]["interactions"] >= 10
    assert "profile.json" in out
    end = json_lines(tmp_path / "run" / "journal.jsonl")[-1]
    assert (end["event"], end["reason"]) == ("end", "interrupted")


def test_a_disk_that_fills_up_stops_the_run_and_keeps_what_there_is(tmp_path):
    limit = 20_000

    def small_files() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    done = subprocess.run(
        command("run", "airline", "--warmup", 0, "--mock-speed", 20, "--out", "run"),
        cwd=tmp_path,
        env=environment(PYTHONDONTWRITEBYTECODE="1"),
        capture_output=True,
        text=True,
        timeout=90,
        preexec_fn=small_files,
        check=False,
    )
    assert done.returncode == 2
    last = done.stderr.strip().splitlines()[-1]
    assert "cannot write the journal" in last
    assert "journal.jsonl" in last
    assert (tmp_path / "run" / "journal.jsonl").stat().st_size <= limit
    again = agent_profiler("profile", "run", "-q", cwd=tmp_path)
    assert again.is_done, again.err
    assert load_json(tmp_path / "run" / "profile.json")["sample"]["partial"]


def test_a_directory_that_cannot_be_written_is_told_before_the_first_request(tmp_path, refusing):
    (tmp_path / "file").write_text("in the way")
    done = agent_profiler(
        "run", "smoke", "--url", refusing, "--out", tmp_path / "file" / "run", cwd=tmp_path
    )
    assert done.code == 2
    assert "--out" in done.err


def test_a_run_is_never_overwritten(tmp_path):
    first, done = (
        agent_profiler("run", "smoke", "--mock-speed", 50, "-q", "--out", "run", cwd=tmp_path)
        for _ in range(2)
    )
    assert first.is_done, first.err
    assert done.code == 2
    assert "never overwritten" in done.err


@pytest.fixture
def run_here(tmp_path, monkeypatch, capsys):
    """Run in this process and an empty folder: a process for each case would take a second."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[object, str, str]:
        monkeypatch.setattr(sys, "argv", ["agent-profiler", "run", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code, *capsys.readouterr()

    return run


BASE = "name: x\nscenarios:\n  - name: a\n    turns: [{user: hi}]\n"


@pytest.mark.parametrize(
    ("content", "options", "said"),
    [
        (BASE.replace("turns", "turn"), (), ":4: unknown key 'turn'"),
        (BASE + "    weight: 0\n", (), "all zero"),
        ("name: x\nscenarios:\n  - name: a\n", (), "no turns"),
        (BASE + "target: {headers: {authorization: '${NO_SUCH_VARIABLE}'}}\n", (), "NO_SUCH_"),
        (BASE + "target: {url: 'localhost:80'}\n", (), "http"),
        (BASE + "target: {protocol: smoke-signals}\n", (), "openai-chat"),
        (BASE + "    variables: {v: {csv: none.csv, column: c}}\n", (), "none.csv"),
        (BASE + "    conversations: none.jsonl\n", (), "none.jsonl"),
        (BASE, ("--rate", "fast"), "--rate"),
        (BASE, ("--requests", "0"), "--requests"),
        (BASE, ("--url", "nowhere"), "--url"),
        (BASE, ("--nonsense",), "--nonsense"),
        ("", (), "empty"),
        ("- a\n", (), "mapping"),
        ("a: [", (), ":1"),
    ],
)
def test_wrong_input_is_one_line_and_nothing_is_sent(run_here, refusing, content, options, said):
    Path("w.yaml").write_text(content)
    url = () if "url" in content or "--url" in options else ("--url", refusing)
    code, out, err = run_here("w.yaml", *url, *options)
    assert (out, code) == ("", 2), err
    assert said in err
    assert "Traceback" not in err
    assert not Path("results").exists()
    assert len(err.strip().splitlines()) == 1


def test_a_workload_that_does_not_exist_names_those_that_do(tmp_path):
    done = agent_profiler("run", "airlin", cwd=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert "airline" in done.err
    assert len(done.err.strip().splitlines()) == 1
    assert not (tmp_path / "results").exists()
