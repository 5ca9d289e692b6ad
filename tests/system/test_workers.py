"""A run over several processes: the same interactions, one end, nothing left behind."""

from __future__ import annotations

import signal
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.system.cli import (
    AIRLINE,
    ROOT,
    agent_profiler,
    command,
    complaints,
    count_recorded,
    environment,
    json_lines,
    load_json,
    total,
)
from tests.system.processes import MARK, marked, no_orphans, wait_until
from tests.system.stores import free_port

pytestmark = pytest.mark.system

WORKER = "profiler.load.workers"


def sent(run: Path) -> list[tuple]:
    """Return what was sent: each interaction's place, and the conversation it is of."""
    return sorted(
        (event["session_index"], event["turn"], event["conversation"], event["counted"]["user"])
        for journal in [run / "journal.jsonl", *run.glob("shards/*/journal.jsonl")]
        if journal.exists()
        for event in json_lines(journal)
        if event["event"] == "interaction"
    )


def assert_same_run(split: Path, alone: Path, profile: str = "profile.json") -> None:
    """The same interactions were sent, and the same counts came of them."""
    one, several = load_json(alone / "profile.json"), load_json(split / profile)
    for count in ("interactions", "succeeded", "failed", "sessions", "sessions_completed"):
        assert several["sample"][count] == one["sample"][count], count
    assert not several["sample"]["partial"]
    for metric in ("llm_calls", "tool_calls", "input_tokens", "output_tokens", "user_tokens"):
        assert total(several["interaction"][metric]) == total(one["interaction"][metric]), metric
    assert {n: t["calls"] for n, t in several["tools"].items()} == {
        n: t["calls"] for n, t in one["tools"].items()
    }
    assert several["run"]["digests"] == one["run"]["digests"]


@pytest.fixture(scope="module")
def split(tmp_path_factory, alone) -> Path:
    folder: Path = tmp_path_factory.mktemp("split")
    with no_orphans() as mark:
        done = agent_profiler(
            *("run", alone.parent / "w.yaml", "--sessions", 50, "--users", 16, "--workers", 2),
            *("--mock-speed", 50, "--out", "run"),
            cwd=folder,
            **{MARK: mark},
        )
    assert done.is_without_complaint, done.err
    (folder / "stdout.txt").write_text(done.out)
    return folder / "run"


def test_two_workers_measure_what_was_recorded(split):
    profile, recorded = load_json(split / "profile.json"), count_recorded(AIRLINE)
    sample = profile["sample"]
    assert sample["interactions"] == recorded.interactions == 360
    assert sample["sessions"] == sample["sessions_completed"] == recorded.sessions == 50
    assert not sample["partial"]
    assert total(profile["interaction"]["llm_calls"]) == recorded.llm_calls == 629
    assert {n: t["calls"] for n, t in profile["tools"].items()} == dict(recorded.tools)


def test_two_workers_send_together_what_one_sends(split, alone):
    of_one = sent(alone)
    sessions = {index for index, *_ in of_one}
    assert [row for row in sent(split) if row[0] in sessions] == of_one
    assert {index for index, *_ in sent(split)} == set(range(50))


def test_each_worker_did_its_part_at_the_same_time(split):
    parts = load_json(split / "profile.json")["run"]["parts"]
    assert [part["users"] for part in parts] == [8, 8]
    assert load_json(split / "profile.json")["load"]["users"] == 16
    for shard in (1, 2):
        events = json_lines(split / f"shards/{shard}/journal.jsonl")
        indices = {e["session_index"] for e in events if e["event"] == "interaction"}
        assert indices == set(range(shard - 1, 50, 2))
    first, second = parts
    assert first["window_start_ns"] < second["window_end_ns"]
    assert second["window_start_ns"] < first["window_end_ns"]


def test_the_profile_of_a_split_run_is_computed_again_byte_for_byte(split):
    files = [split / "profile.json", split / "profile.md", *split.glob("shards/*/profile.json")]
    before = [file.read_bytes() for file in files]
    assert len(files) == 4
    for file in files:
        file.unlink()
    done = agent_profiler("profile", split, "--quiet", cwd=split.parent)
    assert (done.code, done.out.strip()) == (0, str(split / "profile.json"))
    assert [file.read_bytes() for file in files] == before


def test_a_split_run_is_never_overwritten_and_says_how_it_was_made(split):
    assert "--workers 2" in (split.parent / "stdout.txt").read_text()
    done = agent_profiler("run", "smoke", "--out", split, cwd=split.parent)
    assert done.code == 2
    assert "never overwritten" in done.err


