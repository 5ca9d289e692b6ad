"""What was measured since the plan was made: of one metric, from a profile or from production."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from profiler.profile.sample import SCALES, sample_of_distribution
from profiler.profile.statistics import effective_size

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from profiler.profile.distribution import Distribution

Interval = tuple[float, float]
_DECILES = tuple(range(10, 100, 10))


@dataclass(frozen=True, slots=True, kw_only=True)
class Actual:
    """One metric as it is now, in its own unit. None: not known.

    `edges` are those at which `at_most` (the share of values at or below) is exact; None: any.
    `size` is of independent values.
    """

    mean: float
    mean_ci95: Interval | None
    p50: float | None = None
    p95: float | None = None
    p95_ci95: Interval | None = None
    size: float | None = None
    edges: tuple[float, ...] | None = None
    at_most: Callable[[float], float] | None = None


def of_distribution(found: Distribution) -> Actual:
    """Return a profile's metric."""
    sample = sample_of_distribution(found)
    per_unit, histogram = SCALES[found.unit].per_unit, sample.histogram

    def at_most(value: float) -> float:
        return histogram.at_or_below(value * per_unit) / found.count

    return Actual(
        mean=found.mean,
        mean_ci95=found.mean_ci95,
        p50=found.p50,
        p95=found.p95,
        p95_ci95=found.p95_ci95,
        size=float(effective_size(sample.p95_sums)),
        at_most=at_most,
    )


def deciles(found: Distribution) -> tuple[float, ...]:
    """Return the distinct deciles below the maximum, as edges at which shares are exact."""
    sample = sample_of_distribution(found)
    per_unit = SCALES[found.unit].per_unit
    values = [sample.histogram.percentile(percent) for percent in _DECILES]
    top = sample.histogram.max
    kept = [value for value in values if value is not None and top is not None and value < top]
    return tuple(value / per_unit for value in dict.fromkeys(kept))


def of_buckets(
    buckets: Sequence[tuple[float, float]], *, mean: float, mean_ci95: Interval | None, size: float
) -> Actual:
    """Return a metric from a Prometheus histogram: (`le`, values at or below), rising, +Inf last.

    Its percentiles lie somewhere in a bucket: taken by linear interpolation, as PromQL's
    `histogram_quantile` does.
    """
    total = buckets[-1][1]
    finite = buckets[:-1]
    shares = {edge: count / total for edge, count in finite}
    return Actual(
        mean=mean,
        mean_ci95=mean_ci95,
        p50=_quantile(finite, total, 0.50),
        p95=_quantile(finite, total, 0.95),
        size=size,
        edges=tuple(shares),
        at_most=shares.__getitem__,
    )


def _quantile(finite: Sequence[tuple[float, float]], total: float, share: float) -> float | None:
    rank, below_edge, below = share * total, 0.0, 0.0
    for edge, count in finite:
        if count >= rank:
            inside = count - below
            place = (rank - below) / inside if inside else 1.0
            return below_edge + (edge - below_edge) * place
        below_edge, below = edge, count
    return None  # beyond the last finite edge: not known
