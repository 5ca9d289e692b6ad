"""The Python API: what the commands do, as functions.

`run`, `plan` and `compare` have asynchronous forms (`arun`, `aplan`, `acompare`) that leave the
event loop to others. What they return shows itself in a notebook. Errors: `profiler.errors`.
Each name is loaded when it is first asked for, and loads what it needs when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from profiler.api import notebook  # noqa: F401 - says how a notebook shows what is returned

if TYPE_CHECKING:
    from profiler.api.analysing import acompare, aplan, compare, plan
    from profiler.api.options import RunOptions
    from profiler.api.reading import load_comparison, load_plan, load_profile
    from profiler.api.running import arun, run
    from profiler.api.serving import served
    from profiler.comparison.model import Comparison
    from profiler.planner.plan import Plan
    from profiler.profile.model import WorkloadProfile

_HOMES = {
    "Comparison": "profiler.comparison.model",
    "Plan": "profiler.planner.plan",
    "RunOptions": "profiler.api.options",
    "WorkloadProfile": "profiler.profile.model",
    "acompare": "profiler.api.analysing",
    "aplan": "profiler.api.analysing",
    "arun": "profiler.api.running",
    "compare": "profiler.api.analysing",
    "load_comparison": "profiler.api.reading",
    "load_plan": "profiler.api.reading",
    "load_profile": "profiler.api.reading",
    "plan": "profiler.api.analysing",
    "run": "profiler.api.running",
    "served": "profiler.api.serving",
}
__all__ = [
    "Comparison",
    "Plan",
    "RunOptions",
    "WorkloadProfile",
    "acompare",
    "aplan",
    "arun",
    "compare",
    "load_comparison",
    "load_plan",
    "load_profile",
    "plan",
    "run",
    "served",
]


def __getattr__(name: str) -> Any:
    """Load the function or class that is asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
