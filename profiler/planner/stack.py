"""The stack of a plan: a technology for each part, with its margin and what would overturn it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from profiler.errors import PlanError
from profiler.planner.demand import PARTS, Skill
from profiler.planner.evaluate import evaluate
from profiler.planner.prices import exactly
from profiler.planner.stack_costs import bills_of, price, skill_level
from profiler.planner.stack_model import StackChoice, StackLoser, StackMargin, StackPart
from profiler.planner.stack_overturn import outgrown, overturned_by, verdict
from profiler.planner.stack_quantities import QUANTITIES
from profiler.planner.stack_select import (
    Candidate,
    Rules,
    choose,
    fullest,
    over_quotas,
    why_lost,
)
from profiler.planner.stack_wants import closed_models, wants_of
from profiler.workload.near import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from decimal import Decimal

    from profiler.planner import plan
    from profiler.planner.demand import Operations, PartName, Stack
    from profiler.planner.evaluate import Point, Setting
    from profiler.planner.infrastructure import RunBy
    from profiler.planner.measured import Measured
    from profiler.planner.stack_catalogue import Catalogue, Part
    from profiler.planner.stack_costs import Bills
    from profiler.planner.stack_quantities import Wants
    from profiler.planner.stack_select import Choice

_SKILLS: tuple[Skill, ...] = get_args(Skill)
_CLOSED = "closed_models"


def check_stack(asked: Stack, catalogue: Catalogue) -> None:
    """Raise PlanError for a technology or capability that the catalogue does not have."""
    for part in PARTS:
        known = catalogue.parts[part]
        _check(asked.require.get(part, ()), known.capabilities, part, "require", "capability")
        preferred = (asked.prefer[part],) if part in asked.prefer else ()
        _check(preferred, known.technologies, part, "prefer", "technology")
        _check(asked.exclude.get(part, ()), known.technologies, part, "exclude", "technology")


def _check(names: Iterable[str], known: Iterable[str], part: PartName, key: str, kind: str) -> None:
    for name in names:
        if name not in known:
            what = f"the catalogue has no {kind} '{name}' for {part}"
            raise PlanError(what, where=f"stack.{key}.{part}", fix=did_you_mean(name, known))


def candidates_of(
    name: PartName,
    part: Part,
    *,
    wants: Wants,
    bills: Bills,
    operations: Operations,
    run_by: RunBy,
) -> list[Candidate]:
    """Return the technologies of a part, priced at one scale, at the team's skills."""
    found = []
    for key, technology in part.technologies.items():
        way = technology.way(run_by)
        priced = price(technology, way, wants, bills)
        found.append(
            Candidate(
                key=key,
                technology=technology,
                way=way,
                skill=skill_level(operations, name, key, technology),
                infrastructure_usd=priced.usd,
                hours_by_skill={
                    skill: technology.hours[way].of(skill, way, bills.book) for skill in _SKILLS
                },
                rate_usd=exactly(operations.rate_per_hour.likely),
                unknown=priced.unknown,
                too_large=priced.too_large,
            )
        )
    return found


def stack_of(
    setting: Setting,
    point: Point,
    measured: Measured,
    scales: Sequence[plan.Scale],
    catalogue: Catalogue,
) -> tuple[StackPart, ...]:
    """Return the choice for each part, at each scale of the plan."""
    demand = setting.demand
    wants, bills, models = {}, {}, set()
    for scale in scales:
        found = evaluate(setting, point, scale.factor, scale.workers.count)
        service_s = scale.workers.service_mean_s
        wants[scale.factor] = wants_of(setting, point, measured, found, service_s)
        api = found.tree.children[0].usd
        bills[scale.factor] = bills_of(setting.book, found.infrastructure, api)
        models |= set(found.peak.models)
    closed = bool(list(closed_models(catalogue, setting, sorted(models))))
    asked = {part: _rules(setting, catalogue, part, closed=closed) for part in PARTS}
    candidates = {
        part: {
            factor: candidates_of(
                part,
                catalogue.parts[part],
                wants=wants[factor],
                bills=bills[factor],
                operations=demand.operations,
                run_by=demand.infrastructure.run_by,
            )
            for factor in wants
        }
        for part in PARTS
    }
    choices = {
        part: {f: choose(candidates[part][f], wants[f], asked[part]) for f in wants}
        for part in PARTS
    }
    launch = scales[0].factor
    chosen: dict[str, str] = {
        part: winner.key for part in PARTS if (winner := choices[part][launch].winner) is not None
    }
    return tuple(
        _Chosen(part, candidates[part], choices[part], wants, asked[part], chosen).section()
        for part in PARTS
    )


