"""`run --mock-faults`: the mock agent follows the plan, and nobody else can."""

from __future__ import annotations

import pytest

from profiler.cli.app import app
from profiler.errors import UsageError

PLAN = "agent:\n  - {kind: status, status: 503, nth: 1}\n"


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "faults.yaml").write_text(PLAN)
    return lambda *options: app(
        args=["run", "smoke", "--mock-faults", *options], standalone_mode=False
    )


def test_a_target_of_ones_own_has_no_faults(run, tmp_path):
    with pytest.raises(UsageError, match="only the mock agent injects faults"):
        run("faults.yaml", "--url", "http://127.0.0.1:9/")
    assert not (tmp_path / "results").exists()


def test_a_search_for_the_capacity_has_no_faults(run):
    with pytest.raises(UsageError, match="a search has no faults"):
        run("faults.yaml", "--find-capacity", "--objective", "latency.p95<2s")


def test_a_plan_that_cannot_be_read_is_told_before_anything_runs(run, tmp_path):
    (tmp_path / "wrong.yaml").write_text("agent:\n  - {kind: stal}\n")
    with pytest.raises(UsageError, match=r"wrong\.yaml:2"):
        run("wrong.yaml")
    assert not (tmp_path / "results").exists()
