"""Care for the systems of others, on real sockets."""

from __future__ import annotations

import socket
from itertools import pairwise

import pytest

from tests.system.cli import ROOT, agent_profiler, json_lines, load_json
from tests.system.http_target import reply, target

pytestmark = pytest.mark.system
SMOKE = ROOT / "scenarios/smoke.yaml"


def test_a_dry_run_connects_to_nobody_and_writes_nothing(tmp_path):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1/chat/completions"
        done = agent_profiler(
            "run",
            SMOKE,
            *("--url", url, "--dry-run", "-n", 7, "--users", 3),
            *("--max-cost", "$5", "--price-input", 2, "--price-output", 8, "--ramp-up", "2s"),
            cwd=tmp_path,
        )
        assert done.is_done, done.err
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert list(tmp_path.iterdir()) == []
    for part in (url, "openai-chat", "3 users", "7 interactions", "$5", "journal.jsonl", "spend"):
        assert part in done.out


def test_beyond_this_machine_needs_a_yes_and_names_everything(tmp_path):
    # A workload's own URL is asked for as well as --url; TEST-NET-1 is nobody's.
    file = tmp_path / "w.yaml"
    file.write_text(
        "target: {url: 'http://192.0.2.1/v1'}\nload: {users: 2, requests: 5}\n"
        "scenarios: [{name: a, turns: [{user: hello}]}]\n"
    )
    done = agent_profiler("run", file, cwd=tmp_path)
    assert done.code == 2
    (line,) = done.err.splitlines()
    for part in ("192.0.2.1", "5 interactions", "2 users", "spend not known", "--yes"):
        assert part in line
    assert [one.name for one in tmp_path.iterdir()] == ["w.yaml"]


def test_every_request_of_a_run_names_it(tmp_path):
    file = tmp_path / "w.yaml"
    with target(lambda *_: (200, {}, reply())) as (url, heard):
        file.write_text(
            f"name: my load\ntarget: {{url: '{url}', stream: false}}\n"
            "load: {users: 2, requests: 4}\n"
            "scenarios: [{name: a, turns: [{user: hello}]}]\n"
        )
        done = agent_profiler("run", file, "-q", "--out", "run", cwd=tmp_path)
        assert done.is_done, done.err
        run_id = json_lines(tmp_path / "run/journal.jsonl")[0]["run_id"]
        assert {one["x-load-test"] for one in heard} == {f"agent-profiler run={run_id}"}
        assert {one["user-agent"].partition("/")[0] for one in heard} == {"agent-profiler"}


def test_a_run_stops_at_its_tokens_and_overshoots_by_no_more_than_is_under_way(tmp_path):
    with target(lambda *_: (200, {}, reply(tokens=50))) as (url, heard):
        done = agent_profiler(
            "run",
            SMOKE,
            *("--url", url, "--users", 3, "-n", 500, "--max-tokens", "1k", "--out", "run", "-q"),
            cwd=tmp_path,
        )
    assert done.code == 4
    assert "tokens are used" in done.err
    # An interaction is 100 tokens: ten reach the limit, and two others were under way.
    assert 10 <= len(heard) <= 12
    sample = load_json(tmp_path / "run/profile.json")["sample"]
    assert sample["partial_reasons"] == ["max_tokens"]
    assert sample["succeeded"] == len(heard)


def test_a_target_that_asks_for_a_second_gets_it_and_the_profile_says_so(tmp_path):
    def busy(number, _request):
        rejected = 5 <= number < 25
        return (503, {"retry-after": "1"}, {}) if rejected else (200, {}, reply())

    with target(busy) as (url, heard):
        done = agent_profiler(
            "run",
            SMOKE,
            *("--url", url, "--users", 1, "-n", 30, "--error-limit", 0.9, "--out", "run"),
            cwd=tmp_path,
        )
    assert done.is_done, done.err
    assert len(heard) == 30
    journal = json_lines(tmp_path / "run/journal.jsonl")
    (pause,) = [event for event in journal if event["event"] == "backoff"]
    assert (pause["until_ns"] - pause["at_ns"], pause["is_asked"]) == (1_000_000_000, True)
    sends = [event["send_ns"] for event in journal if event["event"] == "interaction"]
    assert not [ns for ns in sends if pause["at_ns"] < ns < pause["until_ns"]]
    assert max(b - a for a, b in pairwise(sends)) >= 1_000_000_000
    assert load_json(tmp_path / "run/profile.json")["load"]["backed_off_s"] == 1
    assert "paused for 1 s" in done.out.replace("1.00 s", "1 s")
