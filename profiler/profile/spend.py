"""What a run will cost, as far as a profile of an earlier one and given prices tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from profiler.profile.model import WorkloadProfile

_PER_MILLION = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """US dollars per million tokens, one pair for all models; cached input is not told apart."""

    input_usd: float
    output_usd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Spend:
    """Dollars of a run: at the profile's means, and at both ends of their 95 % intervals.

    `interval_usd` is None where a mean has no interval. `coverage` is the share of the profile's
    interactions whose tokens were observed, the lower of input and output.
    """

    usd: float
    interval_usd: tuple[float, float] | None
    input_tokens: float
    output_tokens: float
    coverage: float


def spend_of(profile: WorkloadProfile, interactions: int, prices: Prices) -> Spend | None:
    """Return what so many interactions cost if they take the profile's tokens on average.

    None where the profile has no input or no output tokens: nobody observed them.
    """
    inputs = profile.interaction.get("input_tokens")
    outputs = profile.interaction.get("output_tokens")
    if inputs is None or outputs is None:
        return None
    interval = None
    if inputs.mean_ci95 is not None and outputs.mean_ci95 is not None:
        pairs = zip(inputs.mean_ci95, outputs.mean_ci95, strict=True)
        low, high = (_usd(max(0.0, i), max(0.0, o), interactions, prices) for i, o in pairs)
        interval = low, high
    return Spend(
        usd=_usd(inputs.mean, outputs.mean, interactions, prices),
        interval_usd=interval,
        input_tokens=inputs.mean,
        output_tokens=outputs.mean,
        coverage=min(inputs.coverage, outputs.coverage),
    )


def _usd(inputs: float, outputs: float, interactions: int, prices: Prices) -> float:
    per_interaction = inputs * prices.input_usd + outputs * prices.output_usd
    return interactions * per_interaction / _PER_MILLION
