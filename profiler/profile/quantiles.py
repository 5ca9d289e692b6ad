"""The three functions of statistics that intervals need, in plain Python: no array library loaded.

All come from the regularized incomplete beta function or, for Student's t, from what is more
accurate. Tested against SciPy.

Sources:

- *NIST Digital Library of Mathematical Functions*, 8.17.22: its continued fraction; 8.17.5: the
  binomial distribution as a beta function. The fraction is evaluated by Lentz's method as modified
  by Thompson and Barnett, *Journal of Computational Physics* 64 (1986).
- Abramowitz and Stegun, *Handbook of Mathematical Functions*, 26.7.3 and 26.7.4 (Student's t as a
  finite sum), 26.5.27 (as an incomplete beta function), 26.7.5 (its quantile for many degrees of
  freedom).
"""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_MANY_DEGREES = 1000
"""Beyond it the series of 26.7.5 errs by less than 1e-14, and so by less than the sum does."""

_STEPS = 100
"""Halvings of an interval: more than a float has digits, so that it ends at two neighbours."""

_FRACTION_STEPS = 100_000
_TINY = 1e-300


def incomplete_beta(a: float, b: float, x: float) -> float:
    """Return I_x(a, b) for a, b > 0: the share of a beta distribution that is at or below x."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):  # beyond it the fraction of the mirrored function converges
        return 1 - incomplete_beta(b, a, 1 - x)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    front = math.exp(log_front + a * math.log(x) + b * math.log1p(-x)) / a
    result = c = 1.0
    d = 1 / _not_zero(1 - (a + b) * x / (a + 1))
    result = d
    for m in range(1, _FRACTION_STEPS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / _not_zero(1 + term * d)
            c = _not_zero(1 + term / c)
            result *= c * d
        if abs(c * d - 1) <= 1e-16:  # noqa: PLR2004 - half of a float's last digit
            break
    return front * result


def _not_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def binomial_cdf(k: int, n: int, p: float) -> float:
    """Return how likely at most k of n independent trials of probability p succeed."""
    return 1.0 if k >= n else incomplete_beta(n - k, k + 1, 1 - p)


def beta_quantile(a: float, b: float, share: float) -> float:
    """Return the x at or below which `share` of the beta distribution (a, b > 0) is."""
    return _root(lambda x: incomplete_beta(a, b, x) >= share, 0.0, 1.0)


@lru_cache(maxsize=4096)
def student_t_quantile(degrees: int, share: float) -> float:
    """Return the value at or below which `share` (above a half) of Student's t distribution is.

    `degrees` of freedom are an integer from 1 on.
    """
    z = NormalDist().inv_cdf(share)
    if degrees > _MANY_DEGREES:
        return _many_degrees(z, degrees)
    # The angle atan(t / sqrt(degrees)) lies in a bounded interval, where t does not.
    angle = _root(lambda at: _inside(at, degrees) >= 2 * share - 1, 0.0, math.pi / 2)
    return math.tan(angle) * math.sqrt(degrees)


def student_t_upper(t: float, degrees: float) -> float:
    """Return the share of Student's t distribution that is above `t`; `degrees` are above 0.

    Half of I_x(v/2, 1/2) at x = v / (v + t^2), v being the degrees, for t from 0 on (26.5.27).
    Below 1 the share between -t and t is taken instead: near t = 0 x would be rounded to 1.
    """
    squared = t * t
    if squared < 1:
        beyond = (1 - incomplete_beta(0.5, degrees / 2, squared / (degrees + squared))) / 2
    else:
        beyond = incomplete_beta(degrees / 2, 0.5, degrees / (degrees + squared)) / 2
    return beyond if t >= 0 else 1 - beyond


def _inside(angle: float, degrees: int) -> float:
    """Return the share of the t distribution between -t and t, t = tan(angle) sqrt(degrees)."""
    cos, sin = math.cos(angle), math.sin(angle)
    squared = cos * cos
    is_odd = degrees % 2
    term = total = (cos if is_odd else 1.0) if degrees > 1 else 0.0
    for i in range(2 + is_odd, degrees, 2):
        term *= squared * (i - 1) / i
        total += term
    return (angle + sin * total) * 2 / math.pi if is_odd else sin * total


def _many_degrees(z: float, degrees: int) -> float:
    g1 = (z**3 + z) / 4
    g2 = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    g3 = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    g4 = (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160
    return z + (g1 + (g2 + (g3 + g4 / degrees) / degrees) / degrees) / degrees


def _root(is_above: Callable[[float], bool], low: float, high: float) -> float:
    """Halve an interval until nothing is between its ends; `is_above` is false, then true."""
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if not low < middle < high:
            break
        if is_above(middle):
            high = middle
        else:
            low = middle
    return high
