"""2,000 interactions under all faults at once: what is measured is what was injected, exactly.

The mock agent writes down each fault that it injects; what each has to become is in a table here,
made by hand. The run is one process that looks at itself (`faulty_run`), whose wall clock jumps.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest

from profiler.endpoints.transport import RETRY_WINDOW_S
from tests.system.cli import ROOT, environment, json_lines, load_json
from tests.system.standstill import watching_the_machine

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

INTERACTIONS = 2000
TIMEOUT_S = 8.0
LIMIT_MB = 16

WORKLOAD = f"""
name: faulty
target: {{timeout: {TIMEOUT_S:g}s, max_answer: {LIMIT_MB}MB}}
load:
  rate: 150/s
  arrivals: constant
  max_in_flight: 64
  requests: {INTERACTIONS}
  warmup: 0
  error_limit: never
  seed: 1
scenarios: [{{name: a, turns: [{{user: "Are you there, and where is my order?"}}]}}]
"""

OK = "ok"
LOST, INVALID = "protocol_error/connection_lost", "protocol_error/invalid_http"
CUT, TOO_LARGE = "protocol_error/stream_cut", "protocol_error/body_too_large"
LATE, REFUSED = "timeout/deadline", "connect_error/refused"
CLOSED_AT_ONCE = "connect_error/connect"  # before a byte of the request was written

BECOMES = {
    # Reset before a byte: sent once more if the connection was a reused one, see `expected`.
    "reset_before_headers": {LOST},
    "reset_in_headers": {LOST},
    "reset_in_body": {LOST},
    "reset_after_answer": {OK},  # it was complete
    "stall": {LATE},
    "drip": {LATE},  # 300 bytes and more, one each 100 ms
    "length_too_long": {INVALID},  # closed before the bytes that were promised
    "length_too_short": {CUT},  # what lies beyond the length is no part of the answer
    "garbage": {INVALID},
    "truncated": {CUT},  # HTTP is whole, the stream in it is not
    "duplicate_events": {OK},  # events have no ids: nobody can tell
    "status_429": {"http_429"},
    "status_429_retry_after": {"http_429"},  # nothing is retried: a retry hides what is measured
    "status_500": {"http_5xx/http_500"},
    "status_502": {"http_5xx/http_502"},
    "status_503": {"http_5xx/http_503"},
    "status_504": {"http_5xx/http_504"},
    "error_in_body": {"agent_error/error_in_stream"},
    "endless": {TOO_LARGE, LATE},  # whichever limit is met first: that depends on the machine
    "large": {OK},  # 10 MB of 16
    "clock_jump": {OK},  # `date` and `created` are no measure of anything
}
SHARES = dict.fromkeys(BECOMES, 0.02) | {"stall": 0.005, "drip": 0.005}
SCHEDULED = """
  - {kind: refuse, from: 4s, for: 300ms}
  - {kind: refuse, from: 9s, for: 300ms}
  - {kind: large, requests: [100, 700, 1300]}
  - {kind: endless, nth: 200}
"""
# Unknown to a server that closes its socket: not connected, waiting there, or just taken from it.
UNSEEN = {REFUSED, CLOSED_AT_ONCE, LOST, INVALID}


def plan() -> str:
    lines = ["seed: 3", "agent:", SCHEDULED.strip("\n")]
    for name, share in SHARES.items():
        if name in {"large", "endless"}:
            continue
        keys: dict[str, Any] = {"kind": name}
        if name.startswith("status_"):
            keys = {"kind": "status", "status": int(name.split("_")[1])}
            keys |= {"retry_after": 2} if name.endswith("retry_after") else {}
        keys |= {"jump": "-1h"} if name == "clock_jump" else {}
        lines.append(f"  - {json.dumps({**keys, 'share': share})}")
    return "\n".join(lines)


@dataclass(frozen=True)
class Outcome:
    """What the run said of itself, wrote, and met."""

    said: dict[str, Any]
    err: str
    profile: dict[str, Any]
    interactions: list[dict[str, Any]]
    truth: list[dict[str, Any]]
    mock_log: str
    stood_still_s: float  # the machine, at most
    faults: dict[str, list[str]]  # by trace id, those of an interaction's requests in order
    served: frozenset[str]  # trace ids of which a request reached the agent

    @property
    def refusals(self) -> list[tuple[float, float]]:
        return [(x["from_s"], x["to_s"]) for x in self.truth if x.get("fault") == "refuse"]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Outcome:
    folder = tmp_path_factory.mktemp("faults")
    (folder / "w.yaml").write_text(WORKLOAD)
    (folder / "faults.yaml").write_text(plan())
    command = [sys.executable, "-W", "error", "-m", "tests.system.faulty_run", "w.yaml"]
    command += ["--mock-faults", "faults.yaml", "--mock-speed", "50", "--out", "run", "--quiet"]
    with watching_the_machine() as machine:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment(PYTHONPATH=str(ROOT)),
            capture_output=True,
            text=True,
            timeout=280,
            check=True,
        )
    events = json_lines(folder / "run" / "journal.jsonl")
    log = folder / "run" / "mock.log"
    truth = json_lines(folder / "run" / "mock_truth.jsonl")
    faults: dict[str, list[str]] = {}
    for line in truth:
        if line["kind"] == "fault" and line["fault"] != "refuse":
            faults.setdefault(line["trace_id"], []).append(line["fault"])
    return Outcome(
        said=json.loads(done.stdout.splitlines()[-1]),
        err=done.stderr,
        profile=load_json(folder / "run" / "profile.json"),
        interactions=[event for event in events if event["event"] == "interaction"],
        truth=truth,
        faults=faults,
        served=frozenset(line["trace_id"] for line in truth if line["kind"] == "interaction"),
        mock_log=log.read_text() if log.exists() else "",
        stood_still_s=machine.longest_s,
    )


def named(interaction: dict[str, Any]) -> str:
    """What the profile calls an interaction's outcome."""
    outcome, kind = interaction["outcome"], interaction.get("error_kind")
    return outcome if kind is None or kind == outcome else f"{outcome}/{kind}"


