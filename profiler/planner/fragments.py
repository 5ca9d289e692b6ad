"""What of an interaction's calls falls into one window: the unit in which limits are hit.

Calls do not come one by one: an interaction makes several in a row, so a window that gets one of
them often gets its siblings too. Interactions that arrive at random form a Poisson cluster
process; what one of them puts into one window is a *fragment*, and the fragments of a window are
again Poisson in number and independent in size (Daley and Vere-Jones, An Introduction to the
Theory of Point Processes, vol. I, 2nd ed., section 6.3). So a window's sum is compound Poisson,
with no assumption about how calls follow each other but the measured sample's own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

PHASES = 4
"""Random places of the windows' edges, for each sampled interaction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fragments:
    """Sizes of fragments: `amounts[k]` per limit k, one entry a fragment.

    `per_interaction` is the mean number of windows that an interaction's calls touch.
    """

    per_interaction: float
    amounts: dict[str, Floats]


def fragments(
    *,
    interaction: npt.NDArray[np.int64],
    start_s: Floats,
    amounts: dict[str, Floats],
    interactions: int,
    window_s: float,
    rng: np.random.Generator,
) -> Fragments:
    """Cut sampled interactions by windows of `window_s` whose edges lie at random.

    One entry per call: the number of its `interaction`, when it started after that one's start,
    and what it takes of each limit. `interactions` counts those without any call too.
    """
    calls = len(interaction)
    if calls == 0 or interactions == 0:
        return Fragments(per_interaction=0.0, amounts={name: np.empty(0) for name in amounts})
    phase = rng.random((PHASES, interactions))
    window = np.floor(start_s[None, :] / window_s + phase[:, interaction]).astype(np.int64)
    # Each (phase, interaction, window) is one fragment.
    owner = np.arange(PHASES)[:, None] * interactions + interaction[None, :]
    window -= window.min()
    _, place = np.unique(owner * (window.max() + 1) + window, return_inverse=True)
    place = place.ravel()
    count = int(place.max()) + 1
    summed = {
        name: np.bincount(place, weights=np.tile(values, PHASES), minlength=count).astype(float)
        for name, values in amounts.items()
    }
    return Fragments(per_interaction=count / (PHASES * interactions), amounts=summed)
