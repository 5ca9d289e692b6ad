"""`run --resume RUN_DIR`, as a user does it after a kill."""

from __future__ import annotations

import shutil
import signal
import subprocess

import pytest

from tests.system.cli import agent_profiler, command, environment, load_json
from tests.system.test_endings import interactions, wait_for_interactions

pytestmark = pytest.mark.system

WORKLOAD = """\
name: mine
load: {users: 4, requests: 120, warmup: 0, seed: 5}
scenarios:
- {name: a, turns: [{user: "hello"}, {user: "and then?"}, {user: "bye"}]}
"""


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """The directory in which a run was killed, its workload, and its traces so far."""
    folder = tmp_path_factory.mktemp("resume")
    (folder / "mine.yaml").write_text(WORKLOAD)
    process = subprocess.Popen(
        command("run", "mine.yaml", "--mock-speed", 10, "--out", "run", "--quiet"),
        cwd=folder,
        env=environment(),
        stdout=subprocess.DEVNULL,
    )
    wait_for_interactions(folder / "run", 20)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=30)
    return folder


@pytest.fixture(scope="module")
def resumed(killed):
    before = {event["trace_id"] for event in interactions(killed / "run")}
    done = agent_profiler("run", "--resume", "run", "--quiet", cwd=killed)
    return done, before, killed / "run"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--users", 2), "--users does not go with --resume"),
        (("--url", "http://127.0.0.1:9/v1"), "the run was begun without --url"),
        (("other.yaml",), "the workload has changed since the run began (workload)"),
    ],
)
def test_what_contradicts_the_run_is_refused_and_nothing_is_sent(killed, arguments, said):
    (killed / "other.yaml").write_text(WORKLOAD.replace("bye", "see you"))
    journal = (killed / "run" / "journal.jsonl").read_bytes()
    done = agent_profiler("run", "--resume", "run", *arguments, cwd=killed)
    assert done.code == 2
    assert said in done.err
    assert (killed / "run" / "journal.jsonl").read_bytes() == journal


def test_a_killed_run_goes_on_to_its_end(resumed):
    done, before, run = resumed
    assert (done.code, done.out.strip()) == (0, "run/profile.json"), done.err
    traces = [event["trace_id"] for event in interactions(run)]
    assert len(set(traces)) == len(traces)
    assert before < set(traces)
    profile = load_json(run / "profile.json")
    assert profile["sample"]["interactions"] == 120
    assert not profile["sample"]["partial"]
    assert profile["run"]["resumed"] == 1
    first, second = profile["run"]["parts"]
    assert first["window_end_ns"] < second["window_start_ns"]
    assert first["interactions"] + second["interactions"] == 120


def test_a_run_that_has_ended_is_not_sent_again(resumed):
    _, _, run = resumed
    journal, profile = ((run / name).read_bytes() for name in ("journal.jsonl", "profile.json"))
    again = agent_profiler("run", "--resume", "run", cwd=run.parent)
    assert again.code == 0
    assert "The run has ended already: nothing was sent." in again.err
    assert (run / "journal.jsonl").read_bytes() == journal
    assert (run / "profile.json").read_bytes() == profile


def test_a_directory_without_a_run_and_one_of_a_split_run_are_said(resumed, tmp_path):
    _, _, run = resumed
    done = agent_profiler("run", "--resume", tmp_path / "nothing", cwd=tmp_path)
    assert done.code == 2
    assert "cannot read the journal" in done.err
    shutil.copytree(run, tmp_path / "split" / "shards" / "1")
    done = agent_profiler("run", "--resume", "split", cwd=tmp_path)
    assert done.code == 2
    assert "split over workers cannot be resumed" in done.err
