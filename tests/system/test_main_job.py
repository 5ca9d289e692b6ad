"""The main job through real processes and real sockets: run, truth, profile."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import orjson
import pytest

from profiler.cli.files import TRUTH_NAME
from tests.system.cli import (
    AIRLINE,
    ROOT,
    agent_profiler,
    count_recorded,
    json_lines,
    load_json,
    total,
)

pytestmark = pytest.mark.system

PARTS = {
    "system_tokens": "system",
    "tool_schema_tokens": "tool_schemas",
    "history_tokens": "history",
    "user_tokens": "user",
    "tool_result_tokens": "tool_results",
}


@pytest.fixture(scope="module")
def airline(tmp_path_factory) -> Path:
    """Run the shipped airline workload as it is, only faster."""
    folder = tmp_path_factory.mktemp("airline")
    done = agent_profiler(
        "run", ROOT / "scenarios/airline.yaml", "--mock-speed", 20, "--out", "run", cwd=folder
    )
    assert done.is_done, done.err
    run: Path = folder / "run"
    (run / "stdout.txt").write_text(done.out)
    return run


def measured_truth(run: Path) -> tuple[list[dict], list[dict]]:
    """Return the truth log's interactions and LLM requests of the measured phase."""
    measured = {
        event["trace_id"]
        for event in json_lines(run / "journal.jsonl")
        if event["event"] == "interaction" and event["phase"] == "measure"
    }
    truth = [line for line in json_lines(run / TRUTH_NAME) if line["trace_id"] in measured]
    interactions = [line for line in truth if line["kind"] == "interaction"]
    assert {line["trace_id"] for line in interactions} == measured
    return interactions, [line for line in truth if line["kind"] == "llm_request"]


def test_the_shipped_workload_measures_at_least_100_interactions(airline):
    profile = load_json(airline / "profile.json")
    assert profile["sample"]["interactions"] >= 100
    assert profile["sample"]["succeeded"] == profile["sample"]["interactions"]
    assert profile["sample"]["warmup_excluded"] > 0
    assert not profile["sample"]["partial"]


def test_llm_calls_and_tokens_equal_what_the_mock_llm_served(airline):
    _, requests = measured_truth(airline)
    metrics = load_json(airline / "profile.json")["interaction"]
    assert total(metrics["llm_calls"]) == len(requests)
    assert total(metrics["input_tokens"]) == sum(r["prompt_tokens"] for r in requests)
    assert total(metrics["output_tokens"]) == sum(r["completion_tokens"] for r in requests)
    assert total(metrics["cached_input_tokens"]) == sum(r["cached_tokens"] for r in requests)
    for metric, part in PARTS.items():
        assert total(metrics[metric]) == sum(r["parts"][part] for r in requests), metric


def test_tool_calls_of_each_tool_equal_what_the_mock_agent_ran(airline):
    interactions, _ = measured_truth(airline)
    profile = load_json(airline / "profile.json")
    ran: Counter[str] = Counter()
    for line in interactions:
        ran.update(line["tool_calls"])
    assert {name: tool["calls"] for name, tool in profile["tools"].items()} == dict(ran)
    assert total(profile["interaction"]["tool_calls"]) == ran.total()


def test_state_reads_and_writes_equal_what_the_store_did(airline):
    interactions, _ = measured_truth(airline)
    store = load_json(airline / "profile.json")["state"]["memory"]
    assert total(store["reads"]) == sum(line["state_reads"] for line in interactions)
    assert total(store["writes"]) == sum(line["state_writes"] for line in interactions)


def test_the_profile_says_who_saw_what(airline):
    metrics = load_json(airline / "profile.json")["interaction"]
    assert metrics["latency"]["source"] == "client"
    assert metrics["llm_calls"]["source"] == "response"
    assert (metrics["input_tokens"]["method"], metrics["user_tokens"]["method"]) == (
        "reported",
        "counted",
    )
    assert metrics["llm_calls"]["coverage"] == 1.0


def test_the_table_and_the_files_say_the_same(airline):
    shown = (airline / "stdout.txt").read_text()
    markdown = (airline / "profile.md").read_text().replace("\\_", "_")  # Markdown's escape
    for word in ("LLM calls", "input tokens", "history", "get_reservation_details", "response"):
        assert word in shown
        assert word in markdown
    assert "agent-profiler run" in shown
    assert "--seed 1" in shown
    assert "profile.json" in shown


def test_the_same_journal_gives_the_same_profile_byte_for_byte(airline):
    first = (airline / "profile.json").read_bytes()
    markdown = (airline / "profile.md").read_bytes()
    done = agent_profiler("profile", airline, "--quiet", cwd=airline.parent)
    assert (done.code, done.out.strip()) == (0, str(airline / "profile.json"))
    assert (airline / "profile.json").read_bytes() == first
    assert (airline / "profile.md").read_bytes() == markdown


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """Replay all 50 recorded sessions whole: each once, 16 users, no warm-up."""
    return replay_whole(tmp_path_factory.mktemp("whole"), AIRLINE, sessions=50, users=16)


def replay_whole(folder: Path, recordings: Path, *, sessions: int, users: int) -> Path:
    workload = folder / "whole.yaml"
    workload.write_text(
        f"name: whole\nload: {{users: {users}, sessions: {sessions}, warmup: 0}}\n"
        f"scenarios: [{{name: recorded, conversations: {recordings}}}]\n"
    )
    done = agent_profiler("run", workload, "--mock-speed", 50, "--out", "run", cwd=folder)
    assert done.is_done, done.err
    return folder / "run"


