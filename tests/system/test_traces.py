"""Traces imported and replayed: what was recorded is sent, when it was recorded."""

from __future__ import annotations

import math
import re
from statistics import median

import pytest

from tests.system.cli import ROOT, agent_profiler, json_lines, load_json
from tests.system.standstill import watching_the_machine

pytestmark = pytest.mark.system

MOONCAKE = ROOT / "tests" / "data" / "traces" / "mooncake-conversation-60.jsonl"
AZURE = ROOT / "tests" / "data" / "traces" / "azure-llm-conv-60.csv"
SPEED = 10
WAKE_NS = 500_000_000
"""How long the requests that fell due meanwhile may delay those behind them."""

USER_MESSAGE = 4
"""Tokens of a user's message beside its text: 3 for a message, 1 for its role (OpenAI cookbook)."""


def imported(folder, kind, file, *options, speed=SPEED):
    done = agent_profiler("import", kind, file, "-o", "x.yaml", *options, cwd=folder)
    assert done.is_done, done.err
    workload = folder / "x.yaml"
    text, times = re.subn(r"speed: 1 ", f"speed: {speed} ", workload.read_text())
    assert times == 1
    workload.write_text(text)
    return done.out


def replayed(folder, *options, codes=(0,)):
    """Run x.yaml on the mock agent; return interactions in the trace's order, truth, profile."""
    done = agent_profiler(
        *("run", "x.yaml", "--mock-speed", 100, "--out", "run", *options), cwd=folder
    )
    assert done.code in codes, done.err
    lines = [line for file in (folder / "run").rglob("*.jsonl") for line in json_lines(file)]
    sent = [line for line in lines if line.get("event") == "interaction"]
    sent.sort(key=lambda line: line["session_index"])
    truth = {
        line["trace_id"]: line
        for line in json_lines(folder / "run" / "mock_truth.jsonl")
        if line["kind"] == "llm_request"
    }
    return sent, truth, load_json(folder / "run" / "profile.json")


@pytest.fixture
def machine():
    with watching_the_machine() as machine:
        yield machine


def assert_half_are_in_time(machine, sent, times_ms):
    """Hold sends to the file's times, but for those in the wake of a machine that stood still."""
    start_ns = sent[0]["intended_start_ns"] - times_ms[0] * 1e6 / SPEED
    late_ms = []
    for line, at_ms in zip(sent, times_ms, strict=True):
        due_ns = start_ns + at_ms * 1e6 / SPEED
        if not machine.stood_still(due_ns - WAKE_NS, line["send_ns"]):
            late_ms.append(abs(line["send_ns"] - due_ns) / 1e6)
    assert not late_ms or median(late_ms) < 50, "half are late, even for a machine that is shared"


