"""Which input moves the answer most, and what a change of the agent would buy.

Both turn one thing at a time and ask the plan's own arithmetic again, so what they say is exact for
that thing alone; that inputs move together is what the draws behind `ranges90` are for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from profiler.planner.inputs import OneAt, likely

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from profiler.planner.inputs import Choose
    from profiler.planner.ranges import Range

SWING = 0.2
"""How far an input is turned both ways where nothing says how far it may be off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change of the agent, each as a factor on what was measured.

    `cached_share` is the share of input tokens that are read from the cache, where it is another
    one; `serves` names the model that takes all calls of another: (measured, serving).
    """

    llm_calls: float = 1.0
    input_tokens: float = 1.0
    output_tokens: float = 1.0
    latency: float = 1.0
    cached_share: float | None = None
    serves: tuple[str, str] | None = None


AS_MEASURED = Change()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """The answers that inputs are judged by. Workers by Allen-Cunneen; None: no limit is given."""

    cost_total_usd: float
    workers: int
    binding_utilization: float | None
    max_users: int | None


class Ask(Protocol):
    """Answers for the launch scale, with numbers chosen and the agent changed."""

    def __call__(self, choose: Choose, change: Change) -> Answers:
        """Return the answers."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Turned:
    """One input at both of its ends."""

    name: str
    low: float
    high: float
    ends: str
    at_low: Answers
    at_high: Answers

    @property
    def swing_usd(self) -> float:
        """How far the cost of a month moves."""
        return abs(self.at_high.cost_total_usd - self.at_low.cost_total_usd)


MeasuredField = Literal["llm_calls", "input_tokens", "output_tokens", "latency"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A measured mean that is turned: the field of `Change` that stands for it."""

    name: str
    field: MeasuredField
    mean: float
    ci95: tuple[float, float] | None


def tornado(ask: Ask, ranges: Mapping[str, Range], measured: Iterable[Measured]) -> list[Turned]:
    """Turn every range to its ends, and every measured mean to those of its interval.

    Of the demand's known numbers, those that traffic is made of are turned by 20 %; so is a mean
    without an interval. Widest swing of the cost first; what moves nothing is left out.
    """
    turned = [_of_demand(ask, path, value) for path, value in ranges.items() if _moves(path, value)]
    turned += [_of_profile(ask, each) for each in measured if each.mean > 0]
    moving = [each for each in turned if each.at_low != each.at_high]
    return sorted(moving, key=lambda each: (-each.swing_usd, each.name))


def _moves(path: str, value: Range) -> bool:
    if not value.is_certain:
        return True
    return path in _ALWAYS and value.likely > 0


_ALWAYS = {
    "users.peak_concurrent",
    "users.interactions_per_minute",
    "users.think_time",
    "traffic.interactions_per_day",
    "traffic.peak_to_average",
    "operations.rate_per_hour",
}


def _of_demand(ask: Ask, path: str, value: Range) -> Turned:
    if value.is_certain:
        low, high = value.likely * (1 - SWING), value.likely * (1 + SWING)
        if path == "traffic.peak_to_average":
            low = max(1.0, low)
        ends = f"±{SWING:.0%}"
    else:
        low, high, ends = value.low, value.high, "range of the demand"
    return Turned(
        name=path,
        low=low,
        high=high,
        ends=ends,
        at_low=ask(OneAt(path=path, value=low), AS_MEASURED),
        at_high=ask(OneAt(path=path, value=high), AS_MEASURED),
    )


def _of_profile(ask: Ask, measured: Measured) -> Turned:
    if measured.ci95 is None:
        low, high, ends = measured.mean * (1 - SWING), measured.mean * (1 + SWING), f"±{SWING:.0%}"
    else:
        low, high = (max(0.0, end) for end in measured.ci95)
        ends = "95 % interval of the profile"
    return Turned(
        name=measured.name,
        low=low,
        high=high,
        ends=ends,
        at_low=ask(likely, _changed(measured, low)),
        at_high=ask(likely, _changed(measured, high)),
    )


def _changed(measured: Measured, mean: float) -> Change:
    factor = mean / measured.mean
    match measured.field:
        case "llm_calls":
            return Change(llm_calls=factor)
        case "input_tokens":
            return Change(input_tokens=factor)
        case "output_tokens":
            return Change(output_tokens=factor)
        case "latency":
            return Change(latency=factor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bought:
    """What a change would buy."""

    text: str
    answers: Answers
    note: str | None = None


def what_ifs(
    ask: Ask, *, llm_calls: float, cached_share: float | None, cheaper: Iterable[tuple[str, str]]
) -> list[Bought]:
    """Ask what common changes would buy: calls, prompt length, caching, answers, another model.

    `cheaper` are pairs (measured, serving). That another model does the work as well, with as
    many calls and tokens, is an assumption that only a measurement of it can replace: the note
    says so.
    """
    found = []
    if llm_calls > 1:
        fewer = max(1.0, llm_calls * 0.75)
        text = f"{llm_calls - fewer:.2g} fewer LLM calls per interaction ({fewer:.3g})"
        found.append(_bought(ask, text, Change(llm_calls=fewer / llm_calls)))
    found.append(_bought(ask, "prompts shorter by 25 %", Change(input_tokens=0.75)))
    found.append(_bought(ask, "answers shorter by 25 %", Change(output_tokens=0.75)))
    if cached_share is not None:
        found += [
            _bought(ask, f"{share:.0%} of input read from the cache", Change(cached_share=share))
            for share in (0.0, min(0.95, cached_share + (1 - cached_share) / 2))
        ]
    note = "taken to need as many calls and tokens: measure it before you count on it"
    for measured, serving in cheaper:
        change = Change(serves=(measured, serving))
        found.append(_bought(ask, f"{serving} in place of {measured}", change, note))
    return found


def _bought(ask: Ask, text: str, change: Change, note: str | None = None) -> Bought:
    return Bought(text=text, answers=ask(likely, change), note=note)