def test_the_50_sessions_give_what_was_counted_from_the_recordings(whole):
    profile = load_json(whole / "profile.json")
    assert profile["sample"]["sessions"] == profile["sample"]["sessions_completed"] == 50
    assert profile["sample"]["interactions"] == 360
    calls = profile["interaction"]["llm_calls"]
    assert total(calls) == 629
    assert calls["mean"] == pytest.approx(1.7472, abs=5e-5)
    assert calls["max"] == 13
    tools = {name: tool["calls"] for name, tool in profile["tools"].items()}
    assert sum(tools.values()) == 269
    assert tools["get_reservation_details"] == 93
    assert tools["search_direct_flight"] == 34
    assert tools["get_user_details"] == 30
    recorded = count_recorded(AIRLINE)
    assert (recorded.llm_calls, recorded.most_llm_calls) == (629, 13)
    assert tools == dict(recorded.tools)


def test_every_session_is_followed_as_it_was_recorded(whole):
    events = json_lines(whole / "journal.jsonl")
    conversation_of = {
        e["trace_id"]: (e["conversation"], e["turn"]) for e in events if e["event"] == "interaction"
    }
    seen: Counter[tuple[str, int]] = Counter()
    for event in events:
        if event["event"] == "llm_call":
            seen[conversation_of[event["trace_id"]]] += 1
    expected: Counter[tuple[str, int]] = Counter()
    for conversation in json_lines(AIRLINE):
        turn = -1
        for message in conversation["messages"]:
            turn += message["role"] == "user"
            expected[conversation["id"], turn] += message["role"] == "assistant"
    assert seen == +expected


def test_sessions_that_begin_alike_are_told_apart(tmp_path):
    def call(name, call_id="call_1", **arguments):
        function = {"name": name, "arguments": str(arguments).replace("'", '"')}
        return {"id": call_id, "type": "function", "function": function}

    def user(text):
        return {"role": "user", "content": text}

    def says(text, *calls):
        return {"role": "assistant", "content": text, **({"tool_calls": calls} if calls else {})}

    def result(text, name, call_id="call_1"):
        return {"role": "tool", "tool_call_id": call_id, "name": name, "content": text}

    hello, ok = user("Hello"), user("Yes")
    conversations = {
        "short": [hello, says("Hi!")],
        "same-as-short": [hello, says("Hi!")],
        "one-tool": [
            hello,
            says(None, call("find")),
            result("A", "find"),
            says("Found A"),
            ok,
            says("Bye"),
        ],
        "two-tools": [
            {"role": "system", "content": "Be brief."},
            hello,
            says(None, call("find")),
            result("A", "find"),
            says(None, call("find")),
            result("B", "find"),
            says("Found B"),
            ok,
            says("Anything else?"),
            ok,
            says(None, call("close"), call("log", "call_2")),
            result("done", "close"),
            result("logged", "log", "call_2"),
            says("Closed"),
        ],
        "greeted": [says("Welcome"), hello, says("Hi again"), ok, says("Sure")],
    }
    recordings = tmp_path / "alike.jsonl"
    recordings.write_bytes(
        b"".join(
            orjson.dumps({"id": name, "messages": messages}) + b"\n"
            for name, messages in conversations.items()
        )
    )
    run = replay_whole(tmp_path, recordings, sessions=5, users=5)
    profile = load_json(run / "profile.json")
    # By hand, turn by turn: short 1, the same 1, one-tool 2 + 1, two-tools 3 + 1 + 2, greeted 1 + 1
    assert profile["sample"]["interactions"] == 9
    assert total(profile["interaction"]["llm_calls"]) == 13
    assert {name: tool["calls"] for name, tool in profile["tools"].items()} == {
        "find": 3,
        "close": 1,
        "log": 1,
    }


def test_the_support_workload_runs_and_its_tools_are_seen(tmp_path):
    done = agent_profiler(
        "run", "support", "--mock-speed", 50, "-n", 100, "--out", "run", cwd=tmp_path
    )
    assert done.is_done, done.err
    profile = load_json(tmp_path / "run" / "profile.json")
    assert profile["sample"]["succeeded"] == 100
    assert profile["tools"]


def test_an_open_loop_keeps_its_schedule(tmp_path):
    done = agent_profiler(
        *("run", "smoke", "--rate", "40/s", "-n", 100, "--mock-speed", 50, "--out", "run"),
        cwd=tmp_path,
    )
    assert done.code in {0, 4}, done.err  # 4: a busy machine may well be the bottleneck, and say so
    profile = load_json(tmp_path / "run" / "profile.json")
    assert profile["load"]["mode"] == "open"
    assert profile["interaction"]["scheduled_latency"]["count"] == 100
    assert profile["interaction"]["dispatch_delay"]["count"] == 100


def test_merging_two_runs_adds_them_up(tmp_path):
    for seed in (1, 2):
        done = agent_profiler(
            *("run", "smoke", "--seed", seed, "--mock-speed", 50, "-q", "--out", f"run{seed}"),
            cwd=tmp_path,
        )
        assert done.is_done, done.err
    done = agent_profiler("merge", "run1", "run2/profile.json", "--out", "both.json", cwd=tmp_path)
    assert done.is_done, done.err
    one, two, both = (
        load_json(tmp_path / name)
        for name in ("run1/profile.json", "run2/profile.json", "both.json")
    )
    assert both["sample"]["interactions"] == (
        one["sample"]["interactions"] + two["sample"]["interactions"]
    )
    assert total(both["interaction"]["input_tokens"]) == (
        total(one["interaction"]["input_tokens"]) + total(two["interaction"]["input_tokens"])
    )
