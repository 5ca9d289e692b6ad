"""How far the answers may be off: the demand's ranges and the profile's uncertainty together.

Each draw takes a number from every range (triangular), independently, and the profile's sessions
again; all answers are computed anew. What lies between the 5th and the 95th percentile of the draws
is `ranges90`. Simulations are not drawn again: workers move as their closed form does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from profiler.planner.evaluate import Point, evaluate
from profiler.planner.inputs import numbers_of
from profiler.planner.sensitivity import AS_MEASURED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from profiler.planner.agent import Agent
    from profiler.planner.bill import Bill
    from profiler.planner.evaluate import Evaluation, Setting
    from profiler.planner.ranges import Range

_LOW, _HIGH = 0.05, 0.95
_FEWEST = 20

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Spread:
    """The interval of 90 % of the draws, by the name of an answer; at one scale."""

    intervals: Mapping[str, Interval]

    def of(self, block: str, *names: str) -> dict[str, Interval]:
        """Return the intervals of a block's fields that have one."""
        found = {name: self.intervals.get(f"{block}.{name}") for name in names}
        return {name: interval for name, interval in found.items() if interval is not None}


def answers_of(found: Evaluation) -> dict[str, float]:
    """Return the answers of one evaluation that may be off, by block and field."""
    peak, volume, state = found.peak, found.volume, found.state
    api, infra, people = (child.usd for child in found.tree.children)
    total = float(found.tree.usd)
    answers: dict[str, float | None] = {
        "demand.users": peak.users,
        "demand.interactions_per_user_minute": peak.interactions_per_user_minute,
        "demand.interactions_per_minute": peak.interactions_per_minute,
        "demand.llm_calls_per_interaction": peak.llm_calls_per_interaction,
        "demand.llm_calls_per_minute": peak.llm_calls_per_minute,
        "demand.attempts_per_minute": peak.attempts_per_minute,
        "demand.input_tokens_per_minute": peak.input_tokens_per_minute,
        "demand.output_tokens_per_minute": peak.output_tokens_per_minute,
        "demand.tokens_per_minute": peak.input_tokens_per_minute + peak.output_tokens_per_minute,
        "demand.interactions_per_month": volume.interactions,
        "demand.sessions_per_month": volume.sessions,
        "demand.monthly_active_users": volume.active_users,
        "workers.count": float(found.workers),
        "state.reads_per_s": state.reads_per_s,
        "state.writes_per_s": state.writes_per_s,
        "state.hot_sessions": state.hot_sessions,
        "state.hot_memory_bytes": state.hot_memory_bytes,
        "state.cold_growth_bytes_per_month": state.cold_growth_bytes_per_month,
        "cost.api": float(api),
        "cost.infrastructure": float(infra),
        "cost.operations": float(people),
        "cost.total": total,
        "cost.per_interaction": total / volume.interactions,
        "cost.per_session": total / volume.sessions,
        "cost.per_user": None if volume.active_users is None else total / volume.active_users,
    }
    for each in found.fits:
        block = f"limits {each.model} {each.limit}"
        answers[f"{block}.demand"] = each.demand
        answers[f"{block}.utilization"] = each.utilization
        answers[f"{block}.max_users"] = float(each.max_users)
        answers[f"{block}.max_users_within_headroom"] = float(each.max_users_within_headroom)
        answers[f"{block}.calls_that_fit"] = each.calls_that_fit
    return {name: value for name, value in answers.items() if value is not None}


def draw_points(
    agent: Agent, bill: Bill, ranges: Mapping[str, Range], *, draws: int, seed: int
) -> list[Point]:
    """Draw so many choices of all numbers, each with the agent of sessions drawn again."""
    rng = np.random.default_rng((seed, 3))
    vary = bill.prices_vary()
    base = agent.service_times_s
    mean_square = float((base**2).mean())
    points = []
    for _ in range(draws):
        places: dict[str, float] = {}

        def choose(path: str, value: Range, places: dict[str, float] = places) -> float:
            if value.is_certain:
                return value.likely
            if path not in places:
                places[path] = float(rng.random())
            return value.at(places[path])

        numbers = numbers_of(ranges, choose)
        behaviour, usd, squared = agent.drawn(rng)
        moved = behaviour.latency_s / agent.behaviour.latency_s
        mean = float(base.mean()) * moved
        points.append(
            Point(
                numbers=numbers,
                choose=choose,
                behaviour=behaviour,
                cs2=max(0.0, mean_square * squared / mean**2 - 1),
                bill=usd * (bill.ratio(choose, AS_MEASURED) if vary else 1.0),
            )
        )
    return points


def spreads(
    setting: Setting, points: Sequence[Point], factors: Sequence[float]
) -> dict[float, Spread]:
    """Return the spread of every answer at every scale; empty with too few draws."""
    if len(points) < _FEWEST:
        return {factor: Spread({}) for factor in factors}
    return {factor: _spread(setting, points, factor) for factor in factors}


def _spread(setting: Setting, points: Sequence[Point], factor: float) -> Spread:
    drawn: dict[str, list[float]] = {}
    for point in points:
        for name, value in answers_of(evaluate(setting, point, factor)).items():
            drawn.setdefault(name, []).append(value)
    return Spread({name: _interval(values) for name, values in drawn.items()})


def _interval(values: list[float]) -> Interval:
    low, high = np.quantile(np.array(values), (_LOW, _HIGH)).tolist()
    return low, high