def test_shards_that_others_started_merge_to_the_same_run(tmp_path, alone):
    arguments = ("run", alone.parent / "w.yaml", "--mock-speed", 50, "-q", "--start-at", "+2s")
    started = [
        subprocess.Popen(
            command(*arguments, "--shard", shard, "--out", f"part{index}"),
            cwd=tmp_path,
            env=environment(JOB_COMPLETION_INDEX="1"),
        )
        for index, shard in enumerate(("1/2", "/2"))
    ]
    # 4: on too slow a machine each part says so
    assert {process.wait(60) for process in started} <= {0, 4}
    done = agent_profiler("merge", "part0", "part1", "--out", "both.json", cwd=tmp_path)
    assert done.is_done, done.err
    assert_same_run(tmp_path, alone, "both.json")
    assert sorted(sent(tmp_path / "part0") + sent(tmp_path / "part1")) == sent(alone)


def start_run(folder: Path, mark: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command("run", *arguments, "--workers", 2, "--out", "run"),
        cwd=folder,
        env=environment(**{MARK: mark}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_interactions(run: Path, each: int) -> None:
    def lines(shard: int) -> int:
        journal = run / f"shards/{shard}/journal.jsonl"
        return journal.read_bytes().count(b'"event":"interaction"') if journal.exists() else 0

    wait_until(lambda: lines(1) >= each and lines(2) >= each, "both shards have sent")


def test_a_worker_that_is_killed_is_told_and_the_other_goes_on(tmp_path, alone):
    with no_orphans() as mark:
        process = start_run(tmp_path, mark, alone.parent / "w.yaml", "--mock-speed", 10)
        wait_for_interactions(tmp_path / "run", 3)
        doomed, _ = marked(mark, WORKER)
        subprocess.run(["kill", "-9", str(doomed)], check=True)
        _, err = process.communicate(timeout=90)
    assert process.returncode == 4
    assert len(complaints(err)) == 1
    assert f"process {doomed} was killed by SIGKILL" in err
    lost = 1 if "shard 1 was lost" in err else 2
    profile = load_json(tmp_path / "run/profile.json")
    of_shard = {k: load_json(tmp_path / f"run/shards/{k}/profile.json") for k in (1, 2)}
    assert profile["sample"]["partial"]
    (reason,) = profile["sample"]["partial_reasons"]
    assert reason.startswith(f"shard {lost} of 2: the journal has no end")
    assert of_shard[3 - lost]["sample"]["sessions_completed"] == 4
    assert of_shard[lost]["sample"]["interactions"] >= 3
    assert profile["sample"]["interactions"] == sum(
        one["sample"]["interactions"] for one in of_shard.values()
    )


def test_ctrl_c_stops_all_workers_and_profiles_what_there_is(tmp_path):
    with no_orphans() as mark:
        process = start_run(tmp_path, mark, "airline", "--warmup", 0, "-n", 5000)
        wait_for_interactions(tmp_path / "run", 3)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, complaints(err)) == (130, [])
    assert "profile.json" in out
    sample = load_json(tmp_path / "run/profile.json")["sample"]
    assert (sample["partial"], sample["partial_reasons"]) == (True, ["interrupted"])
    for shard in (1, 2):
        end = json_lines(tmp_path / f"run/shards/{shard}/journal.jsonl")[-1]
        assert (end["event"], end["reason"]) == ("end", "interrupted")


def test_workers_of_a_run_that_is_killed_stop_with_whole_journals(tmp_path):
    with no_orphans() as mark:
        process = start_run(tmp_path, mark, "airline", "--warmup", 0, "-n", 5000)
        wait_for_interactions(tmp_path / "run", 3)
        process.kill()
        process.communicate(timeout=60)
        wait_until(lambda: not marked(mark, WORKER), "the workers have stopped")
    for shard in (1, 2):
        end = json_lines(tmp_path / f"run/shards/{shard}/journal.jsonl")[-1]
        assert (end["event"], end["reason"]) == ("end", "interrupted")


def test_a_target_that_refuses_connections_is_one_line_for_all_workers(tmp_path):
    url = f"http://127.0.0.1:{free_port()}"
    with no_orphans() as mark:
        done = agent_profiler(
            *("run", ROOT / "scenarios/airline.yaml", "--url", url, "--workers", 4),
            cwd=tmp_path,
            **{MARK: mark},
        )
    assert done.code == 5
    assert len(done.err.strip().splitlines()) == 1
    assert url in done.err
    assert "refused" in done.err.lower()


class _Failing(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(500)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def test_the_error_limit_holds_over_all_workers(tmp_path):
    with ThreadingHTTPServer(("127.0.0.1", 0), _Failing) as server, no_orphans() as mark:
        threading.Thread(target=server.serve_forever).start()
        try:
            url = f"http://127.0.0.1:{server.server_port}"
            done = agent_profiler(
                *("run", "airline", "--url", url, "--workers", 2, "-n", 100_000, "--out", "run"),
                cwd=tmp_path,
                **{MARK: mark},
            )
        finally:
            server.shutdown()
    assert done.code == 5
    assert len(complaints(done.err)) == 1
    assert "interactions failed" in done.err
    for shard in (1, 2):
        end = json_lines(tmp_path / f"run/shards/{shard}/journal.jsonl")[-1]
        assert (end["event"], end["reason"]) == ("end", "error_limit")
