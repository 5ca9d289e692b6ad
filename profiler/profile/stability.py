"""Whether a run may stop, the key numbers of what was measured so far being stable."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np

from profiler.profile.distribution import MEAN_TOLERANCE, P95_TOLERANCE
from profiler.profile.statistics import (
    cluster_sums,
    is_narrow,
    mean_interval,
    quantile_ranks,
)

_P95 = 0.95
_US_PER_S = 1_000_000


class _Running:
    """Values of one metric so far: the sum and size of each session, in O(1) a value."""

    def __init__(self) -> None:
        self.sizes: dict[int, int] = defaultdict(int)
        self.totals: dict[int, int] = defaultdict(int)

    def add(self, session: int, value: int) -> None:
        self.sizes[session] += 1
        self.totals[session] += value

    def is_mean_stable(self) -> bool:
        """Tell whether the mean is; also true if the metric was never observed."""
        if not self.sizes:
            return True
        sums = cluster_sums(list(self.sizes.values()), list(self.totals.values()))
        interval = mean_interval(sums)
        mean = sums.sum_s / sums.sum_n
        return interval is not None and is_narrow(mean, interval, MEAN_TOLERANCE)


class RunningStability:
    """Fed with interactions as they end; says which key metrics are not yet stable.

    The same statistics as in the profile: latency (mean and p95), LLM calls and input tokens
    (means). A metric of calls that nobody observes does not hold a run up; latency does, as long
    as nothing succeeded.
    """

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._latency = _Running()
        self._latencies_us: list[int] = []
        self._latency_sessions: list[int] = []
        self._llm_calls = _Running()
        self._input_tokens = _Running()

    def add(
        self,
        session: str,
        latency_s: float | None,
        llm_calls: int | None = None,
        input_tokens: int | None = None,
    ) -> None:
        """Take one measured interaction; `latency_s` is None for one that failed."""
        number = self._numbers.setdefault(session, len(self._numbers))
        if latency_s is not None:
            latency_us = round(latency_s * _US_PER_S)
            self._latency.add(number, latency_us)
            self._latencies_us.append(latency_us)
            self._latency_sessions.append(number)
        if llm_calls is not None:
            self._llm_calls.add(number, llm_calls)
        if input_tokens is not None:
            self._input_tokens.add(number, input_tokens)

    def unstable(self) -> list[str]:
        """Name the key metrics that are not stable yet; empty: the run may stop."""
        checks = {
            "latency mean": bool(self._latencies_us) and self._latency.is_mean_stable(),
            "latency p95": self._is_p95_stable(),
            "llm_calls mean": self._llm_calls.is_mean_stable(),
            "input_tokens mean": self._input_tokens.is_mean_stable(),
        }
        return [name for name, stable in checks.items() if not stable]

    def _is_p95_stable(self) -> bool:
        if not self._latencies_us:
            return False
        values = np.asarray(self._latencies_us)
        ordered = np.sort(values)
        p95 = int(ordered[math.ceil(values.size * 95 / 100) - 1])
        below = np.bincount(self._latency_sessions, weights=values <= p95)
        sizes = np.bincount(self._latency_sessions)
        ranks = quantile_ranks(cluster_sums(sizes.tolist(), below.astype(int).tolist()), _P95)
        if ranks is None:
            return False
        interval = float(ordered[ranks[0] - 1]), float(ordered[ranks[1] - 1])
        return is_narrow(p95, interval, P95_TOLERANCE)