def expected(run: Outcome, interaction: dict[str, Any]) -> set[str]:
    """What an interaction may have become, by the truth log: the last of its requests decides."""
    trace_id = interaction["trace_id"]
    faults = run.faults.get(trace_id, [])
    is_served, is_retried = trace_id in run.served, interaction.get("reconnects") is not None
    if faults and not (faults[-1] == "reset_before_headers" and is_retried):
        return BECOMES[faults[-1]]
    if is_served:
        return {OK}
    send_s, end_s = interaction["send_ns"] / 1e9, interaction["end_ns"] / 1e9
    if any(send_s <= to_s and end_s >= from_s for from_s, to_s in run.refusals):
        return UNSEEN
    # The reset was of the second connection: the first was closed while it was idle.
    if faults:
        return BECOMES["reset_before_headers"]
    # It came to a connection that was reset after the answer before, and the machine stood still
    # until it was too late to send it once more.
    return {LOST, INVALID} if end_s - send_s > RETRY_WINDOW_S and not is_retried else set()


def test_every_interaction_became_what_was_injected_and_the_profile_counts_them_so(run):
    wrong = [
        (run.faults.get(i["trace_id"]), named(i), may, i.get("error_detail"))
        for i in run.interactions
        if named(i) not in (may := expected(run, i))
    ]
    assert wrong == []
    sample = run.profile["sample"]
    assert sample["interactions"] == len(run.interactions) == INTERACTIONS
    counts = Counter(map(named, run.interactions))
    assert sample["succeeded"] == counts.pop(OK)
    assert sample["failed"] == counts


def test_every_kind_was_met_and_every_fault_belongs_to_an_interaction(run):
    injected = Counter(kind for kinds in run.faults.values() for kind in kinds)
    assert set(injected) == set(BECOMES)
    assert len(run.refusals) == 2
    assert injected["large"] == 3
    assert min(injected.values()) >= 3
    assert set(run.faults) <= {i["trace_id"] for i in run.interactions}
    assert any(named(i) == REFUSED for i in run.interactions)


def test_nothing_outlasts_its_timeout_whatever_the_wall_clock_does(run):
    # What the event loop stood still for is the machine's, and was measured beside it; but in the
    # last second, which is no whole one, by the test alone.
    lag_s = max(run.profile["trust"]["loop_lag"]["max_s"], run.stood_still_s)
    latencies_s = [(i["end_ns"] - i["send_ns"]) / 1e9 for i in run.interactions]
    assert min(latencies_s) >= 0
    assert max(latencies_s) <= TIMEOUT_S + lag_s + 0.5
    late_s = [
        latency_s
        for i, latency_s in zip(run.interactions, latencies_s, strict=True)
        if named(i) == LATE
    ]
    assert min(late_s) >= TIMEOUT_S


def test_an_event_that_comes_twice_is_not_counted_twice(run):
    def usage(kinds):
        return {
            (i["usage"]["input_tokens"], i["usage"]["output_tokens"])
            for i in run.interactions
            if run.faults.get(i["trace_id"]) == kinds and named(i) == OK
        }

    assert usage(["duplicate_events"])
    assert usage(["duplicate_events"]) <= usage(None)


def test_no_task_no_file_no_thread_is_left_and_nothing_warns(run):
    assert run.said["tasks_left"] == []
    assert run.said["files_left"] == []
    assert run.said["threads_left"] == []
    # Of a machine that is too slow for the rate, the run says so and ends with 4: no fault of ours.
    complaints = [x for x in run.err.splitlines() if "the harness was the bottleneck" not in x]
    assert complaints == []
    assert run.said["code"] in {0, 4}
    assert run.mock_log == ""


def test_memory_stays_where_it_was(run):
    sizes = run.said["memory_bytes"]
    assert len(sizes) >= 40  # 2,000 interactions at 150/s, looked at four times a second
    quarter = len(sizes) // 4
    # Ten answers without an end are read up to 16 MB each: of what they brought nothing is kept.
    assert min(sizes[-quarter:]) < min(sizes[quarter : 2 * quarter]) + 4 * LIMIT_MB * 2**20
    # At its peak: several times 16 MB, as bytes, as text and as JSON, and nothing that adds up.
    assert max(sizes) < min(sizes[quarter:]) + 20 * LIMIT_MB * 2**20
