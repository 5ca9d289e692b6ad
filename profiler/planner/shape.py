"""Whether two samples have one shape: the population stability index, and what chance makes of it.

PSI = sum over bins of (actual - planned) ln(actual / planned), each a share. Up to 0.1 is custom
for "the same", beyond 0.25 for "another one" (Siddiqi, *Credit Risk Scorecards*, 2006, chapter 7).
Where nothing changed it is about chi-squared with bins - 1 degrees, times 1/n + 1/m (Yurdakul and
Naranjo, "Statistical properties of the population stability index", *Journal of Risk Model
Validation* 14, 2020): small samples have a large index without any change.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

OTHER_SHAPE = 0.25
_CONFIDENCE = 0.95
_LEAST = 2
_HALF = 0.5
"""Added to each bin's count, so that an empty one has a logarithm (Jeffreys' prior)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stability:
    """The index, and the value that chance alone stays below in 95 of 100 comparisons."""

    psi: float
    by_chance: float

    @property
    def is_other(self) -> bool:
        """Whether the shape is another one, and chance does not explain it."""
        return self.psi > max(OTHER_SHAPE, self.by_chance)


def stability(
    planned_at_most: Sequence[float],
    actual_at_most: Sequence[float],
    *,
    planned_size: float,
    actual_size: float,
) -> Stability | None:
    """Compare shares at or below the same rising edges; what is beyond the last is a bin, too.

    Sizes are of independent values. Bins that hold nothing in the plan are joined with the one
    before. None where fewer than two bins are left, or a sample has no size.
    """
    if planned_size <= 0 or actual_size <= 0:
        return None
    bins: list[list[float]] = []
    ends = zip((*planned_at_most, 1.0), (*actual_at_most, 1.0), strict=True)
    for (before, other), (upto, other_upto) in pairwise([(0.0, 0.0), *ends]):
        planned, actual = upto - before, other_upto - other
        if planned <= 0 and bins:
            bins[-1][1] += actual
        else:
            bins.append([planned, actual])
    if len(bins) > 1 and bins[0][0] <= 0:
        first = bins.pop(0)
        bins[0][1] += first[1]
    if len(bins) < _LEAST:
        return None
    psi = 0.0
    for planned, actual in bins:
        p = (planned * planned_size + _HALF) / (planned_size + _HALF * len(bins))
        a = (actual * actual_size + _HALF) / (actual_size + _HALF * len(bins))
        psi += (a - p) * math.log(a / p)
    by_chance = _chi2_quantile(len(bins) - 1) * (1 / planned_size + 1 / actual_size)
    return Stability(psi=psi, by_chance=by_chance)


def _chi2_quantile(degrees: int) -> float:
    """Return chi-squared's 95 % quantile by Wilson and Hilferty's cube root: within 1 % from 1 on.

    Abramowitz and Stegun, 26.4.17.
    """
    z = NormalDist().inv_cdf(_CONFIDENCE)
    part = 2 / (9 * degrees)
    return degrees * (1 - part + z * math.sqrt(part)) ** 3
