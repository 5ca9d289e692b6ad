"""Confidence intervals of shares: how many of the interactions failed, or were good.

Sources:

- Clopper and Pearson, "The use of confidence or fiducial limits illustrated in the case of the
  binomial", *Biometrika* 26 (1934): the exact interval, as quantiles of beta distributions.
- Korn and Graubard, *Survey Methodology* 24 (1998): the same for clustered values, with as many as
  the sample is worth (`statistics.effective_size`).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from profiler.profile.quantiles import beta_quantile
from profiler.profile.statistics import CONFIDENCE, effective_size

if TYPE_CHECKING:
    from profiler.profile.statistics import ClusterSums

_TAIL = (1 - CONFIDENCE) / 2


def share_interval(hits: float, trials: float) -> tuple[float, float] | None:
    """Return the Clopper-Pearson 95 % interval of a share; None without a trial.

    Neither number has to be whole: with `effective_size` they are not.
    """
    if trials <= 0:
        return None
    misses = trials - hits
    lower = 0.0 if hits <= 0 else beta_quantile(hits, misses + 1, _TAIL)
    upper = 1.0 if misses <= 0 else beta_quantile(hits + 1, misses, 1 - _TAIL)
    return lower, upper


def clustered_share_interval(hits: ClusterSums) -> tuple[float, float] | None:
    """Return the 95 % interval of a share of values that come in sessions; None for one session.

    `hits` holds, for each session, how many of its values count (Korn and Graubard).
    """
    worth = effective_size(hits)
    return share_interval(worth * hits.sum_s / hits.sum_n, worth) if worth else None


def fewest_trials(share: float) -> int:
    """Return from how many trials on, none of them a hit, a share is shown to be below `share`.

    The Clopper-Pearson upper limit of no hits in n is 1 - 0.025^(1/n): 1 % takes 368 trials.
    """
    return math.floor(math.log(_TAIL) / math.log1p(-share)) + 1
