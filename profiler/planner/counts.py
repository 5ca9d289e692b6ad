"""How many arrive in a window: Poisson, or overdispersed as a negative binomial. Plain Python.

A count has a `mean` and a `fano` factor (its variance over its mean): 1 is Poisson, above 1 a
negative binomial (Poisson whose rate is gamma distributed from window to window). Both have
p(j + 1) / p(j) = (mean + (fano - 1) j) / (fano (j + 1)), so one code serves both, and fano -> 1
needs no case of its own. For means up to 1e7 the results have ten digits, small tails too.

Sources:

- Loader, "Fast and accurate computation of binomial probabilities" (2000): probabilities by their
  saddle point, without the cancellation of log-gammas of millions.
- *NIST Digital Library of Mathematical Functions*, 15.7.5: Gauss' continued fraction of
  2F1(1, b; c; z), which sums such ratios; evaluated by Lentz's method as modified by Thompson and
  Barnett, *Journal of Computational Physics* 64 (1986).
"""

from __future__ import annotations

import math

_FRACTION_STEPS = 1_000_000
_ROUNDING = 1e-16
_TINY = 1e-300
_STIRLING_FROM = 16.0
"""From here on the series of `_stirling_error` errs by less than a float's last digit."""

_NEAR = 0.1
_WIDE = 2.0
"""From this fano factor on the continued fraction needs fewer terms below the mean than a sum."""


def probability(k: int, mean: float, fano: float) -> float:
    """Return P(N = k), `mean` being above 0."""
    spread = fano - 1
    if k == 0:
        return math.exp(-mean * (math.log1p(spread) / spread if spread else 1.0))
    weight = mean + spread * k
    exponent = -_stirling_error(k) - weight / fano * _deviance((k - mean) / weight)
    if spread:
        # The part of the gamma distributed rate; gone as its shape, mean / spread, grows.
        exponent += _stirling_error(weight / spread) - _stirling_error(mean / spread)
        exponent -= weight / (spread * fano) * _deviance((mean - k) * spread / weight)
    return math.exp(exponent) * math.sqrt(mean / (weight * 2 * math.pi * k))


def tail(k: int, mean: float, fano: float) -> float:
    """Return P(N > k)."""
    if mean == 0:
        return 0.0
    if k >= mean:
        return min(1.0, probability(k, mean, fano) * beyond(k, mean, fano))
    return max(0.0, 1 - probability(k, mean, fano) * _down_to_zero(k, mean, fano))


def excess(k: int, mean: float, fano: float) -> float:
    """Return E[(N - k)+], how many more than `k` there are on average.

    Summing (j + 1) p(j + 1) over j from k on by the ratio above, E[N; N > k] is
    mean P(N > k) + (mean + (fano - 1) k) p(k).
    """
    if mean == 0:
        return 0.0
    weight = mean + (fano - 1) * k
    found = (mean - k) * tail(k, mean, fano) + weight * probability(k, mean, fano)
    return max(0.0, found)


def beyond(k: int, mean: float, fano: float) -> float:
    """Return the sum of p(j) / p(k) over all j > k, for k not below the mean.

    Only the ratios of the p(j) matter, so `mean` may be anything that keeps them positive.
    """
    spread = fano - 1
    ratio = (mean + spread * k) / (fano * (k + 1))
    first = (mean + spread * (k + 1)) / fano
    return ratio * _gauss(first, (spread - mean) / fano, spread / fano, k + 2)


def _down_to_zero(k: int, mean: float, fano: float) -> float:
    """Return the sum of p(j) / p(k) over all j from 0 to k, k being below the mean."""
    spread = fano - 1
    if fano >= _WIDE:
        shape = mean / spread
        front = (mean + spread * k) * spread / (fano * mean)
        return front * _gauss((shape + k + 1) / fano, -k / fano, 1 / fano, shape + 1)
    total = term = 1.0
    for j in range(k, 0, -1):
        term *= fano * j / (mean + spread * (j - 1))
        total += term
        if term < total * _ROUNDING:
            break
    return total


def _gauss(z_b: float, z_c_less_b: float, z: float, c: float) -> float:
    """Return 2F1(1, b; c; z), given z b and z (c - b), which stay finite where b does not."""
    result = fraction = 1.0
    inverse = 0.0
    for n in range(_FRACTION_STEPS):
        middle = c + 2 * n
        odd = -(z_b + n * z) * (c + n - 1) / ((middle - 1) * middle)
        even = -(n + 1) * (z_c_less_b + n * z) / (middle * (middle + 1))
        for term in (odd, even):
            inverse = 1 / _not_zero(1 + term * inverse)
            fraction = _not_zero(1 + term / fraction)
            result *= fraction * inverse
        if abs(fraction * inverse - 1) <= 2 * _ROUNDING:
            break
    return 1 / result


def _not_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def _stirling_error(x: float) -> float:
    """Return ln(x!) less Stirling's approximation of it, x > 0."""
    if x < _STIRLING_FROM:
        return math.lgamma(x + 1) - (x + 0.5) * math.log(x) + x - 0.5 * math.log(2 * math.pi)
    s = x * x
    return (1 / 12 - (1 / 360 - (1 / 1260 - (1 / 1680 - 1 / 1188 / s) / s) / s) / s) / x


def _deviance(d: float) -> float:
    """Return (1 + d) ln(1 + d) - d, to the last digits also where d is small."""
    if d <= -1:
        return 1.0
    if abs(d) >= _NEAR:
        return (1 + d) * math.log1p(d) - d
    v = d / (2 + d)
    found, term = d * v, 2 * (1 + d) * v
    for j in range(1, 20):
        term *= v * v
        before, found = found, found + term / (2 * j + 1)
        if found == before:
            break
    return found
