"""The loop is closed: what a plan foretells of a provider's limit happens at that limit.

A mock LLM with a limit, a mock agent that calls it and a run in open loop are real processes. The
429s are counted where they are answered, in the mock LLM's own log.
"""

from __future__ import annotations

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from profiler.planner.attempts import RunningLimit, run_attempts
from profiler.planner.limits import bucket_rejection
from profiler.planner.simulate_limits import SimulatedLimit, simulate_limits
from tests.system.cli import agent_profiler, command, environment, json_lines, load_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from profiler.planner.estimates import Floats

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

CALLS_PER_MINUTE = 4800.0
"""Of the limit; a user has 2 interactions a minute, of one call each."""
WINDOW_S = 0.075
BURST = 6
"""Calls that a full bucket is worth: so few that it is empty now and then below the limit, too."""
CALLS = 1500
FACTORS = (0.9, 1.1)
RUNS = 100
"""Simulated runs that tell how far the share of one run of so many calls may be off by chance."""

WORKLOAD = """
name: one-call
target: {stream: false}
load: {warmup: 0, error_limit: never}
scenarios: [{name: recorded, conversations: recorded.jsonl}]
"""
DEMAND = f"""
users: {{peak_concurrent: {CALLS_PER_MINUTE / 2:g}, interactions_per_minute: 2}}
traffic: {{peak_to_average: 4}}
growth: [{FACTORS[0]}, {FACTORS[1]}]
retries: {{most: 0}}
models:
  gpt-4o:
    limits: {{LIMIT, enforced: bucket, window: {WINDOW_S:g}s}}
"""


@dataclass(frozen=True)
class Observed:
    """One run against the limit: the calls in the order in which the mock LLM decided on them.

    `amounts` is what each takes of the limit, `refused` 1 where the answer was a 429. `intended_s`
    are the times of the schedule, in their order.
    """

    intended_s: Floats
    decided_s: Floats
    amounts: Floats
    refused: Floats

    @property
    def share(self) -> float:
        return float(self.refused.mean())

    def simulated(self, times_s: Floats, per_minute: float) -> Floats:
        """Return which calls the planner's simulation refuses when they come at these times."""
        return refusals(times_s, self.amounts, per_minute)

    def allowance(self, per_minute: float, calls_per_s: float) -> float:
        """Return by how much the share may be off: by chance, and by what this machine did.

        By chance: three standard deviations of the share of runs as short as this one, simulated
        at random times. (Batches of the one run tell too little of it: in a run that happens to
        have few bursts both the share and its apparent error are small.) By the machine: calls
        that are late, or that come together, have another simulated share than the schedule.
        """
        rng = np.random.default_rng(1)
        shares = [
            refusals(
                np.cumsum(rng.exponential(1 / calls_per_s, CALLS)),
                rng.permutation(self.amounts),
                per_minute,
            ).mean()
            for _ in range(RUNS)
        ]
        came, meant = (self.simulated(at, per_minute) for at in (self.decided_s, self.intended_s))
        return 3 * float(np.std(shares, ddof=1)) + abs(float((came - meant).mean()))


def refusals(times_s: Floats, amounts: Floats, per_minute: float) -> Floats:
    """Return which calls the planner's simulation of the bucket refuses: 1, else 0."""
    limit = RunningLimit(per_s=per_minute / 60, capacity=per_minute * WINDOW_S / 60, window_s=None)
    rng = np.random.default_rng(1)  # of retries, which there are none of
    return run_attempts(times_s - times_s[0], [amounts], [limit], None, rng).refused


@contextmanager
def serving(kind: str, *options: object) -> Iterator[str]:
    """Serve a mock as a process; yields its URL."""
    line = command("mock", kind, "--port", 0, "--announce", "--until-stdin-closes", *options)
    process = subprocess.Popen(
        line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment(NO_PROXY="*")
    )
    with process:
        try:
            assert process.stdout is not None
            url: str = json.loads(process.stdout.readline())[kind]
            yield url
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(10)


