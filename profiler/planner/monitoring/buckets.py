"""Where the buckets of each histogram have to end for the thresholds of a plan.

A classic histogram knows how many values are below its boundaries, and interpolates between them.
With a boundary at the threshold itself, whether the p95 is above it is a matter of counting: it is
if more than 5 % of the values are. Without, a bucket twice as wide as it begins may say so by
interpolation alone. A share of answers within what was promised cannot be told at all without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from profiler.planner.monitoring.instruments import INSTRUMENTS

if TYPE_CHECKING:
    from profiler.planner.plan import Plan
    from profiler.planner.triggers import Trigger

_BEYOND = (2.0, 4.0)
"""Times the highest threshold: two buckets beyond it, so that an alert's value says how far."""


def buckets(plan: Plan) -> dict[str, tuple[float, ...]]:
    """Return the boundaries of each histogram, by Prometheus name, rising."""
    return {
        name: _with(instrument.boundaries, [t for t in plan.triggers if t.metric == name])
        for name, instrument in INSTRUMENTS.items()
        if instrument.kind == "histogram"
    }


def _with(usual: tuple[float, ...], triggers: list[Trigger]) -> tuple[float, ...]:
    exact = [each.threshold for each in triggers if "histogram_quantile" in each.expression]
    highest = max(exact, default=0.0)
    beyond = [highest * factor for factor in _BEYOND if highest * factor > usual[-1]]
    rounded = (float(f"{value:.3g}") for value in beyond)
    return tuple(sorted({*usual, *exact, *rounded}))


def boundary_text(boundary: float) -> str:
    """Return a boundary as the label `le` has it."""
    return f"{boundary:.12g}"
