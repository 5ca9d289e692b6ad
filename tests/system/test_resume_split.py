"""`run --resume` of a run over several processes: each session once, whoever was killed."""

from __future__ import annotations

import shutil
import signal
import subprocess
import threading
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.system.cli import agent_profiler, command, environment, json_lines, load_json
from tests.system.http_target import reply, target
from tests.system.processes import MARK, marked, no_orphans
from tests.system.test_workers import WORKER, wait_for_interactions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from http.server import BaseHTTPRequestHandler

    from tests.system.http_target import Answer

pytestmark = pytest.mark.system

SESSIONS, TURNS = 40, 3
HELD = 10
"""What each of the four users is answered before: a third of it all together."""

WAIT_S = 60
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


@pytest.fixture(scope="module")
def agent() -> Iterator[tuple[str, threading.Event]]:
    """An agent that answers `HELD` requests a connection, and no more until it is told to go on.

    Not so many of all: one worker may have had them before the other sends its first.
    """
    go_on = threading.Event()
    heard: Counter[object] = Counter()

    def answer(_: int, request: BaseHTTPRequestHandler) -> Answer:
        heard[request.client_address] += 1
        if heard[request.client_address] > HELD:
            go_on.wait(WAIT_S)
        return 200, {}, reply(tokens=50)

    with target(answer) as (url, _):
        yield url, go_on


@pytest.fixture(scope="module")
def resumed(tmp_path_factory, agent) -> Path:
    """The directory of a run, a worker of which was killed and then its conductor, gone on with."""
    url, go_on = agent
    folder: Path = tmp_path_factory.mktemp("resume-split")
    run = folder / "run"
    (folder / "mine.yaml").write_text(WORKLOAD)
    with no_orphans() as mark:
        process = subprocess.Popen(
            command("run", "mine.yaml", "--url", url, "--workers", 2, "--out", "run", "-q"),
            cwd=folder,
            env=environment(**{MARK: mark}),
            stdout=subprocess.DEVNULL,
        )
        wait_for_interactions(run, 1)
        subprocess.run(["kill", "-9", str(marked(mark, WORKER)[0])], check=True)
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=WAIT_S)
        sent = sum(path.read_bytes().count(SENT) for path in run.rglob("journal.jsonl"))
        assert 2 <= sent <= 4 * HELD
        go_on.set()
        done = agent_profiler("run", "--resume", "run", "-q", cwd=folder, **{MARK: mark})
    assert (done.is_done, done.out.strip()) == (True, "run/profile.json"), done.err
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
    assert done.is_done, done.err
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


def test_a_shard_that_others_started_is_resumed_as_that_shard(tmp_path, agent):
    url, go_on = agent
    go_on.set()
    (tmp_path / "mine.yaml").write_text(WORKLOAD)
    done = agent_profiler(
        *("run", "mine.yaml", "--url", url, "--shard", "/2", "--max-tokens", "2k", "--out", "run"),
        cwd=tmp_path,
        JOB_COMPLETION_INDEX="1",
    )
    assert done.code == 4, done.err
    done = agent_profiler("run", "--resume", "run", "-q", "--max-tokens", "1M", cwd=tmp_path)
    assert done.is_done, done.err
    assert counted(tmp_path / "run") == Counter({key: 1 for key in ALL if key[0] % 2 == 1})
