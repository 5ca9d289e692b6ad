"""`agent-profiler init` as a process, against the shipped mock agent: one message, and it runs."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from profiler.cli.mock_process import mock_agent
from profiler.workload.load import load_workload
from tests.system.cli import ROOT, agent_profiler, command, environment, json_lines, load_json
from tests.system.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.system


class Mock:
    """A mock agent, and what it did for one test."""

    def __init__(self, url: str, truth: Path) -> None:
        self.url, self._truth = url, truth
        self._before = len(self._all())

    def _all(self) -> list[dict[str, Any]]:
        return json_lines(self._truth) if self._truth.exists() else []

    def done(self) -> list[dict[str, Any]]:
        """Return what the agent says it did since the test began."""
        return self._all()[self._before :]

    def has_answered(self, messages: int) -> bool:
        """Say whether the agent answered so many, by its own account: it writes that down after.

        Who asked may have ended by then, so that as many are waited for; and more are too many.
        """
        wait_until(lambda: self._answered() >= messages, f"{messages} are answered")
        return self._answered() == messages

    def _answered(self) -> int:
        return sum(line["kind"] == "interaction" for line in self.done())


@pytest.fixture(scope="module")
def serving(tmp_path_factory) -> Iterator[tuple[str, Path]]:
    """Run one mock agent for all tests: its URL and its truth."""
    folder: Path = tmp_path_factory.mktemp("mock")
    truth = folder / "truth.jsonl"
    options: dict[str, Any] = {
        "recordings": [],
        "truth": truth,
        "log": folder / "mock.log",
        "seed": 1,
    }
    with mock_agent(**options, speed=20) as announced:
        yield announced["agent"], truth


@pytest.fixture
def mock(serving) -> Mock:
    return Mock(*serving)


def run(folder: Path, workload: str) -> dict:
    """Run a workload for four interactions; returns its profile."""
    options = ["-n", "4", "--warmup", "0", "--out", "run", "-q"]
    done = agent_profiler("run", workload, *options, cwd=folder)
    assert done.code in {0, 4}, done.err  # 4: four are too few to say anything
    return load_json(folder / "run" / "profile.json")


@pytest.mark.parametrize(
    ("path", "options", "protocol"),
    [
        ("", (), "openai-chat"),
        ("/v1", (), "openai-chat"),
        ("/v1/chat/completions", (), "openai-chat"),
        ("/chat", ("--protocol", "http-json"), "http-json"),
    ],
)
def test_the_mock_agent_is_probed_once_and_what_is_written_runs(
    mock, tmp_path, path, options, protocol
):
    done = agent_profiler("init", "--url", mock.url + path, *options, cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert mock.has_answered(1)
    target = load_workload(tmp_path / "scenarios/mine.yaml").target
    assert target.protocol == protocol
    profile = run(tmp_path, "scenarios/mine.yaml")
    assert profile["sample"]["succeeded"] == 4
    assert mock.has_answered(5)


def test_what_it_says_it_saw_is_what_the_agent_did(mock, tmp_path):
    done = agent_profiler("init", "--url", mock.url, cwd=tmp_path)
    assert mock.has_answered(1)
    calls = [line for line in mock.done() if line["kind"] == "llm_request"]
    said = dict(line.strip().split("  ", 1) for line in done.out.splitlines() if line[:2] == "  ")
    said = {name: text.strip() for name, text in said.items()}
    assert (said["status"], said["LLM calls"]) == ("200", str(len(calls)))
    tokens_in = sum(line["prompt_tokens"] for line in calls)
    tokens_out = sum(line["completion_tokens"] for line in calls)
    assert said["tokens"] == f"{tokens_in:,} input, {tokens_out:,} output"
    tools = sorted(name for line in calls for name in line["tool_calls"])
    assert all(name in said["tools"] for name in tools)


@contextmanager
def on_a_terminal(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    ours, theirs = pty.openpty()
    try:
        process = subprocess.Popen(
            command("init"),
            cwd=folder,
            env=environment(TERM="dumb"),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            # Who runs the tests in the background ignores Ctrl-C, and that is inherited.
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - it only sets a signal
        )
        os.close(theirs)
        yield process, ours
        process.wait(60)
    finally:
        os.close(ours)


def read_until(terminal: int, text: str) -> str:
    said, deadline_s = b"", time.monotonic() + 60
    while text.encode() not in said:
        assert time.monotonic() < deadline_s, said
        said += os.read(terminal, 4096)
    return said.decode()


def test_it_asks_on_a_real_terminal(mock, tmp_path):
    with on_a_terminal(tmp_path) as (process, terminal):
        read_until(terminal, "The agent's URL")
        os.write(terminal, f"{mock.url}\n".encode())
        read_until(terminal, "Send it one message")
        assert mock.has_answered(0)
        os.write(terminal, b"y\n")
        read_until(terminal, "run it: agent-profiler run scenarios/mine.yaml")
    assert process.returncode == 0
    assert mock.has_answered(1)


@pytest.mark.parametrize("how", ["end of input", "interrupt"])
def test_whoever_leaves_leaves_nothing(mock, tmp_path, how):
    with on_a_terminal(tmp_path) as (process, terminal):
        read_until(terminal, "The agent's URL")
        os.write(terminal, f"{mock.url}\n".encode())
        said = read_until(terminal, "Send it one message")
        if how == "interrupt":
            process.send_signal(signal.SIGINT)
        else:
            os.write(terminal, b"\x04")
        process.wait(60)
    assert process.returncode == 130
    assert "Traceback" not in said
    assert mock.has_answered(0)
    assert not (tmp_path / "scenarios").exists()


def test_without_a_terminal_and_a_url_it_is_one_line(tmp_path):
    done = subprocess.run(
        command("init"), cwd=tmp_path, env=environment(), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "--url" in done.stderr
    assert str(ROOT) not in done.stderr
