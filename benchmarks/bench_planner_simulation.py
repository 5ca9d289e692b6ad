"""How fast the planner computes: interactions and requests simulated, and its closed forms.

Usage: python -m benchmarks.bench_planner_simulation

One process on one core; each figure is the best of five, in CPU time, so that a busy machine
counts little. What is simulated is what a plan simulates: measured (here lognormal) service times
and tokens, Poisson arrivals.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from profiler.planner.attempts import Retrying
from profiler.planner.compound import window_sum
from profiler.planner.limits import bucket_rejection, rate_for_rejection
from profiler.planner.simulate import servers_for_simulated, simulate_queue
from profiler.planner.simulate_limits import SimulatedLimit, simulate_limits

if TYPE_CHECKING:
    from collections.abc import Callable

TARGET_PER_S = 300_000
COMPOUND_TARGET_S = 0.020
SEARCH_TARGET_S = 2.0
COUNT = 300_000


def cpu_s(work: Callable[[], object]) -> float:
    """Return the least CPU seconds of five runs."""
    spent = []
    for _ in range(5):
        began = time.process_time()
        work()
        spent.append(time.process_time() - began)
    return min(spent)


def judged(*, good: bool) -> str:
    return "ok" if good else "MISSED"


def main() -> None:
    rng = np.random.default_rng(1)
    service_s = rng.lognormal(1, 0.8, 5000)
    tokens = np.rint(rng.lognormal(8, 1, 5000))
    limits = [
        SimulatedLimit(name="rpm", per_minute=550),
        SimulatedLimit(name="tpm", per_minute=2_500_000, counts="tokens"),
    ]
    sample = {"tokens": tokens}

    for servers in (10, 1000):
        queue = partial(
            simulate_queue,
            servers=servers,
            service_times_s=service_s,
            arrival_rate_per_s=0.85 * servers / float(service_s.mean()),
            interactions=COUNT,
        )
        speed = COUNT / cpu_s(queue)
        verdict = judged(good=speed >= TARGET_PER_S)
        print(f"queue of {servers} servers: {speed:,.0f} interactions/s a core {verdict}")

    against = partial(
        simulate_limits, limits=limits, rate_per_minute=520, requests=sample, calls=COUNT
    )
    speed = COUNT / cpu_s(against)
    verdict = judged(good=speed >= TARGET_PER_S)
    print(f"requests and tokens: {speed:,.0f} calls/s a core {verdict}")
    speed = COUNT / cpu_s(partial(against, rate_per_minute=700, retrying=Retrying()))
    print(f"requests and tokens, overloaded, with retries: {speed:,.0f} calls/s a core")

    for rate in (20.0, 1000.0):
        search = partial(
            servers_for_simulated,
            service_times_s=service_s,
            arrival_rate_per_s=rate,
            wait_p95_s=0.5,
        )
        spent = cpu_s(search)
        verdict = judged(good=spent <= SEARCH_TARGET_S)
        print(f"servers for {rate:g} interactions/s: {spent:.2f} s {verdict}")

    for rate in (50, 5_000, 100_000):
        spent = cpu_s(partial(window_sum, rate, tokens))
        verdict = judged(good=spent <= COMPOUND_TARGET_S)
        print(f"token sum of {rate:,} requests a window: {spent * 1000:.1f} ms {verdict}")

    print(f"bucket of 100,000: {cpu_s(lambda: bucket_rejection(95, 100, 100_000)) * 1e6:.0f} us")
    spent = cpu_s(lambda: rate_for_rejection(10_000, 1e-3))
    print(f"rate for a rejection, 10,000 a window: {spent * 1000:.1f} ms")


if __name__ == "__main__":
    main()
