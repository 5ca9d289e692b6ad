"""Two plans compared: what changed in the answers, and which inputs changed.

A plan holds its demand but not its profile, so the reasons are those that the plans themselves
show: keys of the demand, measured numbers, prices, and how much of a cost came from volume and
how much from the price of one interaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from profiler.planner.plan import CostNode, Plan, Scale

_DIGITS = 8
"""Of a digest: enough to tell two apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """One value in both plans; None: there is none in that one."""

    name: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiChange:
    """Why the models' bill of a month changed: `volume` + `per_interaction` is the change.

    Volume at the old price of an interaction, then the price at the new volume.
    """

    volume_usd: float
    per_interaction_usd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleDiff:
    """One growth factor in both plans."""

    factor: float
    answers: tuple[Changed, ...]
    cost_lines: tuple[Changed, ...]
    api: ApiChange


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanDiff:
    """What changed from an old plan to a new one. All empty: nothing."""

    inputs: tuple[Changed, ...]
    measured: tuple[Changed, ...]
    scales: tuple[ScaleDiff, ...]
    only_old: tuple[float, ...]
    only_new: tuple[float, ...]

    @property
    def is_empty(self) -> bool:
        """Whether both plans say the same."""
        answers = any(scale.answers or scale.cost_lines for scale in self.scales)
        return not (self.inputs or self.measured or answers or self.only_old or self.only_new)


def diff(old: Plan, new: Plan) -> PlanDiff:
    """Compare two plans, scale by scale where both have the factor."""
    before = {scale.factor: scale for scale in old.scales}
    after = {scale.factor: scale for scale in new.scales}
    return PlanDiff(
        inputs=tuple(_changes(_inputs(old), _inputs(new))),
        measured=tuple(_changes(_measured(old), _measured(new))),
        scales=tuple(
            _scale(scale, after[factor]) for factor, scale in before.items() if factor in after
        ),
        only_old=tuple(factor for factor in before if factor not in after),
        only_new=tuple(factor for factor in after if factor not in before),
    )


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Changed]:
    for name in [*old, *(name for name in new if name not in old)]:
        if old.get(name) != new.get(name):
            yield Changed(name=name, old=old.get(name), new=new.get(name))


def _inputs(plan: Plan) -> dict[str, Any]:
    given = dict(_flat(plan.inputs.demand, "demand"))
    profile, prices = plan.inputs.profile, plan.inputs.prices
    return given | {
        # The same run may be computed anew: its digest tells that.
        "profile": f"{profile.id} ({profile.digest[:_DIGITS]})",
        "prices of models": prices.models,
        "prices of the date": prices.at,
        "price book": prices.infrastructure,
        "seed": plan.inputs.seed,
        "draws": plan.inputs.draws,
        "agent-profiler": plan.tool_version,
    }


def _flat(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for name, item in value.items():
            yield from _flat(item, f"{path}.{name}")
    else:
        yield path, value


def _measured(plan: Plan) -> dict[str, float]:
    return {each.metric: each.value for each in plan.provenance}


def _scale(old: Scale, new: Scale) -> ScaleDiff:
    return ScaleDiff(
        factor=old.factor,
        answers=tuple(_changes(_answers(old), _answers(new))),
        cost_lines=tuple(_changes(_lines(old.cost.tree), _lines(new.cost.tree))),
        api=_api(old, new),
    )


def _answers(scale: Scale) -> dict[str, Any]:
    binding = scale.binding
    return {
        "users": scale.demand.users,
        "interactions_per_minute": scale.demand.interactions_per_minute,
        "llm_calls_per_minute": scale.demand.llm_calls_per_minute,
        "tokens_per_minute": scale.demand.tokens_per_minute,
        "binding limit": None if binding is None else f"{binding.model} {binding.limit}",
        "binding utilization": None if binding is None else binding.utilization,
        "max_users": None if binding is None else binding.max_users,
        "workers": scale.workers.count,
        "answer_latency_p95_s": scale.workers.answer_latency_p95_s.value,
        "cost.total": scale.cost.total,
        "cost.per_user": scale.cost.per_user,
        "cost.per_interaction": scale.cost.per_interaction,
    }


def _lines(tree: CostNode, path: str = "") -> dict[str, Decimal]:
    """Return the leaves by path, in the tree's order; lines of the same path are summed."""
    if not tree.children:
        return {path or tree.name: Decimal(tree.usd)}
    found: dict[str, Decimal] = {}
    for child in tree.children:
        name = f"{path} > {child.name}" if path else child.name
        for line, usd in _lines(child, name).items():
            found[line] = found.get(line, Decimal(0)) + usd
    return found


def _api(old: Scale, new: Scale) -> ApiChange:
    before, after = old.demand.interactions_per_month, new.demand.interactions_per_month
    each_before = old.cost.api / before
    each_after = new.cost.api / after
    return ApiChange(
        volume_usd=(after - before) * each_before,
        per_interaction_usd=after * (each_after - each_before),
    )
