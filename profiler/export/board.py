"""A board of metrics: counters, histograms and gauges as they stand, under production's names.

What was never observed is not on it: a metric without a value is absent, and not zero. Adding costs
a microsecond, so that whoever drives load may do it for each interaction; what formats (Prometheus,
OTLP) reads the board when it is asked. One thread: that of the event loop.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from profiler.planner import metric_names as names
from profiler.planner.monitoring.instruments import INSTRUMENTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from profiler.planner.monitoring.instruments import Instrument

Labels = tuple[tuple[str, str], ...]
"""Names and values; one that is missing is as good as an empty one."""

Buckets = Mapping[str, tuple[float, ...]]
NO_BUCKETS: Buckets = {}

_PROMISES_S = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 45, 60, 90, 120, 180, 240, 300)
"""Round durations that answers are promised within: a share of late ones needs a bucket there."""
_FELT = (names.INTERACTION_DURATION, names.TIME_TO_FIRST_TOKEN)


@dataclass(slots=True)
class Histogram:
    """Observations by bucket. `counts` has one more than `bounds`: those above the last."""

    bounds: tuple[float, ...]
    counts: list[int] = field(init=False)
    total: float = 0.0

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def observe(self, value: float) -> None:
        """Take an observation; a bound belongs to the bucket that ends there."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


@dataclass(frozen=True, slots=True)
class Family:
    """One metric as it stands: all its series, of one kind."""

    instrument: Instrument
    numbers: tuple[tuple[Labels, float], ...] = ()
    histograms: tuple[tuple[Labels, Histogram], ...] = ()


class Board:
    """All metrics of one process, by the names of `profiler.planner.metric_names`.

    `buckets` are the upper bounds of histograms, by name, where they are not the usual ones.
    """

    def __init__(self, buckets: Buckets = NO_BUCKETS) -> None:
        self._buckets = buckets
        self._counters: dict[str, dict[Labels, float]] = {}
        self._histograms: dict[str, dict[Labels, Histogram]] = {}
        self._gauges: dict[str, Callable[[], float]] = {}

    def add(self, name: str, amount: float = 1, **labels: str) -> None:
        """Let a counter rise; an amount of 0 says that there was none, which is not nothing."""
        series = self._counters.setdefault(name, {})
        key = tuple(labels.items())
        series[key] = series.get(key, 0) + amount

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Take an observation of a histogram."""
        series = self._histograms.setdefault(name, {})
        key = tuple(labels.items())
        found = series.get(key)
        if found is None:
            bounds = self._buckets.get(name)
            if bounds is None:
                bounds = bounds_of(INSTRUMENTS[name])
            found = series[key] = Histogram(bounds)
        found.observe(value)

    def gauge(self, name: str, read: Callable[[], float]) -> None:
        """Let a gauge be read whenever somebody asks."""
        self._gauges[name] = read

    def families(self) -> Iterator[Family]:
        """Yield what there is, in the order of the table of instruments."""
        for name, instrument in INSTRUMENTS.items():
            if name in self._gauges:
                yield Family(instrument, numbers=(((), self._gauges[name]()),))
            elif name in self._counters:
                yield Family(instrument, numbers=tuple(self._counters[name].items()))
            elif name in self._histograms:
                yield Family(instrument, histograms=tuple(self._histograms[name].items()))


def bounds_of(instrument: Instrument) -> tuple[float, ...]:
    """Return the upper bounds of a histogram's buckets, infinity left out, in its unit."""
    more = _PROMISES_S if instrument.name in _FELT else ()
    return tuple(sorted({*instrument.boundaries, *map(float, more)}))