def whole_seconds(first_ns, last_ns):
    """Return how many seconds of the clock lie between: none or one in 1.5 s, as it happens."""
    return max(0, last_ns // 1_000_000_000 - math.ceil(first_ns / 1_000_000_000))


def test_a_mooncake_trace_is_sent_as_recorded_and_answered_as_recorded(tmp_path, machine):
    """Exit code 4 is for a harness that was late, as it may be where tests share a machine."""
    recorded = json_lines(MOONCAKE)
    out = imported(tmp_path, "mooncake", MOONCAKE)
    tokens = sum(line["input_length"] for line in recorded)
    assert f"60 requests (each a session of 1 turn), {tokens:,} input tokens" in out
    sent, truth, profile = replayed(tmp_path, codes=(0, 4))
    assert [line["outcome"] for line in sent] == ["ok"] * 60
    lengths = [line["input_length"] for line in recorded]
    assert [line["counted"]["user"] for line in sent] == lengths
    of_llm = [truth[line["trace_id"]] for line in sent]
    assert [line["parts"]["user"] - USER_MESSAGE for line in of_llm] == lengths
    outputs = [line["output_length"] for line in recorded]
    assert [line["completion_tokens"] for line in of_llm] == outputs
    assert [line["usage"]["output_tokens"] for line in sent] == outputs
    intended = [line["intended_start_ns"] - sent[0]["intended_start_ns"] for line in sent]
    assert intended == [line["timestamp"] * 1_000_000 // SPEED for line in recorded]
    assert_half_are_in_time(machine, sent, [line["timestamp"] for line in recorded])
    burstiness = profile["burstiness"]
    assert burstiness["asked"]["count"] == burstiness["sent"]["count"] == 60
    assert burstiness["sent"]["per_second"] is None, "it took a second and a half"
    [stretch] = burstiness["sent"]["stretches"]
    whole = whole_seconds(stretch["first_ns"], stretch["last_ns"])
    windows = "1 whole window" if whole == 1 else f"{whole} whole windows"
    assert burstiness["sent"]["reasons"]["per_second"] == f"{windows}, 10 are needed"


def test_workers_send_together_what_one_does(tmp_path):
    recorded = json_lines(MOONCAKE)
    imported(tmp_path, "mooncake", MOONCAKE)
    sent, truth, profile = replayed(tmp_path, "--workers", 2, codes=(0, 4))
    assert [line["counted"]["user"] for line in sent] == [line["input_length"] for line in recorded]
    assert [truth[line["trace_id"]]["completion_tokens"] for line in sent] == [
        line["output_length"] for line in recorded
    ]
    assert profile["burstiness"]["asked"]["count"] == 60


def test_an_azure_trace_is_sent_when_it_was_recorded(tmp_path, machine):
    """How exactly is the machine's, which tests share: `benchmarks/replay_trace.py` measures it."""
    rows = [line.split(",") for line in AZURE.read_text().splitlines()[1:]]
    imported(tmp_path, "azure-llm", AZURE, "--encoding", "cl100k_base")
    sent, truth, _ = replayed(tmp_path, codes=(0, 4))
    assert [line["counted"]["user"] for line in sent] == [int(row[1]) for row in rows]
    assert [truth[line["trace_id"]]["completion_tokens"] for line in sent] == [
        int(row[2]) for row in rows
    ]
    minutes_s = [row[0].split(" ")[1].split(":") for row in rows]
    times_ms = [(int(m) * 60 + float(s)) * 1000 for _, m, s in minutes_s]
    intended_ms = [
        (line["intended_start_ns"] - sent[0]["intended_start_ns"]) / 1e6 for line in sent
    ]
    due_ms = [(at_ms - times_ms[0]) / SPEED for at_ms in times_ms]
    assert intended_ms == pytest.approx(due_ms, abs=0.001)
    assert all(line["send_ns"] >= line["intended_start_ns"] for line in sent)
    assert_half_are_in_time(machine, sent, [at_ms - times_ms[0] for at_ms in times_ms])


def test_a_dropped_arrival_takes_its_request_with_it(tmp_path):
    """What is sent later is what was recorded for that time, not what was dropped."""
    recorded = json_lines(MOONCAKE)
    imported(tmp_path, "mooncake", MOONCAKE)
    workload = tmp_path / "x.yaml"
    text = workload.read_text().replace("  # max_in_flight: 200 ", "  max_in_flight: 2 ")
    workload.write_text(text)
    sent, _, profile = replayed(tmp_path, codes=(0, 4))
    assert 0 < len(sent) < 60
    assert profile["load"]["dropped"] == 60 - len(sent)
    begin_ns = sent[0]["intended_start_ns"]
    for line in sent:
        request = recorded[line["session_index"]]
        assert line["counted"]["user"] == request["input_length"]
        assert line["intended_start_ns"] - begin_ns == request["timestamp"] * 1_000_000 // SPEED
    assert profile["burstiness"]["asked"] is None
    assert "dropped" in profile["burstiness"]["reasons"]["asked"]
