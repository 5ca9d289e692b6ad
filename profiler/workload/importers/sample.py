"""A sample of sessions that keeps the mix of lengths: seeded, in one pass, stratified by turns.

Each session draws a random number; each stratum (the sessions with so many turns) keeps those with
the smallest. At the end the strata are laid end to end, shortest first, and cut in N equal parts
at a random phase: a stratum gives as many sessions as there are cuts in it. So every session is as
likely as any other, and the share of sessions with at most so many turns is never off by 1/N.
(Systematic sampling: W. G. Cochran, Sampling Techniques, chapter 8.)
"""

from __future__ import annotations

import math
import random
from collections import Counter
from heapq import heappush, heapreplace
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Place(NamedTuple):
    """Where a session stands in its file."""

    offset: int
    length: int
    line: int


class Sampler:
    """Chooses `size` of the sessions that it is shown. Keeps at most `size` of each length."""

    def __init__(self, size: int, *, seed: int) -> None:
        self._size = size
        rng = random.Random(seed)
        self._phase = rng.random()
        self._random = rng.random
        self._kept: dict[int, list[tuple[float, Place]]] = {}
        self._counts: Counter[int] = Counter()

    def add(self, turns: int, place: Place) -> None:
        """Show it one more session."""
        self._counts[turns] += 1
        kept = self._kept.setdefault(turns, [])
        key = -self._random()  # a heap has its smallest on top: here the first to leave
        if len(kept) < self._size:
            heappush(kept, (key, place))
        elif key > kept[0][0]:
            heapreplace(kept, (key, place))

    def chosen(self) -> list[Place]:
        """Return the sample, in the file's order; everything where there is no more than that."""
        places: list[Place] = []
        for turns, number in allotted(self._counts, self._size, self._phase).items():
            best = sorted(self._kept[turns], reverse=True)[:number]
            places.extend(place for _, place in best)
        return sorted(places)


def allotted(counts: Mapping[int, int], size: int, phase: float) -> dict[int, int]:
    """Return how many sessions each stratum gives, for a `phase` from 0 to below 1."""
    total = sum(counts.values())
    if total <= size:
        return dict(counts)
    shares: dict[int, int] = {}
    passed, given = 0, 0
    for turns in sorted(counts):
        passed += counts[turns]
        until = size if passed == total else math.floor(passed * size / total + phase)
        shares[turns] = until - given
        given = until
    return shares


def largest_difference(whole: Mapping[int, int], part: Mapping[int, int]) -> tuple[float, int]:
    """Return the largest difference of the two cumulative distributions, and where it is.

    The Kolmogorov-Smirnov distance: the number of turns is where the share of sessions with at most
    so many differs the most.
    """
    whole_total, part_total = sum(whole.values()), sum(part.values())
    most, where = 0.0, min(whole)
    whole_seen = part_seen = 0
    for turns in sorted({*whole, *part}):
        whole_seen += whole.get(turns, 0)
        part_seen += part.get(turns, 0)
        difference = abs(whole_seen / whole_total - part_seen / part_total)
        if difference > most:
            most, where = difference, turns
    return most, where
