"""Closed forms of queues: how many servers, how long a wait, how deep a queue. Numbers to numbers.

Nothing else of this package is needed: plain Python, no array library. Rates and times only have
to agree: arrivals per second with seconds, per minute with minutes. `offered_load` is arrival rate
times mean service time, in erlangs; utilization is the offered load of one server.

M/M/c means Poisson arrivals, exponential service times, first come first served, no limit on the
queue. Where the offered load is not below the number of servers no steady state exists: the
queue grows without end. Then every wait is `math.inf` and every tail probability 1.0.

An argument outside its domain raises `ValueError`.

Sources:

- Kleinrock, *Queueing Systems*, volume 1 (1975), section 3.5 (M/M/m) and 5.6 (M/G/1).
- Jagerman, "Some properties of the Erlang loss function", *Bell System Technical Journal* 53
  (1974): the recursion on the reciprocal of B, whose terms are all positive.
- Allen, *Probability, Statistics, and Queueing Theory*, 2nd ed. (1990), section 5.5: the
  Allen-Cunneen approximation of G/G/c.
"""

from __future__ import annotations

import math


def erlang_b(servers: int, offered_load: float) -> float:
    """Return the share of arrivals lost when nobody may wait (M/G/c/c): Erlang's first formula.

    1/B(k) = 1 + k/a 1/B(k-1) from B(0) = 1. Without servers everything is lost.
    """
    whole("servers", servers, least=0)
    not_negative("offered_load", offered_load)
    if offered_load == 0:
        return 0.0 if servers else 1.0
    return 1 / _reciprocal_of_b(servers, offered_load)


def erlang_c(servers: int, offered_load: float) -> float:
    """Return the share of arrivals that wait (M/M/c): Erlang's second formula; 1.0 if overloaded.

    C = B / (1 - u (1 - B)), u being the utilization.
    """
    whole("servers", servers, least=1)
    not_negative("offered_load", offered_load)
    if offered_load >= servers:
        return 1.0
    return _c_of_b(servers, offered_load, erlang_b(servers, offered_load))


def mean_wait(
    servers: int, arrival_rate: float, service_mean: float, ca2: float = 1.0, cs2: float = 1.0
) -> float:
    """Return the mean wait before service in G/G/c, in the unit of `service_mean`.

    Allen and Cunneen: the wait of M/M/c times (ca2 + cs2) / 2, the squared coefficients of
    variation (variance over squared mean) of the times between arrivals and of the service times.
    Exact for M/M/c, and for M/G/1, where it is Pollaczek and Khinchine's formula. `math.inf` if
    overloaded.
    """
    spare = _spare_rate(servers, arrival_rate, service_mean)
    not_negative("ca2", ca2)
    not_negative("cs2", cs2)
    if spare <= 0:
        return math.inf
    return erlang_c(servers, arrival_rate * service_mean) / spare * (ca2 + cs2) / 2


def wait_tail(servers: int, arrival_rate: float, service_mean: float, t: float) -> float:
    """Return how likely an arrival of M/M/c waits longer than `t`; 1.0 if overloaded.

    P(W > t) = C exp(-(c / service_mean - arrival_rate) t).
    """
    spare = _spare_rate(servers, arrival_rate, service_mean)
    not_negative("t", t)
    if spare <= 0:
        return 1.0
    return erlang_c(servers, arrival_rate * service_mean) * math.exp(-spare * t)


def servers_for(arrival_rate: float, service_mean: float, t: float, probability: float) -> int:
    """Return the fewest servers of M/M/c with which P(wait > t) is at most `probability`.

    One server where nothing arrives. `probability` is above 0 and below 1.
    """
    _spare_rate(1, arrival_rate, service_mean)
    not_negative("t", t)
    if not 0 < probability < 1:
        raise ValueError(f"probability is {probability!r}: it has to be above 0 and below 1")
    load = arrival_rate * service_mean
    servers = math.floor(load) + 1  # the fewest that keep up
    if load == 0:
        return servers
    reciprocal = _reciprocal_of_b(servers, load)
    while True:
        waits = _c_of_b(servers, load, 1 / reciprocal)
        if waits * math.exp(-(servers / service_mean - arrival_rate) * t) <= probability:
            return servers
        servers += 1
        reciprocal = 1 + servers / load * reciprocal


def queue_tail(servers: int, utilization: float, n: int) -> float:
    """Return how likely more than `n` wait (not counting those in service) in M/M/c.

    With all servers busy the number waiting is geometric: P(N = k waiting) = C (1 - u) u^k for
    k > 0, so P(N > n) = C u^(n + 1). 1.0 for a utilization from 1 on.
    """
    whole("servers", servers, least=1)
    not_negative("utilization", utilization)
    whole("n", n, least=0)
    if utilization >= 1:
        return 1.0
    return erlang_c(servers, servers * utilization) * utilization ** (n + 1)


def whole(name: str, value: float, *, least: int) -> None:
    """Raise `ValueError` unless `value` is a whole number from `least` on."""
    if not (math.isfinite(value) and value >= least and value == math.floor(value)):
        raise ValueError(f"{name} is {value!r}: it has to be a whole number from {least} on")


def not_negative(name: str, value: float) -> None:
    """Raise `ValueError` unless `value` is a finite number from 0 on."""
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"{name} is {value!r}: it has to be a finite number from 0 on")


def positive(name: str, value: float) -> None:
    """Raise `ValueError` unless `value` is a finite number above 0."""
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{name} is {value!r}: it has to be a finite number above 0")


def _reciprocal_of_b(servers: int, offered_load: float) -> float:
    reciprocal = 1.0
    for k in range(1, int(servers) + 1):
        reciprocal = 1 + k / offered_load * reciprocal
    return reciprocal


def _c_of_b(servers: int, offered_load: float, lost: float) -> float:
    return servers * lost / (servers - offered_load * (1 - lost))


def _spare_rate(servers: int, arrival_rate: float, service_mean: float) -> float:
    """Check what all these functions take; return how much faster service is than arrivals."""
    whole("servers", servers, least=1)
    not_negative("arrival_rate", arrival_rate)
    positive("service_mean", service_mean)
    return servers / service_mean - arrival_rate
