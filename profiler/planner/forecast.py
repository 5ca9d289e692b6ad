"""When growth reaches a load: compound growth, with a range, as dates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from profiler.planner.ranges import Range

DAYS_PER_MONTH = 365.2425 / 12
"""The mean month of the Gregorian calendar."""
_TOO_FAR_MONTHS = 12 * 30
"""30 years: no date beyond is worth a name."""
_LOW, _HIGH = 0.05, 0.95
_FEWEST = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """The date on which a load is reached; None: not within 30 years.

    `early` and `late` are the 5th and 95th percentile of the draws; without draws, the ends of the
    growth's range. `has_range` is false where neither is known.
    """

    likely: date | None
    early: date | None
    late: date | None
    has_range: bool


def months_to(ratio: float, growth_per_month: float) -> float:
    """Return the months until `ratio` times the users: ln ratio / ln(1 + growth).

    0 where they are there already, infinite without growth.
    """
    if ratio <= 1:
        return 0.0
    if growth_per_month == 0:
        return math.inf
    return math.log(ratio) / math.log1p(growth_per_month)


def after(start: date, months: float) -> date | None:
    """Return the day so many months later; None: more than 30 years later."""
    if months > _TOO_FAR_MONTHS:
        return None
    return start + timedelta(days=round(months * DAYS_PER_MONTH))


def reached(
    start: date, ratio: float, growth: Range, drawn: Sequence[float | None] = (), *, seed: int = 1
) -> Reached:
    """Return when `ratio` times the launch's users are there.

    `drawn` are draws of that ratio, None for never; each meets a growth drawn from its range
    (triangular).
    """
    likely = after(start, months_to(ratio, growth.likely))
    if len(drawn) >= _FEWEST:
        rng = np.random.default_rng((seed, 13))
        months = sorted(
            math.inf if one is None else months_to(one, growth.at(float(u)))
            for one, u in zip(drawn, rng.random(len(drawn)), strict=True)
        )
        early, late = months[_place(_LOW, months)], months[_place(_HIGH, months)]
        return Reached(
            likely=likely, early=after(start, early), late=after(start, late), has_range=True
        )
    return Reached(
        likely=likely,
        early=after(start, months_to(ratio, growth.high)),
        late=after(start, months_to(ratio, growth.low)),
        has_range=not growth.is_certain,
    )


def _place(share: float, values: Sequence[float]) -> int:
    return min(len(values) - 1, round(share * (len(values) - 1)))
