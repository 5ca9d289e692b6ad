"""What `workload` says of a run before it, and what the run then sends: the same."""

from __future__ import annotations

from collections import Counter

import orjson
import pytest

from tests.system.cli import ROOT, agent_profiler, json_lines

pytestmark = pytest.mark.system

TRACES = ROOT / "tests" / "data" / "traces"
SPEED = 10


def outlook(folder, *arguments):
    done = agent_profiler("workload", *arguments, "--json", cwd=folder)
    assert done.is_done, done.err
    return orjson.loads(done.out)


def measured(folder, *arguments):
    """Run it on the mock agent; return the measured interactions.

    Exit code 4 is for a harness that was late, as it may be where tests share a machine.
    """
    done = agent_profiler(
        *("run", *arguments, "--mock-speed", 50, "--out", "run", "--quiet"), cwd=folder
    )
    assert done.code in {0, 4}, done.err
    lines = json_lines(folder / "run" / "journal.jsonl")
    return [
        line for line in lines if line.get("event") == "interaction" and line["phase"] == "measure"
    ]


def of(found, name):
    return next(d for d in found["distributions"] if d["name"] == name)


def expect(found, sent):
    """Compare counts, tokens and pauses with those of the journal, to the last one."""
    assert found["expected"]["interactions"] == len(sent)
    assert found["expected"]["sessions"] == len({line["session"] for line in sent})
    for name, scenario in found["scenarios"].items():
        assert scenario["interactions"] == sum(line["scenario"] == name for line in sent)
    users = [line["counted"]["user"] for line in sent]
    tokens = next(d for d in found["distributions"] if "tokens" in d["name"])
    assert (tokens["count"], tokens["max"]) == (len(users), max(users))
    assert tokens["mean"] * len(users) == pytest.approx(sum(users))
    for low, below, count in tokens["histogram"]:
        assert count == sum(low <= value < below for value in users)


@pytest.mark.parametrize(
    "arguments",
    [
        ("airline",),
        ("support", "--sessions", 40, "--warmup", 3, "--seed", 7),
        ("smoke", "--sessions", 12),
        ("support", "--rate", "20/s", "--sessions", 30, "--max-in-flight", 1000),
    ],
)
def test_whole_sessions_are_those_that_are_sent(tmp_path, arguments):
    found = outlook(tmp_path, *arguments)
    sent = measured(tmp_path, *arguments)
    expect(found, sent)
    turns = Counter(line["session"] for line in sent).values()
    for low, below, count in of(found, "turns per session")["histogram"]:
        assert count == sum(low <= number < below for number in turns)
    pauses = [line["think_time_ns"] // 10**6 for line in sent if line["turn"]]
    if any(pauses):
        think = of(found, "think time")
        assert (think["count"], think["min"], think["max"]) == (
            *(len(pauses), min(pauses)),
            max(pauses),
        )


def test_a_trace_is_shown_as_it_is_replayed_and_is_alike_to_itself(tmp_path):
    trace = TRACES / "mooncake-conversation-60.jsonl"
    done = agent_profiler("import", "mooncake", trace, "-o", "x.yaml", cwd=tmp_path)
    assert done.is_done, done.err
    workload = tmp_path / "x.yaml"
    workload.write_text(workload.read_text().replace("speed: 1 ", f"speed: {SPEED} "))
    found = outlook(tmp_path, "x.yaml", "--against", trace)
    assert [d["verdict"] for d in found["against"]["dimensions"] if "ks_distance" in d] == [
        "inconclusive",
        "inconclusive",
    ]  # 60 requests hide a difference of 0.25
    assert all(d.get("ks_distance", 0) == 0 for d in found["against"]["dimensions"])
    recorded = json_lines(trace)
    lengths = [line["input_length"] for line in recorded]
    assert of(found, "prompt tokens")["max"] == max(lengths)
    assert of(found, "prompt tokens")["mean"] == pytest.approx(sum(lengths) / 60)
    last_s = max(line["timestamp"] for line in recorded) / 1000
    assert found["expected"]["duration_s"] == pytest.approx(last_s / SPEED)
    expect(found, measured(tmp_path, "x.yaml"))
    azure = TRACES / "azure-llm-conv-60.csv"
    other = outlook(tmp_path, "x.yaml", "--against", azure, "--kind", "azure-llm")
    prompts = next(d for d in other["against"]["dimensions"] if d["name"] == "prompt tokens")
    assert prompts["verdict"] == "different"


def test_what_the_recordings_hold_is_what_the_workload_sends(tmp_path):
    data = ROOT / "scenarios" / "data" / "airline.jsonl"
    done = agent_profiler("workload", "airline", "--against", data, cwd=tmp_path, COLUMNS="80")
    assert (done.code, done.err) == (0, "")
    assert "50 sessions, 360 user" in done.out
    assert done.out.count("KS distance 0.000") == 2
