"""Whether a run may stop, the key numbers of what was measured so far being stable."""

from __future__ import annotations

from array import array
from collections import defaultdict

from profiler.measure.histogram import DURATION, ClusterHistogram
from profiler.profile.distribution import MEAN_TOLERANCE, P95_TOLERANCE
from profiler.profile.statistics import (
    ClusterSums,
    is_narrow,
    mean_interval,
    quantile_ranks,
)

_P95 = 0.95
_US_PER_S = 1_000_000


class _Running:
    """Values of one metric so far: the sum and size of each session, in O(1) a value."""

    def __init__(self) -> None:
        self.sums = ClusterSums()
        self._sessions: dict[int, tuple[int, int]] = {}

    def add(self, session: int, value: int) -> None:
        n, s = self._sessions.get(session, (0, 0))
        self._sessions[session] = n + 1, s + value
        self.sums += ClusterSums(
            sessions=0 if n else 1,
            sum_n=1,
            sum_s=value,
            sum_nn=2 * n + 1,
            sum_ss=2 * s * value + value * value,
            sum_ns=n * value + s + value,
        )

    def is_mean_stable(self) -> bool:
        """Tell whether the mean is; also true if the metric was never observed."""
        if not self.sums.sum_n:
            return True
        interval = mean_interval(self.sums)
        mean = self.sums.sum_s / self.sums.sum_n
        return interval is not None and is_narrow(mean, interval, MEAN_TOLERANCE)


class RunningStability:
    """Fed with interactions as they end; says which key metrics are not yet stable.

    The same statistics as in the profile: latency (mean and p95), LLM calls and input tokens
    (means). A metric of calls that nobody observes does not hold a run up; latency does, as long
    as nothing succeeded.

    Kept are 8 bytes for each interaction that succeeded, its latency, since nothing here says when
    a session has ended, and about 0.5 kB for each session. The p95 comes from a histogram.
    """

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._latency = _Running()
        self._latencies = ClusterHistogram(DURATION)
        self._latencies_of: dict[int, array[int]] = defaultdict(lambda: array("q"))
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
            others = self._latencies_of[number]
            self._latencies.join(latency_us, others)
            others.append(latency_us)
        if llm_calls is not None:
            self._llm_calls.add(number, llm_calls)
        if input_tokens is not None:
            self._input_tokens.add(number, input_tokens)

    def unstable(self) -> list[str]:
        """Name the key metrics that are not stable yet; empty: the run may stop."""
        checks = {
            "latency mean": self._latency.sums.sum_n > 0 and self._latency.is_mean_stable(),
            "latency p95": self._is_p95_stable(),
            "llm_calls mean": self._llm_calls.is_mean_stable(),
            "input_tokens mean": self._input_tokens.is_mean_stable(),
        }
        return [name for name, stable in checks.items() if not stable]

    def _is_p95_stable(self) -> bool:
        histogram, sums = self._latencies.histogram(), self._latency.sums
        p95, n = histogram.percentile(95), histogram.count
        if p95 is None or histogram.out_of_range:
            return False
        below, sum_ns, sum_ss = self._latencies.at_or_below(p95)
        shape = {"sessions": sums.sessions, "sum_n": n, "sum_nn": sums.sum_nn}
        indicator = ClusterSums(**shape, sum_s=below, sum_ss=sum_ss, sum_ns=sum_ns)
        ranks = quantile_ranks(indicator, _P95)
        if ranks is None:
            return False
        low, high = (histogram.percentile(100 * (rank - 0.5) / n) or 0 for rank in ranks)
        return is_narrow(p95, (low, high), P95_TOLERANCE)
