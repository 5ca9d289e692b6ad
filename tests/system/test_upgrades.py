"""Files of each released version, through every command that reads them."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from tests.system.cli import ROOT, agent_profiler

pytestmark = pytest.mark.system

VERSIONS = sorted((ROOT / "tests" / "data" / "versions").iterdir())
DEMAND = ROOT / "docs" / "example-plan" / "demand.yaml"


@pytest.fixture(params=VERSIONS, ids=lambda folder: f"version {folder.name}")
def files(request, tmp_path: Path) -> Path:
    for packed in request.param.glob("*.json.gz"):
        (tmp_path / packed.stem).write_bytes(gzip.decompress(packed.read_bytes()))
    return tmp_path


@pytest.mark.parametrize("kind", ["profile", "plan", "comparison"])
def test_it_is_reported(files, kind):
    done = agent_profiler("report", f"{kind}.json", "--html", "-o", "page.html", cwd=files)
    assert (done.code, done.err) == (0, "")
    assert (files / "page.html").read_text().startswith("<!doctype html>")


def test_it_is_compared(files):
    done = agent_profiler(
        "compare", "profile.json", "profile.json", "--allow-inconclusive", cwd=files
    )
    assert done.is_done, done.err
    assert "latency" in done.out


@pytest.mark.long
def test_it_is_planned_from(files):
    done = agent_profiler(
        *("plan", "profile.json", "--demand", DEMAND, "--at", "2026-11-22", "--out", "new"),
        cwd=files,
    )
    assert done.is_done, done.err
    assert (files / "new" / "plan.json").exists()


@pytest.mark.long
def test_it_is_reviewed(files):
    done = agent_profiler(
        "review", "plan.json", "--actual", "profile=profile.json", "--out", "new", cwd=files
    )
    assert done.is_done, done.err
    assert (files / "new" / "review.json").exists()
