"""A run on a real Dask cluster: a scheduler and two workers, processes on loopback."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec

import pytest

from tests.system.cli import agent_profiler, environment, load_json
from tests.system.processes import MARK, marked, no_orphans, wait_until
from tests.system.test_workers import assert_same_run, sent

HAS_DASK = find_spec("distributed") is not None

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(
        not HAS_DASK and not os.environ.get("CI"),
        reason="needs Dask: pip install 'agent-profiler[cluster]'",
    ),
]


@contextmanager
def dask(folder, mark, *arguments):
    """Run a Dask command until the end of the block."""
    with (folder / f"dask-{arguments[0]}.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", *map(str, arguments)],
            cwd=folder,
            env=environment(PYTHONWARNINGS="default", **{MARK: mark}),
            stdout=log,
            stderr=log,
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def is_written(file):
    """Say whether a JSON object is whole: Dask makes the file and then fills it."""
    return file.exists() and file.read_text().rstrip().endswith("}")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Start a scheduler and two workers; give the scheduler's address and the mark of all."""
    folder = tmp_path_factory.mktemp("dask")
    file = folder / "scheduler.json"
    with no_orphans() as mark, ExitStack() as stack:
        stack.enter_context(
            dask(
                *(folder, mark, "scheduler", "--host", "127.0.0.1", "--port", 0),
                *("--no-dashboard", "--scheduler-file", file),
            )
        )
        wait_until(lambda: is_written(file), "the scheduler listens")  # workers read it, too
        for number in (1, 2):
            stack.enter_context(
                dask(
                    *(folder, mark, "worker", "--scheduler-file", file, "--nthreads", 1),
                    *("--no-nanny", "--no-dashboard", "--local-directory", folder / str(number)),
                )
            )
        address = load_json(file)["address"]
        waiting = f"import distributed as d; d.Client({address!r}).wait_for_workers(2, 60)"
        subprocess.run([sys.executable, "-c", waiting], check=True, env=environment(), timeout=90)
        yield address, mark


def test_a_cluster_sends_together_exactly_what_one_process_sends(tmp_path, cluster, alone):
    address, _ = cluster
    done = agent_profiler(
        *("run", alone.parent / "w.yaml", "--mock-speed", 50, "--cluster", address),
        *("--out", "run"),
        cwd=tmp_path,
    )
    assert done.is_without_complaint, done.err
    run = tmp_path / "run"
    assert sent(run) == sent(alone)
    assert_same_run(run, alone)
    first, second = load_json(run / "profile.json")["run"]["parts"]
    assert first["window_start_ns"] < second["window_end_ns"]
    assert second["window_start_ns"] < first["window_end_ns"]
    before = (run / "profile.json").read_bytes()
    assert agent_profiler("profile", run, "-q", cwd=tmp_path).code == 0
    assert (run / "profile.json").read_bytes() == before


def test_more_workers_than_the_cluster_has_are_refused(tmp_path, cluster):
    address, _ = cluster
    done = agent_profiler("run", "smoke", "--cluster", address, "--workers", 3, cwd=tmp_path)
    assert done.code == 2
    assert "the cluster has 2 workers, not 3" in done.err


def test_a_cluster_worker_that_is_killed_is_told_and_the_other_goes_on(tmp_path, cluster):
    """Last in this file: the cluster has one worker less after it."""
    address, mark = cluster
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "profiler", "run", "smoke", "--requests", "60"),
            *("--mock-speed", "2", "--cluster", address, "--out", "run", "--quiet"),
        ],
        cwd=tmp_path,
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        wait_until(
            lambda: _is_under_way(tmp_path) or process.poll() is not None, "some were answered"
        )
        doomed = marked(mark, "worker")[0]
        subprocess.run(["kill", "-9", str(doomed)], check=True)
        _, err = process.communicate(timeout=90)
    assert process.returncode == 4, err
    assert len(err.strip().splitlines()) == 1
    assert "was lost" in err
    sample = load_json(tmp_path / "run/profile.json")["sample"]
    assert sample["partial"]
    assert sample["partial_reasons"][0].endswith("of 2 left no journal")
    assert sample["interactions"] == 30


def _is_under_way(folder) -> bool:
    truth = folder / "run" / "mock_truth.jsonl"
    answered: int = truth.read_bytes().count(b"\n") if truth.exists() else 0
    return answered >= 8


def test_a_scheduler_that_is_not_there_is_one_line(tmp_path):
    done = agent_profiler("run", "smoke", "--cluster", "tcp://127.0.0.1:9", cwd=tmp_path)
    assert done.code == 2
    assert len(done.err.strip().splitlines()) == 1
    assert "no Dask scheduler answers" in done.err