def write_workload(folder: Path) -> None:
    """Conversations of one question and one answer: one LLM call each, of lengths that differ."""
    lines = []
    for number in range(200):
        answer = " ".join(["word"] * (5 + 7 * number % 60))
        said = ({"role": "user", "content": f"Question {number}?"},)
        messages = [*said, {"role": "assistant", "content": answer}]
        lines.append(json.dumps({"id": f"c{number}", "messages": messages}))
    (folder / "recorded.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "w.yaml").write_text(WORKLOAD)


def measure(folder: Path) -> dict[str, Any]:
    """Measure the agent without a limit, as anyone does before a plan."""
    write_workload(folder)
    options = ("--users", 4, "-n", 200, "--mock-speed", 50, "-q", "--out", "measured")
    done = agent_profiler("run", "w.yaml", *options, cwd=folder)
    assert done.is_done, done.err
    return load_json(folder / "measured" / "profile.json")


def plan(folder: Path, limit: str) -> list[dict[str, Any]]:
    (folder / "demand.yaml").write_text(DEMAND.replace("LIMIT", limit))
    # What a busy machine does to latencies plays no part here: the verdict does not matter.
    done = agent_profiler(
        *("plan", "measured", "--demand", "demand.yaml", "--out", "plan"),
        *("--accept-untrusted", "--draws", 0, "-q"),
        cwd=folder,
    )
    assert done.is_done, done.err
    scales: list[dict[str, Any]] = load_json(folder / "plan" / "plan.json")["scales"]
    assert [scale["factor"] for scale in scales] == [*FACTORS]
    return scales


def drive(folder: Path, factor: float, *limit: object) -> Observed:
    """Run the workload in open loop at `factor` times the limit, against the limit."""
    truth, out = folder / f"truth-{factor}.jsonl", folder / f"run-{factor}"
    options = ("--recordings", folder / "recorded.jsonl", "--speed", 100)
    limited = (*options, "--truth", truth, "--limit-window", WINDOW_S, *limit)
    rate = f"{CALLS_PER_MINUTE / 60 * factor:g}/s"
    with serving("llm", *limited) as llm, serving("agent", *options, "--llm-url", llm) as agent:
        done = agent_profiler(
            *("run", "w.yaml", "--url", f"{agent}/v1/chat/completions"),
            *("--rate", rate, "-n", CALLS, "--seed", round(100 * factor), "-q", "--out", out),
            cwd=folder,
            NO_PROXY="*",
        )
    assert done.code in {0, 4}, done.err  # 4: the harness was late; what it did is accounted for
    events = json_lines(out / "journal.jsonl")
    intended = [each["intended_start_ns"] for each in events if each["event"] == "interaction"]
    requests = sorted(json_lines(truth), key=lambda each: each["decided_s"])
    assert len(requests) == len(intended) == CALLS  # one call each, no retries
    assert {each["status"] for each in requests} == {200, 429}
    return Observed(
        intended_s=np.sort(np.array(intended)) / 1e9,
        decided_s=np.array([each["decided_s"] for each in requests]),
        amounts=_tokens(requests) if "--tpm" in limit else np.ones(CALLS),
        refused=np.array([each["status"] == 429 for each in requests], dtype=np.float64),
    )


def driven(
    folder: Path, scales: list[dict[str, Any]], *limit: object
) -> list[tuple[dict[str, Any], float, Observed]]:
    """Drive below and above the limit at the same time; each waits more than it computes."""
    with ThreadPoolExecutor(len(FACTORS)) as pool:
        observed = pool.map(lambda factor: drive(folder, factor, *limit), FACTORS)
        return list(zip(scales, FACTORS, observed, strict=True))


def _tokens(requests: list[dict[str, Any]]) -> Floats:
    """Return the tokens of each request; of a refused one, those of its conversation's answer."""
    answers = {
        each["conversation"]: each["completion_tokens"]
        for each in requests
        if each["status"] == 200
    }
    return np.array([each["prompt_tokens"] + answers[each["conversation"]] for each in requests])


def holds(observed: Observed, foretold: dict[str, Any], per_minute: float, factor: float) -> float:
    """Hold the share of 429s to the plan's interval, and every call to the simulation.

    Return the allowance on both sides of the interval, which is that of the plan's simulation.
    """
    np.testing.assert_array_equal(
        observed.simulated(observed.decided_s, per_minute), observed.refused
    )
    allowance = observed.allowance(per_minute, CALLS_PER_MINUTE / 60 * factor)
    low, high = foretold["ci95"]
    assert low - allowance <= observed.share <= high + allowance, (observed.share, foretold)
    return allowance


def test_the_share_of_429s_below_and_above_a_request_limit_is_the_one_foretold(tmp_path):
    profile = measure(tmp_path)
    assert profile["interaction"]["llm_calls"]["mean"] == 1
    scales = plan(tmp_path, f"requests_per_minute: {CALLS_PER_MINUTE:g}")
    for scale, factor, observed in driven(tmp_path, scales, "--rpm", CALLS_PER_MINUTE):
        (limit,) = scale["limits"]
        (foretold,) = scale["retries"]
        assert limit["utilization"] == pytest.approx(factor)
        share = foretold["rejected_attempts"]
        allowance = holds(observed, share, CALLS_PER_MINUTE, factor)
        closed = bucket_rejection(CALLS_PER_MINUTE * factor, CALLS_PER_MINUTE, BURST)
        assert abs(closed - observed.share) <= allowance
        # More than the mean demand alone would have: nothing below the limit, the excess above it.
        assert observed.share > foretold["fluid_rejection"]
        assert share["ci95"][0] > foretold["fluid_rejection"]
        # As one simulation of the times at which the calls came: the share of all but the last.
        simulated = simulate_limits(
            limits=[SimulatedLimit(name="rpm", per_minute=CALLS_PER_MINUTE, window_s=WINDOW_S)],
            arrivals_s=observed.decided_s,
            warmup_share=0,
        )
        assert simulated.together.rejected.value == pytest.approx(observed.share, abs=1 / CALLS)


@pytest.mark.long
def test_the_share_of_429s_at_a_token_limit_is_the_one_foretold(tmp_path):
    profile = measure(tmp_path)["interaction"]
    tokens = profile["input_tokens"]["mean"] + profile["output_tokens"]["mean"]
    per_minute = round(CALLS_PER_MINUTE * tokens)
    scales = plan(tmp_path, f"tokens_per_minute: {per_minute}")
    for scale, factor, observed in driven(tmp_path, scales, "--tpm", per_minute):
        (foretold,) = scale["retries"]
        assert scale["limits"][0]["utilization"] == pytest.approx(factor, rel=1e-5)
        holds(observed, foretold["rejected_attempts"], per_minute, factor)
