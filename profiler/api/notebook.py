"""How a notebook shows profiles, plans and comparisons: as their reports, loaded when shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from profiler.shown import draw_by

if TYPE_CHECKING:
    from profiler.comparison.model import Comparison
    from profiler.planner.plan import Plan
    from profiler.profile.model import WorkloadProfile


def _profile(profile: WorkloadProfile) -> str:
    from profiler.report.notebook import notebook_html
    from profiler.report.terminal import profile_table

    return notebook_html(profile_table(profile))


def _plan(made: Plan) -> str:
    from profiler.report.notebook import notebook_html
    from profiler.report.plan_terminal import plan_report

    return notebook_html(plan_report(made))


def _comparison(found: Comparison) -> str:
    from profiler.report.comparison import comparison_report
    from profiler.report.notebook import notebook_html

    return notebook_html(comparison_report(found))


draw_by("profiler.profile.model.WorkloadProfile", _profile)
draw_by("profiler.planner.plan.Plan", _plan)
draw_by("profiler.comparison.model.Comparison", _comparison)
