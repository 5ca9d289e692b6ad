"""What it takes in people's hours: the line that plans leave out most often."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from profiler.errors import PlanError
from profiler.planner.cost_tree import CostLine, priced, total
from profiler.planner.infrastructure import WAYS, Infrastructure, RunBy
from profiler.planner.price_book import COMPONENTS, Component
from profiler.planner.prices import exactly
from profiler.workload.near import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from profiler.planner.demand import Operations, Skill
    from profiler.planner.price_book import PriceBook
    from profiler.planner.ranges import Range


@dataclass(frozen=True, slots=True, kw_only=True)
class OneWay:
    """A component, run one way: dollars per month for machines and services, and for people."""

    infrastructure_usd: Decimal
    hours: Decimal
    operations_usd: Decimal

    @property
    def total_usd(self) -> Decimal:
        """Both together."""
        return self.infrastructure_usd + self.operations_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A component managed and self-run, side by side."""

    component: Component
    skill: Skill
    managed: OneWay
    self_run: OneWay

    @property
    def cheaper(self) -> RunBy:
        """The way that costs less with its hours; managed, where both cost the same."""
        return "self" if self.self_run.total_usd < self.managed.total_usd else "managed"


def operations(
    demand: Operations,
    book: PriceBook,
    run_by: RunBy,
    *,
    draw: Callable[[Range], float] | None = None,
) -> CostLine:
    """Return people's hours per month as a bill; `draw` picks from ranges, without it the likely.

    A demand's own `hours_per_month` stands in place of the book's hours, as one line.
    """
    pick = draw if draw is not None else _likely
    rate = exactly(pick(demand.rate_per_hour))
    if demand.hours_per_month is not None:
        hours = exactly(pick(demand.hours_per_month))
        line = priced("all components", hours, "hours", rate, source="the demand file")
        return total("operations", [line])
    team = _Team(demand, book, rate, pick)
    return total("operations", [team.line(component, run_by) for component in COMPONENTS])


def side_by_side(
    demand: Operations,
    book: PriceBook,
    costs: Infrastructure,
    *,
    draw: Callable[[Range], float] | None = None,
) -> tuple[Choice, ...]:
    """Return each component that has a bill, managed against self-run, with the book's hours."""
    pick = draw if draw is not None else _likely
    rate = exactly(pick(demand.rate_per_hour))
    team = _Team(demand, book, rate, pick)
    bills = {way: {line.name: line.usd for line in costs.ways[way]} for way in WAYS}

    def one_way(component: Component, way: RunBy) -> OneWay:
        line = team.line(component, way)
        hours = line.quantity if line.quantity is not None else Decimal(0)
        usd = bills[way][component]
        return OneWay(infrastructure_usd=usd, hours=hours, operations_usd=line.usd)

    return tuple(
        Choice(
            component=component,
            skill=skill_of(demand, component),
            managed=one_way(component, "managed"),
            self_run=one_way(component, "self"),
        )
        for component in COMPONENTS
        if component in bills["managed"] and component in bills["self"]
    )


def check_skills(demand: Operations, technologies: Iterable[str] = ()) -> None:
    """Raise PlanError for the skill of what is neither a component nor one of `technologies`."""
    known = {*COMPONENTS, *technologies}
    for name in demand.skills:
        if name not in known:
            what = f"'{name}' is no component, and no skill or technology of the catalogue"
            raise PlanError(what, where="operations.skills", fix=did_you_mean(name, known))


def skill_of(demand: Operations, component: Component) -> Skill:
    """Return the team's skill with a component."""
    return demand.skills.get(component, demand.skill)


@dataclass(frozen=True, slots=True)
class _Team:
    demand: Operations
    book: PriceBook
    rate_usd: Decimal
    pick: Callable[[Range], float]

    def line(self, component: Component, way: RunBy) -> CostLine:
        skill, known = skill_of(self.demand, component), self.book.operations[component]
        hours = exactly(self.pick(known.hours(way, skill)))
        note = f"{way}, {skill}: {known.reason}"
        source = f"estimate of {self.book.name}"
        return priced(component, hours, "hours", self.rate_usd, note=note, source=source)


def _likely(value: Range) -> float:
    return value.likely
