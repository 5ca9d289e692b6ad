"""Rate limits in closed form: what a limit of requests refuses, and for how long. Plain Python.

Rates and limits are requests per minute. A limit enforced by fixed windows of `window_s` seconds
admits limit x window_s / 60 requests in each, rounded down: a request is whole, and what is left of
a window does not carry over. Requests refused do not count against it.

Three numbers are easily taken for each other, and differ by orders of magnitude:

- the probability that a WINDOW sees more requests than it admits: `window_exceedance`;
- the share of REQUESTS refused: `rejected_fraction`, `bucket_rejection`;
- the share of TIME in which a request would be refused: `limited_time_share`. For Poisson arrivals
  it is the share of requests refused (they see time averages: PASTA); bursts come while they are
  refused anyway, so for them it is less.

`fano` is the variance of the number of requests in a window over its mean, without any limit: 1 for
Poisson arrivals, above 1 for bursty ones, whose count is then taken as negative binomial (their
rate differs from window to window, gamma distributed). Below 1 there is no such count.

An argument outside its domain raises `ValueError`.

Sources:

- Wolff, "Poisson arrivals see time averages", *Operations Research* 30 (1982).
- Takacs, *Introduction to the Theory of Queues* (1962), and Cohen, *The Single Server Queue*
  (1982), III.5: queues of limited workload, here the tokens that are missing from a bucket.
- Tijms, *A First Course in Stochastic Models* (2003), 9.2: M/D/1 by its embedded Markov chain.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from profiler.planner import counts
from profiler.planner.bucket import rejection
from profiler.planner.queueing import not_negative, positive, whole

if TYPE_CHECKING:
    from collections.abc import Callable

_MINUTE_S = 60.0
_BISECTIONS = 200


class RetryFixedPoint(NamedTuple):
    """Where a limit and the clients that retry against it settle."""

    rejection: float
    """The share of attempts refused."""

    attempts_per_minute: float
    """First attempts and retries together."""


def admitted_per_window(limit: float, window_s: float = _MINUTE_S) -> int:
    """Return how many requests a window admits of a `limit` per minute: whole ones."""
    positive("limit", limit)
    positive("window_s", window_s)
    return math.floor(limit * window_s / _MINUTE_S * (1 + 1e-12))  # 0.7 a second are 7 in ten


def window_exceedance(
    rate: float, limit: float, window_s: float = _MINUTE_S, fano: float = 1.0
) -> float:
    """Return the probability that a window sees more requests than it admits."""
    mean, admitted = _window(rate, limit, window_s, fano)
    return counts.tail(admitted, mean, fano)


def rejected_fraction(
    rate: float, limit: float, window_s: float = _MINUTE_S, fano: float = 1.0
) -> float:
    """Return the share of requests refused by fixed windows: E[(N - admitted)+] / E[N].

    Refused requests do not come back; see `retry_fixed_point` for those that do. 0.0 at rate 0.
    """
    mean, admitted = _window(rate, limit, window_s, fano)
    return min(1.0, counts.excess(admitted, mean, fano) / mean) if mean else 0.0


def limited_time_share(
    rate: float, limit: float, window_s: float = _MINUTE_S, fano: float = 1.0
) -> float:
    """Return the expected share of a window's time that is left when its requests are used up.

    The integral over u from 0 to 1 of P(N(u) >= admitted), N(u) being the arrivals up to then.
    Given the window's rate they are Poisson, so it is E[(N - admitted)+ / rate]: the excess under a
    gamma distribution whose shape is less by one.
    """
    mean, admitted = _window(rate, limit, window_s, fano)
    if mean == 0 or admitted == 0:
        return 0.0 if admitted else 1.0
    spread = fano - 1
    lighter = mean - spread
    if lighter > 0:
        return min(1.0, counts.excess(admitted, lighter, fano) / lighter)
    # Shape 1 or less: the weights p(j) of `lighter` have no finite sum any more, those above
    # `admitted` do, and their ratios are the same. See `counts.excess` for the rest.
    last = counts.probability(admitted, mean, fano) * fano / (lighter + spread * admitted)
    above = last * counts.beyond(admitted, lighter, fano)
    found = (lighter - admitted) * above + (lighter + spread * admitted) * last
    return max(0.0, min(1.0, found))  # rounding, where it is next to nothing


def bucket_rejection(rate: float, refill_rate: float, burst: int) -> float:
    """Return the share of requests that a token bucket refuses. Exact, for Poisson arrivals.

    The bucket holds at most `burst` whole tokens and refills continuously, `refill_rate` a minute;
    a request takes one token, a refused one none. It is also the share of TIME with less than one
    token in the bucket: Poisson arrivals see time averages.

    A limit of L a minute with w seconds' worth of burst: `refill_rate` L, `burst` L x w / 60.
    """
    not_negative("rate", rate)
    positive("refill_rate", refill_rate)
    whole("burst", burst, least=1)
    return rejection(rate / refill_rate, int(burst))


def retry_fixed_point(rate: float, limit: float, retries: int) -> RetryFixedPoint:
    """Return where refused requests that are tried again settle: a fluid, without randomness.

    With the share p of attempts refused, attempts = rate (1 + p + ... + p^retries), and what passes
    is attempts (1 - p) = min(attempts, limit), all per minute. Below the limit nothing is refused;
    above it p = (1 - limit / rate)^(1 / (retries + 1)). That says what retries cost in the long
    run of an overload; `rejected_fraction` and `bucket_rejection` say what chance does below it.
    """
    not_negative("rate", rate)
    not_negative("limit", limit)
    whole("retries", retries, least=0)
    if rate <= limit:
        return RetryFixedPoint(0.0, rate)
    if limit == 0:
        return RetryFixedPoint(1.0, rate * (retries + 1))
    log_rejection = math.log1p(-limit / rate) / (retries + 1)
    passed = -math.expm1(log_rejection)  # 1 - p without cancellation
    return RetryFixedPoint(math.exp(log_rejection), limit / passed)


def failed_after_retries(rejection: float, retries: int) -> float:
    """Return the share of calls whose every attempt was refused: rejection^(retries + 1)."""
    if not 0 <= rejection <= 1:
        raise ValueError(f"rejection is {rejection!r}: it has to be from 0 to 1")
    whole("retries", retries, least=0)
    return rejection ** (retries + 1)


def rate_for_rejection(
    limit: float, share: float, window_s: float = _MINUTE_S, fano: float = 1.0
) -> float:
    """Return the highest rate per minute at which windows refuse at most `share` of requests.

    The inverse of `rejected_fraction`, by bisection. 0.0 where a window admits no request at all.
    """
    _share(share)
    admitted = _window(0.0, limit, window_s, fano)[1]
    # Of a mean m at least m - admitted are refused: here the share is reached at the latest.
    highest = admitted / (1 - share) * _MINUTE_S / window_s
    return _last(highest, lambda rate: rejected_fraction(rate, limit, window_s, fano) <= share)


def bucket_rate_for_rejection(refill_rate: float, burst: int, share: float) -> float:
    """Return the highest rate per minute of which a bucket refuses at most `share`."""
    _share(share)
    bucket_rejection(0.0, refill_rate, burst)
    highest = refill_rate / (1 - share)
    return _last(highest, lambda rate: bucket_rejection(rate, refill_rate, burst) <= share)


def _window(rate: float, limit: float, window_s: float, fano: float) -> tuple[float, int]:
    """Check the arguments; return the mean number of requests in a window, and the admitted."""
    not_negative("rate", rate)
    admitted = admitted_per_window(limit, window_s)
    if not (math.isfinite(fano) and fano >= 1):
        raise ValueError(
            f"fano is {fano!r}: it has to be a finite number from 1 (Poisson arrivals) on"
        )
    return rate * window_s / _MINUTE_S, admitted


def _share(share: float) -> None:
    if not 0 < share < 1:
        raise ValueError(f"share is {share!r}: it has to be above 0 and below 1")


def _last(highest: float, holds: Callable[[float], bool]) -> float:
    """Return the last value from 0 to `highest` for which `holds` is true, which then is false."""
    low, high = 0.0, highest
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if not low < middle < high:
            break
        if holds(middle):
            low = middle
        else:
            high = middle
        if high - low <= 1e-13 * high:
            break
    return low
