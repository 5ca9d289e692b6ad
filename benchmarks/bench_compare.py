"""How often a comparison cries wolf, how often it sees a true change, and how long it takes.

Usage: python -m benchmarks.bench_compare [pairs]

Runs are of the shipped workload `support` against the mock agent's own decisions (which tools, how
many rounds, which words: `mock.scripted`), 200 interactions each, without sockets or waiting: LLM
calls take what the mock LLM draws for them. Written as journals, profiled, compared.

- False alarms: 200 pairs with other seeds, for sessions and for the mock. How many fail the default
  gates (fail, not inconclusive). The mock's times are judged as well, as a real agent's would be.
- Power: the candidate makes 10 % more LLM calls per interaction (a tool call is more probable).
  Found: the gate on `interaction.llm_calls.mean` fails. With the seed of the workload, as in CI,
  both runs play the same sessions; beside it what is found with other sessions, where no test of
  5 % can find much more: the calls of 200 interactions vary by too much.
- Time: two profiles of 10,000 interactions, read, compared and encoded, in a process of its own.
"""

from __future__ import annotations

import itertools
import json
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from benchmarks.bench_profile import journal_records
from profiler.comparison.compare import compare
from profiler.measure import JOURNAL_NAME
from profiler.measure.journal import JournalWriter
from profiler.measure.records import (
    End,
    EndReason,
    Interaction,
    LlmCall,
    Observer,
    Outcome,
    Phase,
    Record,
    Run,
    Timeline,
    ToolCall,
    Usage,
)
from profiler.mock.options import LlmOptions
from profiler.mock.scripted import MAX_TOOL_ROUNDS, SCRIPTED_TOOLS, answer, tool_result
from profiler.mock.timing import Lognormal, random_for
from profiler.profile.build import build_profile
from profiler.profile.model import dump_profile
from profiler.workload.load import load_workload
from profiler.workload.sessions import SessionSampler
from profiler.workload.shipped import find_workload

if TYPE_CHECKING:
    from collections.abc import Iterator

    from profiler.comparison.model import Comparison
    from profiler.profile.model import WorkloadProfile

PAIRS = 200
INTERACTIONS = 200
MORE_CALLS = 1.10
LARGE = 10_000
TARGET_FALSE_ALARMS, TARGET_FOUND, TARGET_S = 0.05, 0.80, 3.0
NS = 1_000_000_000
CHARACTERS_PER_TOKEN = 4

CHILD = """
import json, sys, time
from pathlib import Path
begin = time.perf_counter()
from profiler.comparison.compare import compare
from profiler.comparison.model import dump_comparison
from profiler.profile.model import load_profile
before, after = map(load_profile, map(Path, sys.argv[1:3]))
loaded = time.perf_counter()
dump_comparison(compare(before, after))
end = time.perf_counter()
print(json.dumps({"s": end - begin, "load_s": loaded - begin}))
"""


def calls_per_interaction(probability: float) -> float:
    """Return the mean: a further call for every round of tools, up to the most."""
    return sum(probability**rounds for rounds in range(MAX_TOOL_ROUNDS + 1))


def probability_of(calls: float) -> float:
    """Return the probability of a tool call that makes so many LLM calls, by halving."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if calls_per_interaction(middle) < calls else (low, middle)
    return low


@dataclass(frozen=True, slots=True, kw_only=True)
class Seeds:
    """Of one run: its sessions, and the mock's answers."""

    sessions: int
    mock: int


