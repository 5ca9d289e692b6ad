"""`run --resume RUN_DIR`, as a user does it after a kill."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import orjson
import pytest

from tests.system.cli import Done, agent_profiler, command, environment, load_json
from tests.system.http_target import reply, target
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
    assert (done.is_done, done.out.strip()) == (True, "run/profile.json"), done.err
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


def test_a_directory_without_a_run_and_shards_that_never_began_are_said(tmp_path):
    done = agent_profiler("run", "--resume", tmp_path / "nothing", cwd=tmp_path)
    assert done.code == 2
    assert "cannot read the journal" in done.err
    done = agent_profiler("run", "--resume", tmp_path, cwd=tmp_path)
    assert done.code == 2
    assert "there is no journal: this is no run, or one that was killed before" in done.err
    (tmp_path / "split" / "shards" / "1").mkdir(parents=True)
    (tmp_path / "split" / "shards" / "1" / "journal.jsonl").write_text('{"event":"run"')
    done = agent_profiler("run", "--resume", "split", cwd=tmp_path)
    assert done.code == 2
    assert "no whole first line: nothing was sent" in done.err


def texts(run: Path) -> list[dict]:
    """Return what was said, line by line; a line that was cut off within is left out."""
    lines = (run / "texts.jsonl").read_bytes().splitlines()
    return [orjson.loads(line) for line in lines if line.endswith(b"}")]


def test_a_limit_is_over_all_parts_of_a_run_and_may_be_raised_and_texts_are_of_all(tmp_path):
    """An interaction is 100 tokens. Three users: as many may be under way at a limit."""
    (tmp_path / "mine.yaml").write_text(WORKLOAD.replace("users: 4", "users: 3"))
    run = tmp_path / "run"

    def go_on(*options: object) -> Done:
        return agent_profiler("run", "--resume", "run", "-q", *options, cwd=tmp_path)

    with target(lambda *_: (200, {}, reply(tokens=50))) as (url, heard):
        begun = agent_profiler(
            *("run", "mine.yaml", "--url", url, "--max-tokens", "1k", "--out", "run", "-q"),
            *("--save-text",),
            cwd=tmp_path,
        )
        first = len(heard)
        assert (begun.code, 10 <= first <= 12) == (4, True), begun.err
        assert len(texts(run)) == first

        stopped = go_on()
        assert (stopped.code, len(heard)) == (4, first)
        assert f"at least {first * 100:,} of 1,000 tokens are used" in stopped.err

        whole = (run / "texts.jsonl").read_bytes()
        (run / "texts.jsonl").write_bytes(whole[:-9])  # killed while it was written
        raised = go_on("--max-tokens", "2k")
        assert (raised.code, 20 <= len(heard) <= 22) == (4, True), raised.err
        assert len(texts(run)) == len(heard) - 1
        assert {line["reply"] for line in texts(run)} == {"fine"}
        again = [line["trace_id"] for line in texts(run)]
        assert len(set(again)) == len(again)

        remembered = go_on()
        assert remembered.code == 4
        assert f"at least {len(heard) * 100:,} of 2,000 tokens are used" in remembered.err
