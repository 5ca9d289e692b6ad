"""What would overturn a choice: prices, an hour's pay, skills, limits, requirements, sharing."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, get_args

from profiler.planner.demand import Skill
from profiler.planner.stack_quantities import QUANTITIES
from profiler.planner.stack_select import (
    choose,
    dollars,
    fullest,
    is_over,
    knowing,
    margins,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from profiler.planner.stack_quantities import Wants
    from profiler.planner.stack_select import Candidate, Choice, Out, Rules

_SKILLS: tuple[Skill, ...] = get_args(Skill)


def overturned_by(
    candidates: Sequence[Candidate],
    choice: Choice,
    wants: Wants,
    rules: Rules,
    chosen: Mapping[str, str],
) -> Iterator[str]:
    """Yield what would change the ranking at one scale. `chosen`: part: the key that won there."""
    winner = choice.winner
    if winner is None:
        return
    if winner.key == rules.preferred:
        yield from _preference(choice, winner)
        return
    if len(choice.ranked) > 1:
        yield _price(winner, choice.ranked[1])
        yield from _rate(winner, choice.ranked)
        yield from _hours(winner, choice.ranked)
        yield from _skills(candidates, wants, rules, winner)
    yield from _removed_reasons(choice, winner, wants, rules)
    yield from _sharing(choice, winner, chosen)


def _preference(choice: Choice, winner: Candidate) -> Iterator[str]:
    cheapest = min(choice.ranked, key=lambda one: one.total_usd)
    if cheapest is winner:
        yield "nothing: the demand prefers it, and it is the cheapest too"
    else:
        saved = winner.total_usd - cheapest.total_usd
        yield f"leaving out the preference: {cheapest.name} costs {dollars(saved)} a month less"


def _price(winner: Candidate, second: Candidate) -> str:
    gap = second.total_usd - winner.total_usd
    share = ""
    if winner.infrastructure_usd > 0:
        share = f" ({gap / winner.infrastructure_usd:+.0%})"
    return f"price: its own bill {dollars(gap)} a month higher{share}, then {second.name} wins"


def _rate(winner: Candidate, ranked: Sequence[Candidate]) -> Iterator[str]:
    """Yield the nearest prices of an hour, up and down, at which another one becomes cheaper."""
    crossings = []
    for other in ranked[1:]:
        fewer_hours = Decimal(str(winner.hours.likely)) - Decimal(str(other.hours.likely))
        dearer = other.infrastructure_usd - winner.infrastructure_usd
        if fewer_hours and dearer / fewer_hours > 0:
            crossings.append((dearer / fewer_hours, other.name))
    now = winner.rate_usd
    above = min((one for one in crossings if one[0] >= now), default=None)
    below = max((one for one in crossings if one[0] < now), default=None)
    if above is not None:
        yield _pay("more", above, now)
    if below is not None:
        yield _pay("less", below, now)


def _pay(direction: str, crossing: tuple[Decimal, str], now: Decimal) -> str:
    at, name = crossing
    change = f"{direction} than {dollars(at)} instead of {dollars(now)}"
    return f"pay: an hour at {change}, then {name} wins"


def _hours(winner: Candidate, ranked: Sequence[Candidate]) -> Iterator[str]:
    """Yield those that the ranges of the hours cannot tell from the winner."""
    worst = winner.infrastructure_usd + Decimal(str(winner.hours.high)) * winner.rate_usd
    names = [
        other.name
        for other in ranked[1:]
        if other.infrastructure_usd + Decimal(str(other.hours.low)) * other.rate_usd < worst
    ]
    if names:
        yield (
            f"hours: within their ranges ({winner.hours.low:g} to {winner.hours.high:g} a month "
            f"here) {_and(names)} may be cheaper; put in your own"
        )


def _skills(
    candidates: Sequence[Candidate], wants: Wants, rules: Rules, winner: Candidate
) -> Iterator[str]:
    for skill in dict.fromkeys(one.technology.skill for one in candidates):
        for level in _SKILLS:
            turned = [
                one.at(skill=level) if one.technology.skill == skill else one for one in candidates
            ]
            found = choose(turned, wants, rules).winner
            if found is not None and found.key != winner.key:
                known = next(one for one in turned if one.technology.skill == skill)
                yield f"skill: a team {knowing(known)}, then {found.name} wins"


def _removed_reasons(
    choice: Choice, winner: Candidate, wants: Wants, rules: Rules
) -> Iterator[str]:
    for out in choice.out:
        one = out.candidate
        if one.total_usd >= winner.total_usd:
            continue
        saved = f"then {one.name} wins by {dollars(winner.total_usd - one.total_usd)} a month"
        if one.key in rules.excluded:
            yield f"exclusion: not excluding it, {saved}"
            continue
        lacking = [name for name in rules.requires if name in one.technology.lacks]
        over = [
            margin.quantity
            for margin in margins(one.technology, wants)
            if not margin.limit.adjustable and is_over(margin, rules.headroom)
        ]
        if lacking:
            meant = [f"{name} ({rules.capabilities[name]})" for name in lacking]
            yield f"requirement: doing without {_and(meant + over)}, {saved}"
        else:
            texts = [QUANTITIES[name].text for name in over]
            yield f"limit: a higher one on {_and(texts)}, {saved}"


def _sharing(choice: Choice, winner: Candidate, chosen: Mapping[str, str]) -> Iterator[str]:
    for one in choice.ranked:
        for part, key in one.technology.shares.items():
            if chosen.get(part) != key:
                continue
            where = f"the {key} that {part.replace('_', ' ')} has already"
            if one is winner:
                bill = dollars(one.infrastructure_usd)
                yield f"sharing: on {where} its bill of {bill} falls away"
            elif one.operations_usd < winner.total_usd:
                yield f"sharing: on {where}, {one.name} has no bill of its own, and wins"


def outgrown(winner: Candidate, wants: Wants, rules: Rules, factor: float) -> str | None:
    """Return at which growth the winner's limits end; None where none follows the load.

    `wants` are those at `factor`; what follows the load is taken to grow with it.
    """
    found = [
        (factor * rules.headroom / margin.share, margin)
        for margin in margins(winner.technology, wants)
        if QUANTITIES[margin.quantity].fluctuates and margin.share > 0
    ]
    if not found:
        return None
    end, margin = min(found, key=lambda one: one[0])
    kind = "a quota that is raised on request" if margin.limit.adjustable else "its limit"
    used = "" if rules.headroom == 1 else f"{rules.headroom:.0%} of "
    text = QUANTITIES[margin.quantity].text
    return f"growth: at about {_times(end)} it is at {used}{kind}: {text}"


def verdict(choices: Mapping[float, Choice], wants: Mapping[float, Wants]) -> str:
    """Return in a sentence or two what decides this part; throughput rarely does."""
    last = max(choices)
    winner = choices[last].winner
    if winner is None:
        return f"Nothing in the catalogue carries this at {last:g}x: see why each is out."
    margin = fullest(winner.technology, wants[last])
    used = f"no limit of {winner.name} is known to be touched"
    if margin is not None:
        text = QUANTITIES[margin.quantity].text
        share = _percent(margin.share)
        used = f"the fullest limit of {winner.name} ({text}) is used to {share} at {last:g}x"
    ended = [_ended(choices, out) for out in choices[last].out if out.limit is not None]
    if ended:
        return f"Limits decide: {_and(ended)}; {used}."
    return f"Throughput does not decide: no limit ends a candidate, and {used}.{_deciding(choices)}"


def _ended(choices: Mapping[float, Choice], last: Out) -> str:
    """Return from when on a candidate is out by a limit."""
    key = last.candidate.key
    since = min(
        factor
        for factor, choice in choices.items()
        if any(out.candidate.key == key and out.limit is not None for out in choice.out)
    )
    assert last.limit is not None  # noqa: S101 - asked for those that have one
    return f"{last.candidate.name} ends at {since:g}x ({QUANTITIES[last.limit].text})"


def _deciding(choices: Mapping[float, Choice]) -> str:
    winner, *rivals = choices[min(choices)].ranked or (None,)
    if winner is None or not rivals:
        return " What is required leaves one that can do it."
    people = sum(abs(one.operations_usd - winner.operations_usd) for one in rivals)
    bills = sum(abs(one.infrastructure_usd - winner.infrastructure_usd) for one in rivals)
    if people > bills:
        return " People's hours tell the candidates apart more than their bills do."
    return " Bills tell the candidates apart more than people's hours do."


def _percent(share: float) -> str:
    return f"{share:.1%}" if share >= 0.001 else "less than 0.1%"  # noqa: PLR2004 - a digit's end


def _times(factor: float) -> str:
    return f"{factor:,.0f}x" if factor >= 100 else f"{factor:.3g}x"  # noqa: PLR2004 - 3 digits


def _and(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]
