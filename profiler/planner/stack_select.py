"""Choosing one technology for a part of the stack: eliminate by what it cannot do, rank by cost.

Pure: a demand that grows only ever eliminates more, since limits and lacks do not depend on it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, assert_never

from profiler.planner.stack_costs import people_usd
from profiler.planner.stack_quantities import QUANTITIES, SHARE, amount

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from decimal import Decimal

    from profiler.planner.demand import Skill
    from profiler.planner.ranges import Range
    from profiler.planner.stack_catalogue import Limit, Technology, Way
    from profiler.planner.stack_quantities import Wants


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A technology at one scale, run one way by a team: its bill, and its hours at that skill."""

    key: str
    technology: Technology
    way: Way
    skill: Skill
    infrastructure_usd: Decimal
    hours_by_skill: Mapping[Skill, Range]
    rate_usd: Decimal
    unknown: tuple[str, ...] = ()
    """Quantities that its bill would need, and nobody knows."""
    too_large: str | None = None
    """Why there is nothing to run it on at this scale, and so no bill; None where there is."""

    @property
    def name(self) -> str:
        """As people call it."""
        return self.technology.name

    @property
    def hours(self) -> Range:
        """Hours of a month at the team's skill."""
        return self.hours_by_skill[self.skill]

    @property
    def operations_usd(self) -> Decimal:
        """The likely hours, paid."""
        return people_usd(self.hours, self.rate_usd)

    @property
    def total_usd(self) -> Decimal:
        """Bill and hours."""
        return self.infrastructure_usd + self.operations_usd

    def at(self, *, skill: Skill | None = None, rate_usd: Decimal | None = None) -> Candidate:
        """Return it with another skill, or another price of an hour."""
        return replace(
            self,
            skill=self.skill if skill is None else skill,
            rate_usd=self.rate_usd if rate_usd is None else rate_usd,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What is asked of a part besides its load. `excluded` and `preferred` are keys."""

    requires: tuple[str, ...] = ()
    capabilities: Mapping[str, str]
    excluded: frozenset[str] = frozenset()
    preferred: str | None = None
    headroom: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Margin:
    """What is asked against one limit. `share` is of the limit itself, headroom not taken off."""

    quantity: str
    wanted: float
    limit: Limit

    @property
    def share(self) -> float:
        """Wanted over the limit."""
        return self.wanted / self.limit.value.likely


@dataclass(frozen=True, slots=True, kw_only=True)
class Out:
    """An eliminated candidate, and the one sentence that says why.

    `limit` is the quantity whose limit it is over; None: it lacks something, or is excluded.
    """

    candidate: Candidate
    reason: str
    limit: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The ranking at one scale: the winner first among `ranked`; none, where all are out."""

    ranked: tuple[Candidate, ...]
    out: tuple[Out, ...]

    @property
    def winner(self) -> Candidate | None:
        """Who wins."""
        return self.ranked[0] if self.ranked else None


def margins(technology: Technology, wants: Wants) -> list[Margin]:
    """Return what is asked against every limit that something known is held against."""
    return [
        Margin(quantity=name, wanted=wanted, limit=limit)
        for name, limit in technology.limits.items()
        if (wanted := wants.get(name)) is not None
    ]


def fullest(technology: Technology, wants: Wants) -> Margin | None:
    """Return the limit that is used most; None where there is none to hold against."""
    return max(margins(technology, wants), key=lambda one: one.share, default=None)


def is_over(margin: Margin, headroom: float) -> bool:
    """Say whether more is asked than the limit admits; of what follows the load, with headroom."""
    fluctuates = QUANTITIES[margin.quantity].fluctuates
    return margin.wanted > margin.limit.value.likely * (headroom if fluctuates else 1.0)


def choose(candidates: Sequence[Candidate], wants: Wants, rules: Rules) -> Choice:
    """Eliminate, then rank by the month's cost with people's hours; ties go by name.

    One that the demand prefers comes first, unless it is eliminated.
    """
    out = {one.key: found for one in candidates if (found := eliminated(one, wants, rules))}
    left = [one for one in candidates if one.key not in out]
    ranked = sorted(left, key=lambda one: (one.key != rules.preferred, one.total_usd, one.name))
    return Choice(ranked=tuple(ranked), out=tuple(out.values()))


def eliminated(candidate: Candidate, wants: Wants, rules: Rules) -> Out | None:
    """Return why a candidate is out; None where it is not."""
    if candidate.key in rules.excluded:
        return Out(candidate=candidate, reason="the demand excludes it")
    if candidate.too_large is not None:
        return Out(candidate=candidate, reason=candidate.too_large)
    for capability in rules.requires:
        lack = candidate.technology.lacks.get(capability)
        if lack is not None:
            meaning = rules.capabilities[capability]
            reason = f"it lacks {capability} ({meaning}): {lack.why}"
            return Out(candidate=candidate, reason=reason)
    for margin in margins(candidate.technology, wants):
        if not margin.limit.adjustable and is_over(margin, rules.headroom):
            note = "" if margin.limit.note is None else f" ({margin.limit.note})"
            reason = f"over its limit: {limit_sentence(margin, rules.headroom)}{note}"
            return Out(candidate=candidate, reason=reason, limit=margin.quantity)
    return None


def limit_sentence(margin: Margin, headroom: float) -> str:
    """Return the demand and the limit: `workers come to 20 workers, it carries 10 workers`."""
    quantity = QUANTITIES[margin.quantity]
    if quantity.unit == SHARE:
        allowed = margin.limit.value.likely * headroom
        return f"{quantity.text} is used to {margin.wanted:.1%}, and {allowed:.0%} may be"
    text = (
        f"{quantity.text} {'come' if quantity.text.endswith('s') else 'comes'} to "
        f"{amount(margin.quantity, margin.wanted)}, it carries "
        f"{amount(margin.quantity, margin.limit.value.likely)}"
    )
    if quantity.fluctuates and headroom < 1:
        text += f", of which {headroom:.0%} may be used"
    return text


def over_quotas(candidate: Candidate, wants: Wants, headroom: float) -> Iterator[str]:
    """Yield the adjustable limits that are too low as they stand."""
    for margin in margins(candidate.technology, wants):
        if margin.limit.adjustable and is_over(margin, headroom):
            yield limit_sentence(margin, headroom)


def why_lost(loser: Candidate, winner: Candidate, *, preferred: bool) -> str:
    """Return in one sentence why a candidate that could do it lost."""
    more = loser.total_usd - winner.total_usd
    if preferred and more <= 0:
        return f"the demand prefers {winner.name}"
    if more == 0:
        return f"it costs the same as {winner.name}, which comes first by name"
    bill = loser.infrastructure_usd - winner.infrastructure_usd
    hours = loser.hours.likely - winner.hours.likely
    parts = []
    if bill:
        parts.append(f"{dollars(abs(bill))} {_more(bill)} for machines and services")
    if hours:
        unit = "hour" if abs(hours) == 1 else "hours"
        parts.append(f"{abs(hours):g} {unit} {_more(hours)} of people {knowing(loser)}")
    return f"{dollars(more)} a month more than {winner.name}: {', '.join(parts)}"


def _more(difference: Decimal | float) -> str:
    return "more" if difference > 0 else "less"


def knowing(candidate: Candidate) -> str:
    """Write what a team knows: `familiar with redis`."""
    skill = candidate.technology.skill
    match candidate.skill:
        case "none":
            return f"with no knowledge of {skill}"
        case "familiar":
            return f"familiar with {skill}"
        case "expert":
            return f"expert in {skill}"
        case _:
            assert_never(candidate.skill)


def dollars(usd: Decimal) -> str:
    """Write dollars: whole from 100 on, cents below."""
    return f"${usd:,.0f}" if usd >= 100 else f"${usd:,.2f}"  # noqa: PLR2004 - where cents matter
