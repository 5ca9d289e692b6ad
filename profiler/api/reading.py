"""Files that were written before, read again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from profiler.comparison.model import Comparison
    from profiler.planner.plan import Plan
    from profiler.profile.model import WorkloadProfile


def load_profile(path: str | Path) -> WorkloadProfile:
    """Read a profile from its file, or from the directory of a run. Raises `ProfileError`."""
    from profiler.profile.model import load_profile as load

    return load(Path(path))


def load_plan(path: str | Path) -> Plan:
    """Read a plan from its file, or from the directory that holds it. Raises `PlanError`."""
    from profiler.planner.plan import load_plan as load

    return load(Path(path))


def load_comparison(path: str | Path) -> Comparison:
    """Read a comparison from its file, or from the directory that holds it.

    Raises `ProfileError`.
    """
    from profiler.comparison.model import load_comparison as load

    return load(Path(path))
