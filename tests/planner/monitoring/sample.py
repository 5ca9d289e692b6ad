"""The plan that ships with the sample profile, without draws, simulated shortly."""

from __future__ import annotations

from datetime import date
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from profiler.planner.build import build_plan
from profiler.planner.demand_file import load_demand
from profiler.planner.samples import sample_demand
from profiler.profile.model import load_profile
from tests.planner.shortened import short_simulations

if TYPE_CHECKING:
    from profiler.planner.plan import Plan
    from profiler.profile.model import WorkloadProfile

ROOT = Path(__file__).parents[3]


@cache
def sample_profile() -> WorkloadProfile:
    return load_profile(ROOT / "results" / "sample")


@cache
def sample_plan() -> Plan:
    with TemporaryDirectory() as folder:
        demand = Path(folder) / "demand.yaml"
        demand.write_text(sample_demand())
        asked = load_demand(demand)
    with short_simulations():
        return build_plan(sample_profile(), asked, at=date(2026, 11, 22), draws=0)
