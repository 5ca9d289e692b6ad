"""Profiles of one made-up agent, as it was planned for and as it became."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from profiler.measure.records import Record, StateKind, TokenParts, Usage
from profiler.planner.build import build_plan
from profiler.planner.demand_file import DemandFile, load_demand
from profiler.planner.plan import Plan
from profiler.profile.build import build_profile
from profiler.profile.model import WorkloadProfile
from tests.planner.shortened import short_simulations
from tests.profile.journals import MS, interaction, llm_call, run, state_op, tool_call, write

AT = date(2026, 11, 22)
SESSIONS, TURNS = 40, 4
TOKENS_PER_MINUTE = 50_000_000
DEMAND: dict[str, Any] = {
    "name": "launch",
    "users": {"peak_concurrent": 500, "interactions_per_minute": 2},
    "traffic": {"interactions_per_day": 100_000, "days_per_month": 30},
    "growth": [1, 10],
    "rollout": {"stages": [{"name": "all of it"}]},
    "models": {
        "gpt-4o": {"provider": "openai", "limits": {"tokens_per_minute": TOKENS_PER_MINUTE}}
    },
}


@dataclass(frozen=True, kw_only=True)
class Agent:
    """Two LLM calls of 300 ms with a tool of 400 ms between them, each time off by up to 20 %.

    `seed` is of the times alone: every run has the same prompts. The others are factors.
    """

    seed: int = 1
    tool: float = 1.0
    history: float = 1.0
    calls: int = 2
    system: int = 500


AS_PLANNED = Agent()


def profile(folder: Path, agent: Agent = AS_PLANNED, *, workload: str = "w") -> WorkloadProfile:
    """Measure an agent in 160 interactions."""
    noise = random.Random(agent.seed)
    records = [
        record
        for session in range(SESSIONS)
        for turn in range(TURNS)
        for record in _one(agent, session, turn, noise)
    ]
    return build_profile(write(folder, *records, first=run(digests={"workload": workload})))


def _one(agent: Agent, session: int, turn: int, noise: random.Random) -> Iterator[Record]:
    trace, at = f"{session}-{turn}", 0
    for number in range(agent.calls):
        if number:
            took = round(400 * MS * agent.tool * noise.uniform(0.8, 1.2))
            yield tool_call(trace, "search", start_ns=at, end_ns=at + took)
            at += took
        parts = {
            "system": agent.system,
            "tool_schemas": 100,
            "history": round((500 + 1000 * turn) * agent.history),
            "user": 30,
            "tool_results": 60 * number,
            "overhead": 10,
        }
        took = round(300 * MS * noise.uniform(0.8, 1.2))
        usage = Usage(input_tokens=sum(parts.values()), cached_input_tokens=0, output_tokens=50)
        tokens = TokenParts(**parts)
        span = {"start_ns": at, "end_ns": at + took}
        yield llm_call(trace, model="gpt-4o", attempts=1, usage=usage, tokens=tokens, **span)
        at += took
    for kind in (StateKind.READ, StateKind.WRITE):
        yield state_op(trace, kind, 1)
    last = turn == TURNS - 1
    of_session = {"session": f"session {session}", "turn": turn, "last_turn": last}
    yield interaction(trace, **of_session, end_ns=at + 20 * MS)


def asked(folder: Path, **changes: Any) -> DemandFile:
    path = folder / "demand.yaml"
    path.write_text(yaml.safe_dump({**DEMAND, **changes}))
    return load_demand(path)


def planned(folder: Path, **changes: Any) -> Plan:
    """Return the plan of the agent as it was."""
    with short_simulations():
        return build_plan(profile(folder), asked(folder, **changes), at=AT, draws=0)
