"""The mock agent as a process of the run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from profiler.cli.mock_process import mock_agent, mock_path
from profiler.errors import AgentProfilerError, UsageError


def start(tmp_path, recordings=()):
    return mock_agent(
        recordings=recordings,
        truth=tmp_path / "truth.jsonl",
        log=tmp_path / "mock.log",
        seed=1,
        speed=50,
    )


def test_it_announces_where_it_listens_and_leaves_no_empty_log(tmp_path):
    with start(tmp_path) as announced:
        assert announced["agent"].startswith("http://127.0.0.1:")
        assert announced["llm"].endswith("/v1")
    assert not (tmp_path / "mock.log").exists()


@pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="this system has no such policy")
def test_it_does_not_interrupt_who_drives_it(tmp_path, monkeypatch):
    started = []

    class Noted(subprocess.Popen):
        def __init__(self, *given, **options):
            super().__init__(*given, **options)
            started.append(self.pid)

    monkeypatch.setattr(subprocess, "Popen", Noted)
    with start(tmp_path):
        threads = Path(f"/proc/{started[0]}/task").iterdir()
        policies = {os.sched_getscheduler(int(thread.name)) for thread in threads}
        assert policies == {os.SCHED_BATCH}
    assert os.sched_getscheduler(0) != os.SCHED_BATCH


def test_a_mock_that_cannot_start_says_why(tmp_path):
    missing = tmp_path / "none.jsonl"
    with pytest.raises(AgentProfilerError, match=r"none\.jsonl"), start(tmp_path, [missing]):
        pass


def test_a_mock_that_says_nothing_is_an_error_too(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/true")
    with pytest.raises(AgentProfilerError, match="it said nothing"), start(tmp_path):
        pass


def test_a_protocol_that_the_mock_does_not_speak_needs_a_url():
    assert mock_path("http-json") == "/chat"
    with pytest.raises(UsageError, match="does not speak ag-ui"):
        mock_path("ag-ui")
