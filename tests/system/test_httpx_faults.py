"""httpx's transport, which carries a run behind a proxy, under every fault that an answer can have.

The proxy that the environment names is the mock agent: it reads absolute targets as a proxy does,
and breaks what it answers with no other program between. Each kind is injected at requests that a
schedule names; what it has to become is in a table here, made by hand.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager
from typing import Any

import pytest

from tests.system.cli import ROOT, environment, json_lines
from tests.system.standstill import watching_the_machine

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

INTERACTIONS, EACH, TIMEOUT_S = 100, 3, 4
OK = "ok"
LOST, INVALID = "protocol_error/connection_lost", "protocol_error/invalid_http"
CUT, TOO_LARGE = "protocol_error/stream_cut", "protocol_error/body_too_large"
LATE = "timeout/deadline"

BECOMES = {
    "reset_before_headers": {LOST},
    "reset_in_headers": {LOST},
    "reset_in_body": {LOST},
    "reset_after_answer": {OK},
    "stall": {LATE},
    "drip": {LATE},
    "length_too_long": {INVALID},
    "length_too_short": {CUT},
    "garbage": {INVALID},
    "truncated": {CUT},
    "duplicate_events": {OK},
    "status_429": {"http_429"},
    "status_429_retry_after": {"http_429"},
    "status_500": {"http_5xx/http_500"},
    "status_502": {"http_5xx/http_502"},
    "status_503": {"http_5xx/http_503"},
    "status_504": {"http_5xx/http_504"},
    "error_in_body": {"agent_error/error_in_stream"},
    "endless": {TOO_LARGE, LATE},  # whichever limit is met first: that depends on the machine
    "large": {OK},
    "clock_jump": {OK},
}
WORKLOAD = f"""
name: faulty
target: {{timeout: {TIMEOUT_S}s, max_answer: 4MB}}
load:
  rate: 50/s
  arrivals: constant
  requests: {INTERACTIONS}
  warmup: 0
  error_limit: never
  backoff: false
scenarios: [{{name: a, turns: [{{user: "Are you there, and where is my order?"}}]}}]
"""


def plan() -> str:
    """Return a plan that gives each kind `EACH` requests, spread over the run."""
    lines = ["seed: 1", "agent:"]
    for number, name in enumerate(BECOMES):
        keys: dict[str, Any] = {"kind": name}
        if name.startswith("status_"):
            keys = {"kind": "status", "status": int(name.split("_")[1])}
            keys |= {"retry_after": 1} if name.endswith("retry_after") else {}
        keys |= {"jump": "-1h"} if name == "clock_jump" else {}
        keys |= {"megabytes": 2} if name == "large" else {}
        keys["requests"] = [2 + number + 30 * time for time in range(EACH)]
        lines.append(f"  - {json.dumps(keys)}")
    return "\n".join(lines)


@contextmanager
def faulty_agent(folder):
    command = [sys.executable, "-W", "error", "-m", "profiler", "mock", "agent", "--port", "0"]
    command += ["--announce", "--until-stdin-closes", "--speed", "50", "--truth", "truth.jsonl"]
    with subprocess.Popen(
        [*command, "--faults", "faults.yaml"],
        cwd=folder,
        env=environment(PYTHONPATH=str(ROOT)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield json.loads(process.stdout.readline())["agent"]
        finally:
            process.stdin.close()


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    folder = tmp_path_factory.mktemp("httpx")
    (folder / "w.yaml").write_text(WORKLOAD)
    (folder / "faults.yaml").write_text(plan())
    command = [sys.executable, "-W", "error", "-m", "tests.system.faulty_run", "w.yaml", "--quiet"]
    with faulty_agent(folder) as agent, watching_the_machine() as machine:
        done = subprocess.run(
            [*command, "--out", "run", "--url", f"{agent}/v1/chat/completions"],
            cwd=folder,
            env=environment(PYTHONPATH=str(ROOT), http_proxy=agent, no_proxy="", NO_PROXY=""),
            capture_output=True,
            text=True,
            timeout=100,
            check=True,
        )
    events, truth = json_lines(folder / "run" / "journal.jsonl"), json_lines(folder / "truth.jsonl")
    return done, events, truth, machine.longest_s


def named(interaction) -> str:
    outcome, kind = interaction["outcome"], interaction.get("error_kind")
    return outcome if kind is None or kind == outcome else f"{outcome}/{kind}"


def test_what_was_injected_is_what_is_reported(ran):
    _, events, truth, _ = ran
    assert events[0]["manifest"]["transport"] == "httpx"
    faults = {line["trace_id"]: line["fault"] for line in truth if line["kind"] == "fault"}
    served = {line["trace_id"] for line in truth if line["kind"] == "interaction"}
    assert Counter(faults.values()) == dict.fromkeys(BECOMES, EACH)
    interactions = [event for event in events if event["event"] == "interaction"]
    assert len(interactions) == INTERACTIONS
    by_fault: dict[str | None, Counter[str]] = {}
    for one in interactions:
        fault = faults.get(one["trace_id"], OK if one["trace_id"] in served else None)
        by_fault.setdefault(fault, Counter())[named(one)] += 1
    # Unlike ours, httpx does not send anew what meets a connection that is just being reset; it
    # meets the reset itself, or, where the event loop was told of that before, an end of stream.
    unseen = by_fault.pop(None, Counter())
    assert set(unseen) <= {LOST, INVALID}
    assert unseen.total() <= EACH, "one for each reset after an answer, which is no failure itself"
    wrong = {fault: met for fault, met in by_fault.items() if set(met) - BECOMES.get(fault, {OK})}
    assert wrong == {}


def test_no_interaction_outlasts_its_timeout(ran):
    _, events, _, stood_still_s = ran
    lags_ns = [event["loop_lag_max_ns"] for event in events if event["event"] == "driver"]
    lag_s = max(max(lags_ns) / 1e9, stood_still_s)  # of the last second only the test knows
    latencies_s = [
        (one["end_ns"] - one["send_ns"]) / 1e9 for one in events if one["event"] == "interaction"
    ]
    assert max(latencies_s) <= TIMEOUT_S + lag_s + 0.5


def test_nothing_is_left_and_nothing_warns(ran):
    done, *_ = ran
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["tasks_left"] == said["files_left"] == said["threads_left"] == []
    assert said["code"] in {0, 4}, done.stderr
    assert [x for x in done.stderr.splitlines() if "the harness was the bottleneck" not in x] == []
