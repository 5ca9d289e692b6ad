"""Sessions drawn again: how much a mean or a percentile of two runs varies by chance.

The bootstrap of clusters (Davison and Hinkley, *Bootstrap Methods and their Application*, 1997,
section 3.8): whole sessions are drawn with replacement, as many as there are. A session that both
runs played is drawn for both at once, so that what they share cancels.

The variance over the draws is multiplied by k / (k - 1): drawing k of k sessions has the spread of
a population, not of a sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from profiler.comparison.estimates import Spread, varying, welch_degrees
from profiler.comparison.sessions import FEWEST_SESSIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from profiler.comparison.sessions import Sessions

DRAWS = 500
"""The standard error then errs by 3 %: 1 / sqrt(2 * 500)."""

SEED = 1
_BLOCK = 100  # draws at a time, so that 5,000 rows take 4 MB


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """Values of a metric in rows of a joint sample, and the session of each."""

    values: Sequence[float]
    sessions: Sequence[int]


class Resampling:
    """The same draws for every metric: how often each session is in each draw."""

    def __init__(self, sessions: Sessions, *, draws: int = DRAWS, seed: int = SEED) -> None:
        rng = np.random.default_rng(seed)
        self._sessions = sessions
        first = max(sessions.baseline, default=-1) + 1
        groups = [sessions.count] if sessions.paired else [first, sessions.count - first]
        self._weights = np.concatenate(
            [rng.multinomial(k, np.full(k, 1 / k), size=draws) for k in groups if k], axis=1
        ).astype(np.float64)

    def spread(
        self, baseline: Column, candidate: Column, quantile: float | None
    ) -> tuple[Spread | None, str | None]:
        """Return how the mean (a quantile, where given) of both varies, or why that is unknown."""
        columns = (baseline, candidate)
        counts = [len(set(column.sessions)) for column in columns]
        if min(counts) < FEWEST_SESSIONS:
            return None, f"{min(counts)} sessions have it: {FEWEST_SESSIONS} are needed"
        drawn = [self._statistic(column, quantile) for column in columns]
        defined = np.isfinite(drawn[0]) & np.isfinite(drawn[1])
        matrix = np.cov(drawn[0][defined], drawn[1][defined])
        if self._sessions.paired:
            factors = [counts[0] / (counts[0] - 1), counts[1] / (counts[1] - 1)]
            covariance = float(matrix[0, 1]) * (factors[0] * factors[1]) ** 0.5
        else:
            factors = [count / (count - 1) for count in counts]
            covariance = 0.0
        variances = (float(matrix[0, 0]) * factors[0], float(matrix[1, 1]) * factors[1])
        if quantile is None:
            are_zeros = (not any(baseline.values), not any(candidate.values))
            sizes = (len(baseline.values), len(candidate.values))
            variances = varying(variances, are_zeros, sizes)
        degrees = (
            float(min(counts) - 1)
            if self._sessions.paired
            else welch_degrees([(variances[i], counts[i] - 1) for i in (0, 1)])
        )
        found = Spread(
            baseline=variances[0], candidate=variances[1], covariance=covariance, degrees=degrees
        )
        return found, None

    def _statistic(self, column: Column, quantile: float | None) -> NDArray[np.float64]:
        values = np.asarray(column.values, dtype=np.float64)
        sessions = np.asarray(column.sessions)
        if quantile is not None:
            return self._quantile(values, sessions, quantile)
        sums = np.zeros((self._weights.shape[1], 2))
        np.add.at(sums, sessions, np.stack([values, np.ones_like(values)], axis=1))
        drawn = self._weights @ sums
        with np.errstate(invalid="ignore", divide="ignore"):  # a draw without any value
            return drawn[:, 0] / drawn[:, 1]

    def _quantile(
        self, values: NDArray[np.float64], sessions: NDArray[np.int64], quantile: float
    ) -> NDArray[np.float64]:
        """Return the nearest-rank quantile of each draw."""
        order = np.argsort(values, kind="stable")
        values, sessions = values[order], sessions[order]
        found = np.full(self._weights.shape[0], np.nan)
        for start in range(0, len(found), _BLOCK):
            upto = np.cumsum(self._weights[start : start + _BLOCK][:, sessions], axis=1)
            ranks = np.ceil(quantile * upto[:, -1])
            places = (upto >= np.maximum(ranks, 1)[:, None]).argmax(axis=1)
            has_any = upto[:, -1] > 0
            found[start : start + _BLOCK][has_any] = values[places][has_any]
        return found
