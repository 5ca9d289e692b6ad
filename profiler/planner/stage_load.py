"""The loads of a rollout: what the demand asks at a growth factor, by the plan's own functions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from profiler.planner.evaluate import load_of
from profiler.planner.inputs import Numbers
from profiler.planner.scale import sizing_at
from profiler.planner.simulate import simulate_queue
from profiler.planner.state_load import state_load

if TYPE_CHECKING:
    from collections.abc import Callable

    from profiler.planner.arithmetic import PeakLoad
    from profiler.planner.demand import Demand
    from profiler.planner.evaluate import Point
    from profiler.planner.limit_fit import LimitFit
    from profiler.planner.scale import Scaling
    from profiler.planner.simulate import QueueSimulation
    from profiler.planner.workers import Sizing

_INTERACTIONS = 100_000
_ACTIVE_S = 1800.0
"""Of `metric_names.ACTIVE_SESSIONS`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loads:
    """The loads of one plan's demand: factors on it, from its launch to its end."""

    scaling: Scaling
    launch: float
    end: float
    _sizings: dict[float, Sizing] = field(default_factory=dict, repr=False, compare=False)
    """Of factors that have been asked for: the launch is, again and again."""

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
        if factor not in self._sizings:
            self._sizings[factor] = sizing_at(self.scaling, self.peak(factor))
        return self._sizings[factor]

    def queue(self, factor: float, workers: int) -> QueueSimulation:
        """Return what the queue of so many workers does."""
        return simulate_queue(
            servers=workers * self.demand.workers.slots,
            service_times_s=self.scaling.agent.service_times_s,
            arrival_rate_per_s=self.peak(factor).interactions_per_minute / 60.0,
            fano=self.scaling.point.numbers["traffic.burstiness"],
            interactions=_INTERACTIONS,
            seed=self.scaling.seed,
        )


def last(
    low: float, high: float, holds: Callable[[float], bool], *, precision: float = 1e-3
) -> float:
    """Return the last factor for which `holds`: it does at `low`, not at `high`.

    `precision` is relative; the answer is below the true one by as much at the most. Raises
    ValueError unless 0 < low <= high: it bisects quotients.
    """
    if not 0 < low <= high:
        raise ValueError(f"the ends are {low!r} and {high!r}: it takes 0 < low <= high")
    while high > low * (1 + precision):
        middle = (low * high) ** 0.5
        if holds(middle):
            low = middle
        else:
            high = middle
    return low
