"""Small profiles and demands with round numbers: what the tests of whole plans are made of."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from profiler.measure.records import Record, Usage
from profiler.planner.build import build_plan
from profiler.planner.demand_file import DemandFile, load_demand
from profiler.planner.plan import Plan
from profiler.profile.build import build_profile
from profiler.profile.model import WorkloadProfile
from tests.planner.shortened import short_simulations
from tests.profile.journals import MS, S, interaction, llm_call, run, write

AT = date(2026, 11, 1)
MODEL = "gpt-4o"
PRICE = {"input": 2, "output": 10}
"""Dollars per million tokens, without a tier."""
DEMAND: dict[str, Any] = {
    "users": {"peak_concurrent": 500, "interactions_per_minute": 2},
    "traffic": {"peak_to_average": 4, "hours_per_day": 10, "days_per_month": 20},
    "growth": [1],
    "models": {MODEL: {"price": PRICE}},
}
INPUT, OUTPUT = 1000, 100
LATENCIES_S = (0.5, 0.7, 0.9, 1.1, 1.3)


def two_calls(folder: Path, interactions: int = 120, **of_run: Any) -> WorkloadProfile:
    """Sessions of two interactions, each of two calls of 1,000 tokens in and 100 out.

    The calls start 0.2 s apart; the interactions take the `LATENCIES_S` in turn, 0.9 s on average.
    """
    records: list[Record] = []
    for number in range(interactions):
        trace, begin_ns = f"{number:05d}", number * S
        for call in range(2):
            start_ns = call * 200 * MS  # on the agent's clock: from the message on
            records.append(
                llm_call(
                    trace,
                    model=MODEL,
                    attempts=1,
                    start_ns=start_ns,
                    end_ns=start_ns + 200 * MS,
                    usage=Usage(input_tokens=INPUT, cached_input_tokens=0, output_tokens=OUTPUT),
                )
            )
        latency_ns = round(LATENCIES_S[number % len(LATENCIES_S)] * S)
        session, turn = divmod(number, 2)
        records.append(
            interaction(
                trace,
                session=f"s{session}",
                session_index=session,
                turn=turn,
                last_turn=turn == 1,
                send_ns=begin_ns,
                end_ns=begin_ns + latency_ns,
            )
        )
    return build_profile(write(folder, *records, first=run(**of_run)))


def demand(folder: Path, **changes: Any) -> DemandFile:
    """Return `DEMAND` with these keys in place of its own."""
    path = folder / "demand.yaml"
    path.write_text(yaml.safe_dump({**DEMAND, **changes}))
    return load_demand(path)


def planned(
    profile: WorkloadProfile, asked: DemandFile, *, in_full: bool = False, **options: Any
) -> Plan:
    """Plan without draws, simulated shortly; `in_full` where a test is of what that finds."""
    with nullcontext() if in_full else short_simulations():
        return build_plan(profile, asked, **{"at": AT, "draws": 0, **options})
