"""The mock agent as a process of the run."""

from __future__ import annotations

import sys

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
