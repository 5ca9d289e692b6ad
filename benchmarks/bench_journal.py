"""What the journal costs an interaction: encode and write its lines, and read them again.

python benchmarks/bench_journal.py
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from profiler.measure.journal import JournalWriter, read_journal, to_line
from profiler.measure.records import (
    ClientTokens,
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

INTERACTIONS = 10_000
TARGET_US = 25.0
ROUNDS = 5  # the best of so many: other work on the machine only adds

RUN = Run(
    run_id="bench",
    tool_version="0",
    argv=(),
    started_wall_ns=0,
    started_monotonic_ns=0,
    workload="bench",
    digests={},
    seeds={},
    host={},
    target={},
    load={},
    encoding="o200k_base",
    observers=(),
)


def interaction_records(number: int) -> list[Record]:
    """Return the lines of a typical interaction: itself, 2 LLM calls, a tool, a read, a write."""
    trace_id = f"{number:032x}"
    start_ns = 1_000_000_000 * number
    call = LlmCall(
        trace_id=trace_id,
        observer=Observer.RESPONSE,
        clock=Timeline.AGENT,
        model="gpt-4o",
        start_ns=120_000,
        first_token_ns=310_000_000,
        end_ns=900_000_000,
        outcome=Outcome.OK,
        attempts=1,
        usage=Usage(input_tokens=2100, output_tokens=80, cached_input_tokens=0),
        tokens=TokenParts(
            system=1500, tool_schemas=0, history=500, user=40, tool_results=57, overhead=3
        ),
        tool_calls=("get_reservation_details",),
    )
    tool = ToolCall(
        trace_id=trace_id,
        observer=Observer.RESPONSE,
        clock=Timeline.AGENT,
        name="get_reservation_details",
        start_ns=900_000_000,
        end_ns=950_000_000,
        outcome=Outcome.OK,
    )
    states = [
        StateOp(trace_id=trace_id, observer=Observer.RESPONSE, store="history", kind=kind, count=1)
        for kind in (StateKind.READ, StateKind.WRITE)
    ]
    whole = Interaction(
        trace_id=trace_id,
        session=f"session-{number // 7}",
        session_index=number // 7,
        scenario="airline",
        conversation="airline-00-0",
        turn=number % 7,
        phase=Phase.MEASURE,
        think_time_ns=0,
        send_ns=start_ns,
        first_byte_ns=start_ns + 300_000_000,
        first_token_ns=start_ns + 310_000_000,
        last_token_ns=start_ns + 1_800_000_000,
        end_ns=start_ns + 1_900_000_000,
        outcome=Outcome.OK,
        http_status=200,
        response_bytes=4200,
        counted=ClientTokens(user=40, history=300, output=80),
        usage=Usage(input_tokens=4200, output_tokens=160),
    )
    return [whole, call, call, tool, *states]


def encode_all_us(batches: list[list[Record]]) -> float:
    started = time.perf_counter()
    for batch in batches:
        for record in batch:
            to_line(record)
    return (time.perf_counter() - started) / len(batches) * 1e6


def write_all_us(file: Path, batches: list[list[Record]]) -> float:
    writer = JournalWriter(file)
    writer.append([RUN])
    started = time.perf_counter()
    for batch in batches:
        writer.append(batch)
    written_us = (time.perf_counter() - started) / len(batches) * 1e6
    writer.close()
    return written_us


def main() -> None:
    batches = [interaction_records(number) for number in range(INTERACTIONS)]
    encode_us = min(encode_all_us(batches) for _ in range(ROUNDS))
    with tempfile.TemporaryDirectory() as directory:
        files = [Path(directory) / f"{number}.jsonl" for number in range(ROUNDS)]
        write_us = min(write_all_us(file, batches) for file in files)
        size = files[0].stat().st_size
        started = time.perf_counter()
        lines = sum(1 for _ in read_journal(files[0]))
        read_s = time.perf_counter() - started

    verdict = "ok" if write_us <= TARGET_US else "MISSED"
    print(f"{INTERACTIONS:,} interactions of 6 lines, {size / INTERACTIONS:.0f} bytes each")
    print(f"encode            {encode_us:6.1f} us an interaction")
    print(f"encode and write  {write_us:6.1f} us an interaction (target {TARGET_US:.0f}) {verdict}")
    print(f"read              {read_s:6.2f} s for {lines:,} lines")


if __name__ == "__main__":
    main()
