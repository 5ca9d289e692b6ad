"""How far apart two samples are, and whether chance alone would put them so far apart.

Samples are counts by value, so millions of values take no more room than they have different ones.
Two distances, because they answer different questions: Kolmogorov-Smirnov's says how large a share
of the one would have to change, the earth mover's by how much, in the unit of the values.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING

from profiler.workload.importers.sample import largest_difference

if TYPE_CHECKING:
    from collections.abc import Mapping

SIGNIFICANCE = 0.05
MATTERS = 0.1
"""From which Kolmogorov-Smirnov distance on a difference matters for a load test: one session in
ten, or one message in ten, would have to be another."""


class Verdict(StrEnum):
    """What a comparison comes to."""

    ALIKE = "alike"
    CLOSE = "close"
    DIFFERENT = "different"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Values in whole units, each with how often it was seen; not empty.

    `independent` is how many of them say something that the others do not: messages of one session
    are alike, so there it is the sessions.
    """

    counts: Mapping[int, int]
    independent: int

    @property
    def total(self) -> int:
        """How many values there are."""
        return sum(self.counts.values())

    @property
    def mean(self) -> float:
        """Their mean."""
        return sum(value * times for value, times in self.counts.items()) / self.total

    def quantile(self, share: float) -> int:
        """Return the smallest value that this share of all is not above."""
        needed, passed, value = share * self.total, 0, min(self.counts)
        for value in sorted(self.counts):
            passed += self.counts[value]
            if passed >= needed:
                break
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two samples, compared. Values and `moved` are in the samples' unit.

    `distance` is Kolmogorov and Smirnov's, largest at `where`: between the shares of values of at
    most so much. Chance alone exceeds `critical` in 5 % of all cases. `moved` is the earth mover's.
    """

    ours: Sample
    theirs: Sample
    distance: float
    where: int
    critical: float
    moved: float

    @property
    def verdict(self) -> Verdict:
        """Whether they differ: more than chance explains (`critical`), and enough to matter."""
        if self.distance > self.critical:
            return Verdict.DIFFERENT if self.distance >= MATTERS else Verdict.CLOSE
        return Verdict.ALIKE if self.critical <= MATTERS else Verdict.INCONCLUSIVE


def compare(ours: Sample, theirs: Sample) -> Comparison:
    """Compare two samples."""
    distance, where = largest_difference(ours.counts, theirs.counts)
    return Comparison(
        ours=ours,
        theirs=theirs,
        distance=distance,
        where=where,
        critical=critical_distance(ours.independent, theirs.independent),
        moved=earth_movers_distance(ours.counts, theirs.counts),
    )


def critical_distance(n: int, m: int, significance: float = SIGNIFICANCE) -> float:
    """Return what the distance of two samples of one distribution exceeds by chance, so often.

    Smirnov's asymptotic formula, sqrt(-ln(significance / 2) / 2) * sqrt((n + m) / (n m)), at most 1
    (N. Smirnov, Annals of Mathematical Statistics 19, 1948; Knuth, TAOCP 2, section 3.3.1). Where
    values are equal, as whole numbers often are, chance exceeds it more rarely.
    """
    width = math.sqrt(-math.log(significance / 2) / 2)
    return min(1.0, width * math.sqrt((n + m) / (n * m)))


def earth_movers_distance(ours: Mapping[int, int], theirs: Mapping[int, int]) -> float:
    """Return how far, on average, values of the one have to move to become those of the other.

    Wasserstein's distance of order 1: in one dimension, the area between the two cumulative
    distributions (S. S. Vallender, Theory of Probability and its Applications 18, 1974).
    """
    total_ours, total_theirs = sum(ours.values()), sum(theirs.values())
    seen_ours = seen_theirs = 0
    area = 0.0
    for value, following in pairwise(sorted({*ours, *theirs})):
        seen_ours += ours.get(value, 0)
        seen_theirs += theirs.get(value, 0)
        difference = abs(seen_ours / total_ours - seen_theirs / total_theirs)
        area += difference * (following - value)
    return area
