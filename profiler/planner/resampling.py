"""The profile's own uncertainty, carried into a plan: its sessions drawn again.

Interactions of a session depend on each other, so whole sessions are drawn with replacement (the
cluster bootstrap: Davison and Hinkley, Bootstrap Methods and their Application, 1997, section 3.8),
one fewer than there are: the variance between draws is then the estimator's, without bias (Rao and
Wu, Resampling inference with complex survey data, JASA 83, 1988, section 2).
Every average of a plan is a ratio of sums over interactions, so the sums of each session are all
that a draw has to look at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from profiler.planner.estimates import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSums:
    """Sums over the sampled interactions of each session: one row a session, one column a name."""

    names: tuple[str, ...]
    sums: Floats

    def drawn(self, rng: np.random.Generator) -> dict[str, float]:
        """Return the totals of sessions drawn again. One session alone tells of no variance."""
        count = len(self.sums)
        if count < 2:  # noqa: PLR2004 - one that is left out of two
            return self.totals()
        times = np.bincount(rng.integers(0, count, count - 1), minlength=count)
        return self._named(times * (count / (count - 1)) @ self.sums)

    def totals(self) -> dict[str, float]:
        """Return the totals of the sample as it is."""
        return self._named(self.sums.sum(axis=0))

    def _named(self, totals: Floats) -> dict[str, float]:
        return dict(zip(self.names, totals.tolist(), strict=True))


def session_sums(session: npt.NDArray[np.int64], columns: Mapping[str, Floats]) -> SessionSums:
    """Sum columns (one entry an interaction) by session. Sessions are numbered from 0 on.

    A session that has no interaction in the sample is a row of zeros: it may be drawn, too, only
    where numbers were skipped, so number them densely.
    """
    count = int(session.max()) + 1 if len(session) else 0
    sums = [np.bincount(session, weights=values, minlength=count) for values in columns.values()]
    stacked = np.stack(sums, axis=1) if sums else np.zeros((count, 0))
    return SessionSums(names=tuple(columns), sums=stacked)
