"""What a token bucket refuses of Poisson arrivals: an M/D/1 queue whose workload is limited.

What is missing from the bucket, V = burst - tokens, is a workload: each admitted request adds one,
the refill works it off, and a request is admitted while V <= burst - 1 = K. With x the arrivals
during the refill of one token and W the scale function of M/D/1,

    refused = 1 - W(K) / (1 + x W(K)) = (1 - (1 - x) W(K)) / (1 + x W(K)).

W is usually written as an alternating sum, which loses every digit for bursts of some dozens. At
whole numbers, W(n) = q(0) + ... + q(n), q being the stationary measure of M/D/1's embedded chain
with q(0) = 1 (n or fewer in the system is a workload of n or less), and cutting between j and j + 1
gives q by a recursion of positive terms. The q(j) soon fall (or rise) by a constant factor 1/z, z
being the other root of z = exp(x (z - 1)); from there on the sums are geometric. So a burst of a
million takes as long as one of a hundred, and a refused share of 1e-30 has as many digits as one of
a half.
"""

from __future__ import annotations

import math
from itertools import accumulate

_FULL = 30.0
"""With more arrivals to a token 1/W is below exp(-30), and gone beside the square of the load."""

_PLENTY = 1e18
"""The same for W: from here on only its order matters."""

_SAME = 1e-14
_GONE = 1e-22
_LARGEST_EXPONENT = 700.0
_NEAR_ONE = 1e-5
_SETTLED = 3
_MOST = 3000


def rejection(load: float, burst: int) -> float:
    """Return the share of requests refused; `load` is rate over refill rate, `burst` in tokens."""
    if load == 0:
        return 0.0
    if burst == 1:  # W(0) = 1
        return load / (1 + load)
    if load > _FULL:
        return 1 - 1 / load
    growth = _growth(load)
    first = _measure(load, growth)
    up_to, beyond = _sums(first, growth, burst - 1)
    if load < 1:
        return (1 - load) * beyond / (1 + load * up_to)
    if math.isinf(up_to):
        return 1 - 1 / load
    return (1 + (load - 1) * up_to) / (1 + load * up_to)


def _growth(load: float) -> float:
    """Return y = z - 1 for the root z, not 1, of z = exp(load (z - 1)). 0 at load 1.

    Newton's method from the side where it cannot overshoot.
    """
    d = 1 - load
    if abs(d) < _NEAR_ONE:  # ln(1 + y) / y = load, in powers of 1 - load
        return d * (2 + d * (8 / 3 + d * 28 / 9))
    # load y - ln(1 + y) is convex and not below 0 at the start, which the root lies beyond.
    y = d * (1 + load) / load / load if load < 1 else math.expm1(-load)
    while True:
        step = (load * y - math.log1p(y)) / (load - 1 / (1 + y))
        y -= step
        if abs(step) <= abs(y) * _SAME or (step > 0) != (load < 1):  # there, or only rounding left
            return y


def _measure(load: float, growth: float) -> list[float]:
    """Return q(0), q(1), ... up to where q(j + 1) = q(j) / z holds to the last digits."""
    z = 1 + growth
    tails = _tails(load, max(1.0, z))
    none_arrive = math.exp(-load)
    found = [1.0]
    settled = 0
    while settled < _SETTLED and len(found) < _MOST:
        j = len(found) - 1
        total = tails[j] if j < len(tails) else 0.0
        for more in range(1, min(j, len(tails) - 1) + 1):
            total += found[j + 1 - more] * tails[more]
        found.append(total / none_arrive)
        if found[-1] == 0 or found[-1] > _PLENTY:
            break
        settled = settled + 1 if abs(found[-1] / found[-2] * z - 1) < _SAME * 10 else 0
    return found


def _tails(load: float, z: float) -> list[float]:
    """Return P(A > n), A being Poisson, until it is gone even where q(j - n) is z^n times q(j)."""
    terms = [math.exp(-load)]
    weighted = terms[0]
    while terms[-1] and (len(terms) <= load or weighted > _GONE):
        weighted *= load * z / len(terms)
        terms.append(terms[-1] * load / len(terms))
    return list(accumulate(reversed(terms)))[-2::-1]


def _sums(first: list[float], growth: float, last: int) -> tuple[float, float]:
    """Return the sums of q(j) up to j = `last`, and beyond it (for loads below 1)."""
    end = len(first) - 1
    if last < end:
        rest = first[end] / growth if growth > 0 else math.inf
        return math.fsum(first[: last + 1]), math.fsum(first[last + 1 :]) + rest
    exponent = (last - end) * math.log1p(growth)
    if -exponent > _LARGEST_EXPONENT:
        return math.inf, math.inf
    more = -math.expm1(-exponent) / growth if growth else float(last - end)
    beyond = first[end] * math.exp(-exponent) / growth if growth > 0 else math.inf
    return math.fsum(first) + first[end] * more, beyond
