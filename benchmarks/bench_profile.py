"""How long, and in how much memory, a profile is computed from journaled interactions.

Usage: python -m benchmarks.bench_profile [interactions [more interactions]]

Writes journals of 10,000 and of 100,000 interactions with the real writer (per interaction: 1
interaction, 2 llm_call, 1 tool_call and 2 state_op lines), then builds the profile of each in fresh
processes. Time is of `build_profile` and `dump_profile`; memory is the peak of the whole process,
interpreter included. It should not depend on the length of the journal: the slope says by how much
it does.
"""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from profiler.measure import JOURNAL_NAME
from profiler.measure.journal import JournalWriter
from profiler.measure.records import (
    ClientTokens,
    End,
    EndReason,
    Interaction,
    LlmCall,
    Observer,
    Outcome,
    Phase,
    Record,
    Run,
    StateKind,
    StateOp,
    Timeline,
    TokenParts,
    ToolCall,
    Usage,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

TARGET_S = 3.0
TARGET_MB = 90.0
TARGET_SLOPE = 10.0
SHORT, LONG = 10_000, 100_000
REPETITIONS = 3
TURNS = 5
MS = 1_000_000

CHILD = """
import json, resource, sys, time
from pathlib import Path
begin = time.perf_counter()
from profiler.profile.build import build_profile
from profiler.profile.model import dump_profile
imported = time.perf_counter()
per_mb = 1024 if sys.platform == "linux" else 1024 * 1024
imports_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / per_mb
data = dump_profile(build_profile(Path(sys.argv[1])))
end = time.perf_counter()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"s": end - imported, "import_s": imported - begin, "mb": peak / per_mb,
                  "imports_mb": imports_mb, "profile_mb": len(data) / 1e6}))
"""


def journal_records(interactions: int) -> Iterator[Record]:
    """Yield a plausible run, seeded."""
    rng = random.Random(1)
    yield Run(
        run_id="bench",
        tool_version="0",
        argv=("agent-profiler", "run", "bench.yaml"),
        started_wall_ns=1_700_000_000_000_000_000,
        started_monotonic_ns=0,
        workload="bench",
        digests={"workload": "0"},
        seeds={"sessions": 1},
        host={},
        target={"protocol": "openai-chat", "model": "bench"},
        load={"mode": "closed", "users": 8},
        encoding="o200k_base",
        observers=("client", "response"),
    )
    at_ns = 0
    for index in range(interactions):
        at_ns += rng.randrange(1, 50 * MS)
        yield from _interaction(rng, index, at_ns)
    yield End(at_ns=at_ns, reason=EndReason.COMPLETED)


def _interaction(rng: random.Random, index: int, send_ns: int) -> Iterator[Record]:
    trace = f"{index:032x}"
    first_ns, tool_ns, second_ns = (rng.randrange(100 * MS, 900 * MS) for _ in range(3))
    calls = ((0, first_ns), (first_ns + tool_ns, second_ns))
    for start_ns, length_ns in calls:
        yield LlmCall(
            trace_id=trace,
            observer=Observer.RESPONSE,
            clock=Timeline.AGENT,
            model="bench",
            start_ns=start_ns,
            first_token_ns=start_ns + length_ns // 3,
            end_ns=start_ns + length_ns,
            outcome=Outcome.OK,
            attempts=1,
            usage=Usage(input_tokens=rng.randrange(500, 9000), output_tokens=rng.randrange(5, 400)),
            tokens=TokenParts(
                system=400, tool_schemas=300, history=900, user=40, tool_results=80, overhead=3
            ),
        )
    yield ToolCall(
        trace_id=trace,
        observer=Observer.RESPONSE,
        clock=Timeline.AGENT,
        name=rng.choice(("search", "lookup", "book")),
        start_ns=first_ns,
        end_ns=first_ns + tool_ns,
        outcome=Outcome.OK,
    )
    for kind in (StateKind.READ, StateKind.WRITE):
        yield StateOp(trace_id=trace, observer=Observer.RESPONSE, store="redis", kind=kind, count=2)
    end_ns = send_ns + first_ns + tool_ns + second_ns + 3 * MS
    yield Interaction(
        trace_id=trace,
        session=f"s{index // TURNS}",
        session_index=index // TURNS,
        scenario="bench",
        turn=index % TURNS,
        last_turn=index % TURNS == TURNS - 1,
        phase=Phase.MEASURE,
        send_ns=send_ns,
        first_byte_ns=send_ns + MS,
        first_token_ns=send_ns + first_ns,
        last_token_ns=end_ns,
        end_ns=end_ns,
        outcome=Outcome.OK,
        http_status=200,
        response_bytes=2000,
        counted=ClientTokens(user=40, history=900, output=rng.randrange(5, 400)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """Medians of building a profile in processes of their own; memory at its highest."""

    interactions: int
    journal_mb: float
    profile_mb: float
    import_s: float
    build_s: float
    peak_mb: float
    imports_mb: float


def built(interactions: int, repetitions: int) -> Built:
    """Write a journal and build its profile so many times."""
    with tempfile.TemporaryDirectory() as directory:
        journal = Path(directory) / JOURNAL_NAME
        writer = JournalWriter(journal)
        records = journal_records(interactions)
        # In batches: a child starts with its parent's peak memory on the account.
        while batch := list(islice(records, 1000)):
            writer.append(batch)
        writer.close()
        runs = [
            json.loads(subprocess.check_output([sys.executable, "-c", CHILD, str(journal)]))
            for _ in range(repetitions)
        ]
        return Built(
            interactions=interactions,
            journal_mb=journal.stat().st_size / 1e6,
            profile_mb=runs[0]["profile_mb"],
            import_s=statistics.median(run["import_s"] for run in runs),
            build_s=statistics.median(run["s"] for run in runs),
            peak_mb=max(run["mb"] for run in runs),
            imports_mb=max(run["imports_mb"] for run in runs),
        )


def main() -> None:
    asked = [int(argument) for argument in sys.argv[1:3]]
    short, long = [*asked, *(SHORT, LONG)[len(asked) :]]
    few, many = built(short, REPETITIONS), built(long, 1)
    for one in (few, many):
        print(f"journal              {one.interactions:,} interactions, {one.journal_mb:.1f} MB")
        print(f"  profile.json       {one.profile_mb:.2f} MB")
        print(f"  imports            {one.import_s:.2f} s (not in the time below)")
        target = f" (target < {TARGET_S} s)" if one.interactions == SHORT else ""
        print(f"  build and dump     {one.build_s:.2f} s{target}")
        print(
            f"  peak of process    {one.peak_mb:.1f} MB, {one.imports_mb:.1f} of them imports "
            f"(target < {TARGET_MB:.0f} MB)"
        )
    if many.interactions > few.interactions:
        grown = (many.peak_mb - few.peak_mb) * 2**20
        slope = grown / (many.interactions - few.interactions)
        print(
            f"slope                {slope:.1f} bytes an interaction (target < {TARGET_SLOPE:.0f})"
        )


if __name__ == "__main__":
    main()
