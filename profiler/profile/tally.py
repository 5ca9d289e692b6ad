"""Sums up a metric while a journal is read: a session at a time, in memory that does not grow."""

from __future__ import annotations

from operator import mul
from typing import TYPE_CHECKING

from profiler.measure.histogram import ClusterHistogram
from profiler.profile.sample import SCALES, Sample, distribution_of
from profiler.profile.statistics import ClusterSums

if TYPE_CHECKING:
    from profiler.profile.distribution import Distribution
    from profiler.profile.sample import Method, Unit


class Tally:
    """The values of one metric of the sessions that have ended.

    About 10 kB, and 6 kB for each 256 counters of the histogram that hold values: some 80 kB for
    times that spread over a decade.
    """

    __slots__ = (
        "_clusters",
        "_sum_nn",
        "_sum_ns",
        "_sum_s",
        "_sum_ss",
        "count",
        "largest",
        "sessions",
        "smallest",
        "sum_squares",
        "unit",
    )

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        self.sessions = self.count = 0
        self._sum_s = self._sum_nn = self._sum_ss = self._sum_ns = 0
        self.sum_squares = 0
        self.smallest, self.largest = 2**63, -(2**63)
        self._clusters = ClusterHistogram(SCALES[unit].spec)

    def add(self, values: list[int]) -> None:
        """Add a session's values, at least one, in any order. The list is sorted in place."""
        values.sort()
        size, total, low, high = len(values), sum(values), values[0], values[-1]
        self.sessions += 1
        self.count += size
        self._sum_s += total
        self._sum_nn += size * size
        self._sum_ss += total * total
        self._sum_ns += size * total
        self.sum_squares += total * low if low == high else sum(map(mul, values, values))
        self.smallest = min(self.smallest, low)
        self.largest = max(self.largest, high)
        self._clusters.add(values)

    def add_zeros_of(self, other: Tally) -> None:
        """Add zeros for the values of the sessions that only the other tally has.

        The other has every session of this one, with as many values.
        """
        sessions, count = other.sessions - self.sessions, other.count - self.count
        if sessions:
            squares = other._sum_nn - self._sum_nn
            self._clusters.add_zeros(count, squares)
            self.sessions, self.count = other.sessions, other.count
            self._sum_nn = other._sum_nn
            self.smallest, self.largest = min(self.smallest, 0), max(self.largest, 0)

    def distribution(self, *, method: Method, source: str, eligible: int) -> Distribution | None:
        """Sum up; None if there is no value."""
        if not self.count:
            return None
        return distribution_of(self.sample(method=method, source=source, eligible=eligible))

    def sample(self, *, method: Method, source: str, eligible: int) -> Sample:
        """Return what can be added and summed up. There must be a value.

        The indicator (value <= p95) is taken at the p95 of all sessions, which is known only now.
        """
        histogram = self._clusters.histogram()
        below, sum_ns, sum_ss = self._clusters.at_or_below(histogram.percentile(95) or 0)
        shape = {"sessions": self.sessions, "sum_n": self.count, "sum_nn": self._sum_nn}
        return Sample(
            unit=self.unit,
            method=method,
            sources=frozenset([source]),
            eligible=eligible,
            smallest=self.smallest,
            largest=self.largest,
            histogram=histogram,
            sums=ClusterSums(**shape, sum_s=self._sum_s, sum_ss=self._sum_ss, sum_ns=self._sum_ns),
            sum_squares=self.sum_squares,
            p95_sums=ClusterSums(**shape, sum_s=below, sum_ss=sum_ss, sum_ns=sum_ns),
        )
