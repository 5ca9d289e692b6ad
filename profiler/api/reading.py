"""Files that were written before, read again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from profiler.comparison import model as comparison_model
from profiler.planner import plan as plan_model
from profiler.profile import model as profile_model

if TYPE_CHECKING:
    from profiler.comparison.model import Comparison
    from profiler.planner.plan import Plan
    from profiler.profile.model import WorkloadProfile


def load_profile(path: str | Path) -> WorkloadProfile:
    """Read a profile from its file, or from the directory of a run. Raises `ProfileError`."""
    return profile_model.load_profile(Path(path))


def load_plan(path: str | Path) -> Plan:
    """Read a plan from its file, or from the directory that holds it. Raises `PlanError`."""
    return plan_model.load_plan(Path(path))


def load_comparison(path: str | Path) -> Comparison:
    """Read a comparison from its file, or from the directory that holds it.

    Raises `ProfileError`.
    """
    return comparison_model.load_comparison(Path(path))
