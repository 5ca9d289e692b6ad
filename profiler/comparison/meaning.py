"""What a difference means in users and dollars: a plan's demand, planned with either profile."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from pydantic import ValidationError

from profiler.comparison.model import PlanMeaning, ScaleMeaning
from profiler.errors import PlanError
from profiler.planner.build import build_plan
from profiler.planner.demand_file import demand_of

if TYPE_CHECKING:
    from pathlib import Path

    from profiler.planner.plan import Plan, Scale
    from profiler.profile.model import WorkloadProfile


def meaning_of(
    baseline: WorkloadProfile, candidate: WorkloadProfile, plan: Plan, folder: Path
) -> PlanMeaning:
    """Plan with both profiles: the demand, the day's prices and the seed are those of `plan`.

    Files that the demand names are looked for in `folder`. Profiles that are not to be trusted are
    planned with all the same: the comparison says so. Raises `PlanError` for a demand that this
    tool does not read (a plan of another version), and for what the planner cannot plan.
    """
    inputs = plan.inputs
    try:
        asked = demand_of(inputs.demand, folder / "demand of the plan")
    except ValidationError as exc:
        what = f"the demand in the plan {plan.name!r} is not one that this tool reads"
        raise PlanError(what, where=str(folder), fix="Make the plan again") from exc
    at = date.fromisoformat(inputs.prices.at)
    before, after = (
        build_plan(profile, asked, at=at, seed=inputs.seed, draws=0, accept_untrusted=True)
        for profile in (baseline, candidate)
    )
    return PlanMeaning(
        name=plan.name,
        prices_at=inputs.prices.at,
        scales=tuple(
            _scale(old, new) for old, new in zip(before.scales, after.scales, strict=True)
        ),
    )


def _scale(old: Scale, new: Scale) -> ScaleMeaning:
    def users(scale: Scale) -> int | None:
        return None if scale.binding is None else scale.binding.max_users

    return ScaleMeaning(
        factor=new.factor,
        users=new.demand.users,
        max_users=(users(old), users(new)),
        workers=(old.workers.count, new.workers.count),
        cost_usd_per_month=(old.cost.total, new.cost.total),
        api_usd_per_month=(old.cost.api, new.cost.api),
    )
