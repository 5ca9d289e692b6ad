"""What the demand of a plan states, with the defaults of what it leaves out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError

from profiler.planner.demand import Demand
from profiler.report.plan_words import stated

if TYPE_CHECKING:
    from profiler.planner.plan import Plan


def demand_of(plan: Plan) -> Demand | None:
    """Return the demand that the plan carries; None where this version cannot read it."""
    try:
        return Demand.model_validate(plan.inputs.demand)
    except ValidationError:
        return None


def headroom_words(plan: Plan) -> str:
    """Write `with 80 % headroom`."""
    demand = demand_of(plan)
    return "within the headroom" if demand is None else _with(demand.headroom.likely)


def _with(headroom: float) -> str:
    return f"with {stated(headroom)} headroom"
