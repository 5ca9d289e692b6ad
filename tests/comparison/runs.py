"""Small runs for comparing: profiles of journals whose interactions made so many LLM calls."""

from __future__ import annotations

import tempfile
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from profiler.measure.records import Outcome, Usage
from profiler.profile.build import build_profile
from profiler.workload.sessions import session_ids
from tests.profile.journals import MS, interaction, llm_call, run, tool_call, write

if TYPE_CHECKING:
    from collections.abc import Sequence

    from profiler.measure.records import Record
    from profiler.profile.model import WorkloadProfile


def profile_of(
    sessions: Sequence[Sequence[int]],
    *,
    run_id: str = "r1",
    seed: int = 1,
    latency_ms: int = 1000,
    tools: Sequence[str] = (),
    rare: int = 0,
    failed: int = 0,
    **changes: Any,
) -> WorkloadProfile:
    """Return the profile of a run: `sessions[i][j]` LLM calls in turn j of session i.

    Every call has 100 input tokens and 10 output tokens; every interaction calls each of `tools`
    once, and the first `rare` ones call `refund` as well. The first `failed` interactions fail. Ids
    of sessions are those of a sampler of `seed`.
    """
    records: list[Record] = []
    names = islice(session_ids(seed, salt=run_id), len(sessions))
    number = 0
    for name, turns in zip(names, sessions, strict=True):
        for turn, calls in enumerate(turns):
            trace = f"{number:032x}"
            number += 1
            outcome = Outcome.TIMEOUT if number <= failed else Outcome.OK
            # A little other from one to the next, as times are.
            end_ns = (latency_ms + 7 * (number % 5)) * MS
            records += [
                llm_call(trace, usage=Usage(input_tokens=100, output_tokens=10))
                for _ in range(calls)
            ]
            used = [*tools, "refund"] if number <= rare else tools
            records += [tool_call(trace, tool) for tool in used]
            last = turn == len(turns) - 1
            records.append(
                interaction(
                    trace,
                    session=name,
                    turn=turn,
                    last_turn=last,
                    end_ns=end_ns,
                    outcome=outcome,
                )
            )
    first = run(run_id=run_id, seeds={"sessions": seed}, **changes)
    with tempfile.TemporaryDirectory() as directory:
        return build_profile(write(Path(directory), *records, first=first))
