"""The Python API: what the commands do, as functions.

`run`, `plan` and `compare` have asynchronous forms (`arun`, `aplan`, `acompare`) that leave the
event loop to others. What they return shows itself in a notebook. Errors: `profiler.errors`.
"""

from __future__ import annotations

from profiler.api.analysing import acompare, aplan, compare, plan
from profiler.api.options import RunOptions
from profiler.api.reading import load_comparison, load_plan, load_profile
from profiler.api.running import arun, run
from profiler.api.serving import served
from profiler.comparison.model import Comparison
from profiler.planner.plan import Plan
from profiler.profile.model import WorkloadProfile
from profiler.report.comparison import comparison_report
from profiler.report.notebook import notebook_html
from profiler.report.plan_terminal import plan_report
from profiler.report.terminal import profile_table
from profiler.shown import draw_by

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

draw_by(WorkloadProfile, lambda profile: notebook_html(profile_table(profile)))
draw_by(Plan, lambda made: notebook_html(plan_report(made)))
draw_by(Comparison, lambda found: notebook_html(comparison_report(found)))
