"""The loads of a rollout: what the demand asks at a growth factor, by the plan's own functions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from profiler.planner.evaluate import load_of
from profiler.planner.inputs import Numbers
from profiler.planner.scale import sizing_at
from profiler.planner.simulate import Stream
from profiler.planner.state_load import state_load

if TYPE_CHECKING:
    from collections.abc import Callable

    from profiler.planner.arithmetic import PeakLoad
    from profiler.planner.demand import Demand
    from profiler.planner.evaluate import Point
    from profiler.planner.limit_fit import LimitFit
    from profiler.planner.scale import Scaling
    from profiler.planner.workers import Sizing

_INTERACTIONS = 100_000
_FIRST_STRIDE = 8
_ACTIVE_S = 1800.0
"""Of `metric_names.ACTIVE_SESSIONS`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loads:
    """The loads of one plan's demand: factors on it, from its launch to its end."""

    scaling: Scaling
    launch: float
    end: float

    @property
    def demand(self) -> Demand:
        """The demand."""
        return self.scaling.setting.demand

    def peak(self, factor: float, point: Point | None = None) -> PeakLoad:
        """Return the peak at a factor."""
        return load_of(self.scaling.setting, self._at(point), factor)[0]

    def fits(self, factor: float, point: Point | None = None) -> tuple[LimitFit, ...]:
        """Return every limit at a factor."""
        return load_of(self.scaling.setting, self._at(point), factor)[2]

    def active_sessions(self, factor: float, point: Point | None = None) -> float:
        """Return the sessions with an interaction within half an hour, as production counts."""
        at = self._at(point)
        peak, volume, _ = load_of(self.scaling.setting, at, factor)
        numbers = Numbers({**at.numbers.by_path, "workers.session_idle": _ACTIVE_S})
        return state_load(numbers, at.behaviour, peak, volume).hot_sessions

    def _at(self, point: Point | None) -> Point:
        return self.scaling.point if point is None else point

    def sizing(self, factor: float) -> Sizing:
        """Return the workers that a factor needs: the plan's."""
        return sizing_at(self.scaling, self.peak(factor))

    def stream(self, factor: float) -> Stream:
        """Return the interactions of the peak at a factor, to be simulated before any workers."""
        return Stream(
            service_times_s=self.scaling.agent.service_times_s,
            arrival_rate_per_s=self.rate_per_s(factor),
            fano=self.scaling.point.numbers["traffic.burstiness"],
            interactions=_INTERACTIONS,
            seed=self.scaling.seed,
        )

    def rate_per_s(self, factor: float) -> float:
        """Return the interactions per second of the peak at a factor."""
        return self.peak(factor).interactions_per_minute / 60.0


def last(
    low: float,
    high: float,
    holds: Callable[[float], bool],
    *,
    precision: float = 1e-3,
    guess: float | None = None,
) -> float:
    """Return the last factor for which `holds`: it does at `low`, not at `high`.

    `precision` is relative; the answer is below the true one by as much at the most. It is one of
    a row of factors with equal quotients from `low` to `high`, so that a `guess`, from which the
    search sets out, spares questions and does not move the answer. Raises ValueError unless
    0 < low <= high.
    """
    if not 0 < low <= high:
        raise ValueError(f"the ends are {low!r} and {high!r}: it takes 0 < low <= high")
    if low == high:
        return low
    whole = math.log(high / low)
    steps = math.ceil(whole / math.log1p(precision))
    at = steps // 2
    if guess is not None:
        at = round(math.log(max(low, guess) / low) / whole * steps)

    def factor(place: int) -> float:
        return low * math.pow(high / low, place / steps)

    stride = steps if guess is None else _FIRST_STRIDE
    return factor(_last_place(lambda place: holds(factor(place)), steps, at, stride))


def _last_place(holds: Callable[[int], bool], steps: int, at: int, stride: int) -> int:
    """Return the last place from 0, where it `holds`, to before `steps`, where it does not.

    From `at` on by strides that double, until the answer is between two places; then by halves.
    """
    low, high, at = 0, steps, min(max(at, 1), max(1, steps - 1))
    while high - low > 1:
        if holds(at):
            low, at = at, at + stride
        else:
            high, at = at, at - stride
        stride *= 2
        is_between = low > 0 and high < steps
        if is_between or not low < at < high:
            at = (low + high) // 2
    return low
