"""How many observations tell a change from chance: the fewest behind an alert's value.

An alert on a mean or a p95 looks at the observations of a window. With too few of them, the
measured agent itself would be beyond the threshold now and then. The fewest are as many as make
that rarer than one look in a thousand, by the profile's own spread. Interactions of a session are
alike, in production as in the profile: the number is multiplied by the design effect (Kish, *Survey
Sampling* (1965), section 5.4).
"""

from __future__ import annotations

import math
from bisect import bisect_left
from statistics import NormalDist
from typing import TYPE_CHECKING

from profiler.profile.quantiles import binomial_cdf, student_t_quantile
from profiler.profile.sample import SCALES, sample_of_distribution
from profiler.profile.statistics import ClusterSums, design_effect

if TYPE_CHECKING:
    from profiler.profile.distribution import Distribution

RARE = 0.001
"""How likely one look may be beyond the threshold while nothing has changed."""
_ABOVE_P95 = 20
"""One of 20 observations is above the p95."""
_MOST = 100_000
_LEAST_FOR_A_MEAN = 30
"""From here on a mean is taken for normal, whatever its observations are."""
_CONFIDENCE = 0.975


def fewest_for_mean(found: Distribution, threshold: float) -> int | None:
    """Return how many observations a mean above `threshold` needs; None if more than 100,000."""
    if found.stddev is None or threshold <= found.mean:
        return None
    z = NormalDist().inv_cdf(1 - RARE)
    alone = (z * found.stddev / (threshold - found.mean)) ** 2
    fewest = max(_LEAST_FOR_A_MEAN, math.ceil(_effect_on_mean(found) * alone))
    return fewest if fewest <= _MOST else None


def fewest_for_p95(found: Distribution, threshold: float) -> int | None:
    """Return how many observations a p95 above `threshold` needs; None if more than 100,000.

    The p95 of n is above it if more than n / 20 of them are, each of which is so with the share of
    the profile's values that are: (k + 1) / (n + 2) of k among n (Laplace: none may be luck).
    """
    histogram = sample_of_distribution(found).histogram
    within = histogram.at_or_below(threshold * SCALES[found.unit].per_unit)
    share = (histogram.count - within + 1) / (histogram.count + 2)
    if share >= 1 / _ABOVE_P95:
        return None

    def is_rare(above: int) -> bool:
        return 1 - binomial_cdf(above, above * _ABOVE_P95, share) <= RARE

    counts = range(1, _MOST // _ABOVE_P95)
    above = 1 + bisect_left(counts, True, key=is_rare)  # noqa: FBT003
    effect = design_effect(ClusterSums(**found.p95_clusters.model_dump()))
    fewest = math.ceil(effect * above * _ABOVE_P95)
    return fewest if fewest <= _MOST else None


def _effect_on_mean(found: Distribution) -> float:
    """Return by how much sessions inflate the variance of the mean; 1 where it cannot be told."""
    sessions = found.clusters.sessions
    if found.mean_ci95 is None or not found.stddev or sessions < 2:  # noqa: PLR2004 - of a variance
        return 1.0
    low, high = found.mean_ci95
    error = (high - low) / 2 / student_t_quantile(sessions - 1, _CONFIDENCE)
    return max(1.0, error**2 * found.count / found.stddev**2)
