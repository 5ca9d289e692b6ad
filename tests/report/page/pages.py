"""Profiles for pages: one with everything in it, and names that an attacker would choose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from profiler.measure.records import (
    ClientTokens,
    DriverSample,
    Outcome,
    RateLimit,
    Record,
    StateKind,
    TokenParts,
    Usage,
)
from tests.profile.journals import MS, S, interaction, llm_call, run, state_op, tool_call, write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOSTILE = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
"""Shorter than what a name is cut off at in a chart would have to be, to do anything."""

TOOL = "<script>document.title='tool'</script>"


def full_run(
    tmp_path: Path, interactions: int = 60, per_session: int = 3, more_calls: int = 0
) -> Path:
    """Write a run with LLM calls, tools, state, limits, failures, and a harness that watches."""
    records = [record for i in range(interactions) for record in _one(i, per_session, more_calls)]
    argv = ("agent-profiler", "run", HOSTILE)
    return write(tmp_path, *records, first=run(workload=HOSTILE, argv=argv))


def _one(index: int, per_session: int, more_calls: int) -> Iterator[Record]:
    trace, turn = f"t{index}", index % per_session
    begin_ns = index * 200 * MS
    calls = 1 + index % 3 + more_calls
    for number in range(calls):
        start_ns = (100 + 400 * number) * MS
        yield llm_call(
            trace,
            model=HOSTILE,
            start_ns=start_ns,
            first_token_ns=start_ns + 50 * MS,
            end_ns=start_ns + 300 * MS,
            usage=Usage(input_tokens=1000 + 500 * turn, output_tokens=40, cached_input_tokens=900),
            tokens=TokenParts(
                system=900,
                tool_schemas=50,
                history=500 * turn,
                user=30,
                tool_results=15,
                overhead=5,
            ),
            rate_limit=RateLimit(limit_requests=1000, remaining_requests=600 - index),
        )
        if number:
            yield tool_call(trace, TOOL, start_ns=start_ns - 90 * MS, end_ns=start_ns - 10 * MS)
    yield state_op(trace, StateKind.READ, 2, store=TOOL)
    yield interaction(
        trace,
        session=f"s{index // per_session}",
        turn=turn,
        send_ns=begin_ns,
        first_token_ns=begin_ns + 200 * MS,
        end_ns=begin_ns + (100 + 400 * calls) * MS,
        outcome=Outcome.TIMEOUT if index % 20 == 19 else Outcome.OK,
        counted=ClientTokens(output=40),
    )
    if index % 5 == 0:
        yield DriverSample(
            at_ns=begin_ns + S, in_flight=2, sent=index, ended=index, dropped=0,
            loop_lag_max_ns=MS, cpu_share=0.1,
        )  # fmt: skip