class Mock:
    """Makes profiles of runs against the mock's decisions."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._workload = load_workload(find_workload("support"))
        self._numbers = itertools.count()

    def profile(self, seeds: Seeds, probability: float) -> WorkloadProfile:
        """Return the profile of a run that was never sent."""
        number = next(self._numbers)
        journal = self._folder / f"{number}.jsonl"
        writer = JournalWriter(journal)
        writer.append(list(self._records(f"run-{number}", seeds, probability)))
        writer.close()
        profile = build_profile(journal)
        journal.unlink()
        return profile

    def _records(self, run_id: str, seeds: Seeds, probability: float) -> Iterator[Record]:
        yield Run(
            run_id=run_id,
            tool_version="0",
            argv=("bench",),
            started_wall_ns=1_700_000_000 * NS,
            started_monotonic_ns=0,
            workload=self._workload.name,
            digests={"workload": self._workload.digest(), **self._workload.data_digests()},
            seeds={"sessions": seeds.sessions},
            host={},
            target={"protocol": "openai-chat"},  # not told that it is the mock: times count
            load={"mode": "closed", "users": 8},
            encoding="o200k_base",
            observers=("client", "response"),
        )
        sampler = SessionSampler(self._workload, seed=seeds.sessions, salt=run_id)
        at_ns = left = 0
        left = INTERACTIONS
        for index in itertools.count():
            plan = sampler.session(index)
            messages: list[dict[str, Any]] = []
            for turn, each in enumerate(plan.turns):
                if not left:
                    yield End(at_ns=at_ns, reason=EndReason.COMPLETED)
                    return
                left -= 1
                messages.append({"role": "user", "content": each.user})
                trace = f"{INTERACTIONS - left:032x}"
                records, took_ns = _interaction(trace, messages, seeds.mock, probability)
                yield from records
                yield Interaction(
                    trace_id=trace,
                    session=plan.session_id,
                    session_index=index,
                    scenario=plan.scenario,
                    turn=turn,
                    last_turn=turn == len(plan.turns) - 1,
                    phase=Phase.MEASURE,
                    send_ns=at_ns,
                    end_ns=at_ns + took_ns,
                    outcome=Outcome.OK,
                    http_status=200,
                )
                at_ns += took_ns


def _interaction(
    trace: str, messages: list[dict[str, Any]], seed: int, probability: float
) -> tuple[list[Record], int]:
    """Return the records of one interaction's inside and how long it took; adds to `messages`."""
    options = LlmOptions(seed=seed)
    first_token = Lognormal(options.ttft_median_s, options.ttft_p95_s)
    records: list[Record] = []
    at_ns = 0
    for _ in range(MAX_TOOL_ROUNDS + 1):
        prompt = orjson.dumps(messages)
        said = answer(
            seed=seed,
            digest=str(hash_of(prompt)),
            messages=messages,
            tools=SCRIPTED_TOOLS,
            tool_call_probability=probability,
        )
        messages.append(said)
        tokens = max(1, len(orjson.dumps(said)) // CHARACTERS_PER_TOKEN)
        wait_s = first_token.draw_s(random_for("first token", seed, prompt))
        end_ns = at_ns + round((wait_s + tokens * options.gap_s) * NS)
        records.append(
            LlmCall(
                trace_id=trace,
                observer=Observer.RESPONSE,
                clock=Timeline.AGENT,
                model="mock",
                start_ns=at_ns,
                first_token_ns=at_ns + round(wait_s * NS),
                end_ns=end_ns,
                outcome=Outcome.OK,
                attempts=1,
                usage=Usage(input_tokens=len(prompt) // CHARACTERS_PER_TOKEN, output_tokens=tokens),
            )
        )
        at_ns = end_ns
        calls = said.get("tool_calls", [])
        if not calls:
            break
        for call in calls:
            result = tool_result(seed=seed, call=call)
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": result})
            records.append(
                ToolCall(
                    trace_id=trace,
                    observer=Observer.RESPONSE,
                    clock=Timeline.AGENT,
                    name=call["function"]["name"],
                    start_ns=at_ns,
                    end_ns=at_ns + NS // 20,
                    outcome=Outcome.OK,
                )
            )
            at_ns += NS // 20
    return records, at_ns


def hash_of(data: bytes) -> int:
    return random_for(data).getrandbits(64)


def is_found(comparison: Comparison) -> bool:
    return any(
        gate.metric == "interaction.llm_calls" and gate.verdict == "fail"
        for gate in comparison.gates
    )


def seconds(folder: Path) -> tuple[float, float]:
    """Return how long a comparison of two large profiles takes, and reading them of it."""
    journal = folder / JOURNAL_NAME
    writer = JournalWriter(journal)
    records = journal_records(LARGE)
    while batch := list(itertools.islice(records, 1000)):
        writer.append(batch)
    writer.close()
    profile = folder / "profile.json"
    profile.write_bytes(dump_profile(build_profile(journal)))
    command = [sys.executable, "-c", CHILD, str(profile), str(profile)]
    runs = [json.loads(subprocess.check_output(command)) for _ in range(3)]
    return statistics.median(run["s"] for run in runs), statistics.median(
        run["load_s"] for run in runs
    )


def judged(name: str, share: float, target: str, *, ok: bool) -> None:
    print(f"{name:<36} {share:.1%} (target {target}) {'ok' if ok else 'MISSED'}", flush=True)


def main() -> None:
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else PAIRS
    usual = LlmOptions().tool_call_probability
    more = probability_of(MORE_CALLS * calls_per_interaction(usual))
    verdicts: Counter[str] = Counter()
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as directory:
        mock = Mock(Path(directory))
        for seed in range(1, pairs + 1):
            other = seed + pairs
            before = mock.profile(Seeds(sessions=seed, mock=seed), usual)
            same = mock.profile(Seeds(sessions=other, mock=other), usual)
            verdicts[compare(before, same).verdict] += 1
            for name, seeds in (
                ("same sessions", Seeds(sessions=seed, mock=seed)),
                ("same sessions, other answers", Seeds(sessions=seed, mock=other)),
                ("other sessions", Seeds(sessions=other, mock=other)),
            ):
                found[name] += is_found(compare(before, mock.profile(seeds, more)))
        took_s, load_s = seconds(Path(directory))
    print(
        f"{pairs} pairs of {INTERACTIONS} interactions; LLM calls {MORE_CALLS - 1:+.0%} for power"
    )
    share = verdicts["fail"] / pairs
    judged("false alarms of default gates", share, "<= 5 %", ok=share <= TARGET_FALSE_ALARMS)
    print(f"  inconclusive                       {verdicts['inconclusive'] / pairs:.1%}")
    share = found["same sessions"] / pairs
    judged("found, same sessions", share, ">= 80 %", ok=share >= TARGET_FOUND)
    for name in ("same sessions, other answers", "other sessions"):
        print(f"  found, {name:<28} {found[name] / pairs:.1%}")
    print(
        f"comparison of two of {LARGE:,}           {took_s:.2f} s, {load_s:.2f} of it reading "
        f"(target < {TARGET_S:g} s) {'ok' if took_s < TARGET_S else 'MISSED'}"
    )


if __name__ == "__main__":
    main()
