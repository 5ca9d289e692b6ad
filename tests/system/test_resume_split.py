"""`run --resume` of a run over several processes: each session once, whoever was killed."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.system.cli import agent_profiler, command, environment, json_lines, load_json
from tests.system.processes import MARK, marked, no_orphans, wait_until
from tests.system.test_workers import WORKER, wait_for_interactions

pytestmark = pytest.mark.system

SESSIONS, TURNS = 40, 3
SENT = b'"event":"interaction"'
WORKLOAD = f"""\
name: mine
load: {{users: 4, sessions: {SESSIONS}, warmup: 0, seed: 5}}
scenarios:
- {{name: a, turns: [{{user: "hello"}}, {{user: "and then?"}}, {{user: "bye"}}]}}
"""
ALL = Counter((index, turn) for index in range(SESSIONS) for turn in range(TURNS))


def counted(run: Path) -> Counter[tuple[int, int]]:
    """Return how often each turn of each session was sent, but for sessions begun anew."""
    events = [event for file in run.rglob("journal.jsonl") for event in json_lines(file)]
    anew = {name for event in events for name in event.get("superseded", ())}
    return Counter(
        (event["session_index"], event["turn"])
        for event in events
        if event["event"] == "interaction" and event["session"] not in anew
    )


def killed(folder: Path, mark: str) -> Path:
    """Begin a run over two workers; kill one of them, and then their conductor."""
    (folder / "mine.yaml").write_text(WORKLOAD)
    process = subprocess.Popen(
        command("run", "mine.yaml", "--mock-speed", 10, "--workers", 2, "--out", "run", "-q"),
        cwd=folder,
        env=environment(**{MARK: mark}),
        stdout=subprocess.DEVNULL,
    )
    run = folder / "run"
    wait_for_interactions(run, 4)
    subprocess.run(["kill", "-9", str(marked(mark, WORKER)[0])], check=True)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=30)
    return run


@pytest.fixture(scope="module")
def resumed(tmp_path_factory) -> Path:
    """The directory of a run whose worker and conductor were killed, and that was gone on with."""
    folder: Path = tmp_path_factory.mktemp("resume-split")
    with no_orphans() as mark:
        run = killed(folder, mark)
        sent = sum(path.read_bytes().count(SENT) for path in run.rglob("journal.jsonl"))
        assert 8 <= sent < SESSIONS * TURNS
        done = agent_profiler("run", "--resume", "run", "-q", cwd=folder, **{MARK: mark})
    assert (done.code, done.out.strip()) == (0, "run/profile.json"), done.err
    return run


def test_a_run_over_workers_that_was_killed_goes_on_to_its_end(resumed):
    assert counted(resumed) == ALL
    profile = load_json(resumed / "profile.json")
    sample = profile["sample"]
    assert (sample["interactions"], sample["sessions"]) == (SESSIONS * TURNS, SESSIONS)
    assert sample["sessions_completed"] == SESSIONS
    assert not sample["partial"]
    assert profile["run"]["resumed"] == 1
    assert sum(part["interactions"] for part in profile["run"]["parts"]) == SESSIONS * TURNS
    assert profile["load"]["users"] == 4


def test_what_its_workers_did_to_the_end_is_not_done_again(resumed):
    first, second = (resumed / f"shards/{number}" for number in (1, 2))
    journal = (first / "journal.jsonl").read_bytes()
    shutil.rmtree(second)
    with no_orphans() as mark:
        done = agent_profiler("run", "--resume", "run", "-q", cwd=resumed.parent, **{MARK: mark})
    assert done.code == 0, done.err
    assert (first / "journal.jsonl").read_bytes() == journal
    assert counted(resumed) == ALL
    assert load_json(resumed / "profile.json")["sample"]["interactions"] == SESSIONS * TURNS


def test_a_run_over_workers_that_has_ended_is_not_sent_again_nor_one_of_its_parts(resumed):
    before = {path: path.read_bytes() for path in resumed.rglob("*.jsonl")}
    done = agent_profiler("run", "--resume", "run", cwd=resumed.parent)
    assert done.code == 0
    assert "The run has ended already: nothing was sent." in done.err
    done = agent_profiler("run", "--resume", "run/shards/1", cwd=resumed.parent)
    assert done.code == 2
    assert "this is part 1 of a run over 2 workers" in done.err
    assert {path: path.read_bytes() for path in resumed.rglob("*.jsonl")} == before


def test_a_shard_that_others_started_is_resumed_as_that_shard(tmp_path):
    (tmp_path / "mine.yaml").write_text(WORKLOAD)
    run = tmp_path / "run"
    process = subprocess.Popen(
        command("run", "mine.yaml", "--mock-speed", 10, "--shard", "/2", "--out", "run", "-q"),
        cwd=tmp_path,
        env=environment(JOB_COMPLETION_INDEX="1"),
        stdout=subprocess.PIPE,
    )
    journal = run / "journal.jsonl"
    wait_until(lambda: journal.exists() and journal.read_bytes().count(SENT) >= 8, "it has sent")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    done = agent_profiler("run", "--resume", "run", "-q", cwd=tmp_path)
    assert done.code == 0, done.err
    assert counted(run) == Counter({key: 1 for key in ALL if key[0] % 2 == 1})