def _rules(setting: Setting, catalogue: Catalogue, part: PartName, *, closed: bool) -> Rules:
    asked, known = setting.demand.stack, catalogue.parts[part]
    requires = asked.require.get(part, known.requires)
    if closed and _CLOSED in known.capabilities and _CLOSED not in requires:
        requires = (*requires, _CLOSED)
    return Rules(
        requires=requires,
        capabilities=known.capabilities,
        excluded=frozenset(asked.exclude.get(part, ())),
        preferred=asked.prefer.get(part),
        headroom=setting.demand.headroom.likely,
    )


@dataclass(frozen=True, slots=True)
class _Chosen:
    """A part with its candidates and choices by scale. `chosen`: what won in each part."""

    part: PartName
    candidates: Mapping[float, Sequence[Candidate]]
    choices: Mapping[float, Choice]
    wants: Mapping[float, Wants]
    rules: Rules
    chosen: Mapping[str, str]

    def section(self) -> StackPart:
        """Return what plan.json says of it."""
        launch, last = min(self.choices), max(self.choices)
        winner = self.choices[launch].winner
        technology = None if winner is None else winner.technology
        return StackPart(
            part=self.part,
            winner=None if winner is None else winner.key,
            name=None if technology is None else technology.name,
            run_by=None if winner is None else winner.way,
            skill=None if technology is None else technology.skill,
            level=None if winner is None else winner.skill,
            requires=self.rules.requires,
            verdict=verdict(self.choices, self.wants),
            margin=None if winner is None else _margin(winner, self.wants[last], last),
            overturned_by=tuple(self._overturned_by(winner, launch, last)),
            changes=tuple(_changes(self.choices)),
            not_known=tuple(self._not_known(launch)),
            scales=tuple(
                _choice(factor, self.choices[factor], self.wants[factor], self.rules)
                for factor in sorted(self.choices)
            ),
        )

    def _overturned_by(self, winner: Candidate | None, launch: float, last: float) -> Iterator[str]:
        wants = self.wants
        yield from overturned_by(
            self.candidates[launch], self.choices[launch], wants[launch], self.rules, self.chosen
        )
        end = None if winner is None else outgrown(winner, wants[last], self.rules, last)
        if end is not None:
            yield end

    def _not_known(self, launch: float) -> Iterator[str]:
        """Yield what a limit or a price is held against, and nobody knows."""
        asked: dict[str, None] = {}
        for one in self.candidates[launch]:
            missing = [name for name in one.technology.limits if self.wants[launch][name] is None]
            asked |= dict.fromkeys([*missing, *one.unknown])
        yield from dict.fromkeys(QUANTITIES[name].text for name in asked)


def _margin(winner: Candidate, wants: Wants, factor: float) -> StackMargin | None:
    margin = fullest(winner.technology, wants)
    if margin is None:
        return None
    return StackMargin(
        factor=factor,
        quantity=QUANTITIES[margin.quantity].text,
        unit=QUANTITIES[margin.quantity].unit,
        demand=margin.wanted,
        limit=margin.limit.value.likely,
        share=margin.share,
        adjustable=margin.limit.adjustable,
    )


def _changes(choices: Mapping[float, Choice]) -> list[str]:
    """Return from which scale on another one wins, each with its name."""
    found = []
    factors = sorted(choices)
    for before, factor in itertools.pairwise(factors):
        old, new = choices[before].winner, choices[factor].winner
        if (old and old.key) != (new and new.key):
            name = "nothing in the catalogue carries it" if new is None else new.name
            found.append(f"from {factor:g}x on: {name}")
    return found


def _choice(factor: float, choice: Choice, wants: Wants, rules: Rules) -> StackChoice:
    winner = choice.winner
    losers = [
        StackLoser(
            key=out.candidate.key,
            name=out.candidate.name,
            eliminated=True,
            reason=out.reason,
            usd_per_month=_cents(out.candidate.total_usd),
        )
        for out in choice.out
    ]
    if winner is not None:
        preferred = winner.key == rules.preferred
        losers = [
            StackLoser(
                key=one.key,
                name=one.name,
                eliminated=False,
                reason=why_lost(one, winner, preferred=preferred),
                usd_per_month=_cents(one.total_usd),
            )
            for one in choice.ranked[1:]
        ] + losers
    return StackChoice(
        factor=factor,
        winner=None if winner is None else winner.key,
        usd_per_month=None if winner is None else _cents(winner.total_usd),
        infrastructure_usd=None if winner is None else _cents(winner.infrastructure_usd),
        hours=None if winner is None else winner.hours.likely,
        operations_usd=None if winner is None else _cents(winner.operations_usd),
        quotas=() if winner is None else tuple(over_quotas(winner, wants, rules.headroom)),
        losers=tuple(losers),
    )


def _cents(usd: Decimal) -> float:
    return float(round(usd, 2))
