"""Confidence intervals for interactions that come in sessions. Pure functions of sums.

Interactions of one session are alike (one user, one growing history), so a thousand interactions of
ten sessions tell less than a thousand of a thousand. Every interval here therefore treats the
session as the unit that was sampled, and the number of values in it as random too.

Sources:

- Cochran, *Sampling Techniques*, 3rd ed. (1977), section 2.11 (variance of a ratio of sums) and 9A
  (clusters of unequal size): the interval of the mean.
- Conover, *Practical Nonparametric Statistics*, 3rd ed. (1999), section 3.2: exact interval of a
  quantile by order statistics.
- Kish, *Survey Sampling* (1965), section 5.4: the design effect, and n / deff.
- Korn and Graubard, "Confidence intervals for proportions with small expected number of positive
  counts estimated from survey data", *Survey Methodology* 24 (1998): the effective sample size with
  the degrees of freedom of the clusters.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from profiler.profile.quantiles import binomial_cdf, student_t_quantile

if TYPE_CHECKING:
    from collections.abc import Sequence

CONFIDENCE = 0.95
_TAIL = (1 - CONFIDENCE) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSums:
    """Six exact integers over sessions i with n_i values whose sum is s_i. They add when merged."""

    sessions: int = 0
    sum_n: int = 0
    sum_s: int = 0
    sum_nn: int = 0
    sum_ss: int = 0
    sum_ns: int = 0

    def __add__(self, other: ClusterSums) -> ClusterSums:
        return ClusterSums(
            sessions=self.sessions + other.sessions,
            sum_n=self.sum_n + other.sum_n,
            sum_s=self.sum_s + other.sum_s,
            sum_nn=self.sum_nn + other.sum_nn,
            sum_ss=self.sum_ss + other.sum_ss,
            sum_ns=self.sum_ns + other.sum_ns,
        )


def cluster_sums(sizes: Sequence[int], totals: Sequence[int]) -> ClusterSums:
    """Sum over sessions: `sizes[i]` values in session i, adding up to `totals[i]`.

    Python integers: exact, however large. Sessions without a value are left out.
    """
    pairs = [(n, s) for n, s in zip(sizes, totals, strict=True) if n]
    return ClusterSums(
        sessions=len(pairs),
        sum_n=sum(n for n, _ in pairs),
        sum_s=sum(s for _, s in pairs),
        sum_nn=sum(n * n for n, _ in pairs),
        sum_ss=sum(s * s for _, s in pairs),
        sum_ns=sum(n * s for n, s in pairs),
    )


def _deviation_squares(sums: ClusterSums) -> tuple[int, int]:
    """Return sum((s_i - m n_i)^2), m being sum_s/sum_n, as an exact numerator and divisor."""
    n, s = sums.sum_n, sums.sum_s
    return sums.sum_ss * n * n - 2 * s * n * sums.sum_ns + s * s * sums.sum_nn, n * n


def mean_variance(sums: ClusterSums) -> float | None:
    """Return the variance of the mean per value, in the squared unit of the sums; None for k < 2.

    That of the ratio estimator over sessions: see `mean_interval`.
    """
    k = sums.sessions
    if k < 2:  # noqa: PLR2004 - a variance between sessions needs two of them
        return None
    numerator, divisor = _deviation_squares(sums)
    return k * numerator / ((k - 1) * divisor * sums.sum_n**2)


def mean_interval(sums: ClusterSums) -> tuple[float, float] | None:
    """Return the 95 % interval of the mean per value, in the unit of the sums; None for k < 2.

    The ratio estimator m = sum(s_i) / sum(n_i) with
    var(m) = k/(k-1) * sum((s_i - m n_i)^2) / sum(n_i)^2 and Student's t with k-1 degrees (Cochran).
    Where all sessions have equally many values it is, to the letter, the textbook t interval of
    the k session means; where each has one value, that of the values.
    """
    variance = mean_variance(sums)
    if variance is None:
        return None
    half = student_t_quantile(sums.sessions - 1, 1 - _TAIL) * math.sqrt(variance)
    mean = sums.sum_s / sums.sum_n
    return mean - half, mean + half


def sample_stddev(count: int, total: int, sum_squares: int) -> float | None:
    """Return the standard deviation (divisor n - 1) from exact integer sums; None for n < 2."""
    if count < 2:  # noqa: PLR2004 - one value has no spread
        return None
    return math.sqrt((count * sum_squares - total * total) / (count * (count - 1)))


def design_effect(indicator: ClusterSums) -> float:
    """Return by how much sessions inflate the variance of a proportion; at least 1 (Kish).

    `indicator` holds, for each session, how many of its values are at or below the quantile. The
    ratio estimator's variance is compared with p(1-p)/(n-1), the unbiased one of independent
    values; so it is exactly 1 where every session has one value. An estimate below 1 is taken for
    chance. 1 as well where it cannot be told: one session, or no value on one side.
    """
    n, s, k = indicator.sum_n, indicator.sum_s, indicator.sessions
    if k < 2 or s in (0, n) or indicator.sum_nn == n:  # noqa: PLR2004 - see mean_interval
        return 1.0
    numerator, divisor = _deviation_squares(indicator)
    # The ratio estimator's variance over p(1-p)/(n-1) with p = s/n: n^2 cancels.
    return max(1.0, k * (n - 1) * numerator / ((k - 1) * divisor * s * (n - s)))


def effective_size(indicator: ClusterSums) -> int:
    """Return how many independent values the sample is worth, for an interval of a quantile.

    n / deff * (t_(n-1) / t_(k-1))^2, rounded down, at most n: the second factor pays for deff
    having been estimated from only k sessions (Korn and Graubard). Exactly n where every session
    has one value. 0 for fewer than two sessions.
    """
    n, k = indicator.sum_n, indicator.sessions
    if k < 2:  # noqa: PLR2004 - see mean_interval
        return 0
    if indicator.sum_nn == n:
        return n
    penalty = (student_t_quantile(n - 1, 1 - _TAIL) / student_t_quantile(k - 1, 1 - _TAIL)) ** 2
    return min(n, math.floor(n / design_effect(indicator) * penalty))


@lru_cache(maxsize=1024)
def order_ranks(n: int, quantile: float) -> tuple[int, int] | None:
    """Return ranks (1 to n) of the order statistics that bracket a quantile in 95 % of samples.

    The largest l with P(B < l) <= 2.5 % and the smallest u with P(B >= u) <= 2.5 %, B being
    binomial(n, quantile) (Conover). None where n is too small for either: the p95 needs 72 values,
    the p99 368.
    """

    def at_most(rank: int) -> float:
        return binomial_cdf(rank, n, quantile)

    # Both probabilities are monotonous in the rank: each is found by halving.
    ranks = range(1, n + 1)
    upper = 1 + bisect_left(ranks, True, key=lambda u: 1 - at_most(u - 1) <= _TAIL)  # noqa: FBT003
    lower = bisect_left(ranks, True, key=lambda r: at_most(r - 1) > _TAIL)  # noqa: FBT003
    return None if upper > n or lower < 1 else (lower, upper)


def quantile_ranks(indicator: ClusterSums, quantile: float) -> tuple[int, int] | None:
    """Return the ranks of the 95 % interval of a quantile among n clustered values, or None.

    The exact ranks for as many independent values as the sample is worth (`effective_size`), put
    back on the scale of the n that there are, rounded outwards.
    """
    n, worth = indicator.sum_n, effective_size(indicator)
    ranks = order_ranks(worth, quantile) if worth else None
    if ranks is None:
        return None
    lower, upper = ranks
    return max(1, lower * n // worth), min(n, -(-upper * n // worth))


def is_narrow(center: float, interval: tuple[float, float], tolerance: float) -> bool:
    """Tell whether half the interval's width is within `tolerance` of its center's size."""
    return (interval[1] - interval[0]) / 2 <= tolerance * abs(center)
