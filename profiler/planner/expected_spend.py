"""What interactions like a profile's cost at list prices: a first look, before there is a plan.

At the mean tokens of each model's calls, as a profile's summary has them: a call beyond a tier's
start is not seen, which `profiler.planner.api_cost` is for.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from profiler.planner.prices import data_version, exactly, list_tariff
from profiler.planner.tariffs import PER_MILLION

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from profiler.profile.distribution import Distribution
    from profiler.profile.model import WorkloadProfile


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedSpend:
    """Dollars at list prices. `models` are (name, provider whose price it is), by name.

    `coverage` is the lowest share of a model's calls whose tokens were observed.
    """

    usd: Decimal
    models: tuple[tuple[str, str | None], ...]
    coverage: float
    source: str


def listed_spend(profile: WorkloadProfile, interactions: int, *, at: date) -> ListedSpend | None:
    """Return what so many interactions cost if their calls are the profile's on average.

    None where the calls of a model have no tokens, or there are no calls by model. Raises
    PlanError for a model without a list price.
    """
    if not profile.models or profile.sample.interactions == 0:
        return None
    total, coverage, models = Decimal(0), 1.0, []
    for name, metrics in sorted(profile.models.items()):
        inputs, outputs = metrics.get("input_tokens"), metrics.get("output_tokens")
        if inputs is None or outputs is None:
            return None
        tariff = list_tariff(name, at=at)
        models.append((name, tariff.provider))
        coverage = min(coverage, inputs.coverage, outputs.coverage)
        length = round(inputs.mean)
        read = min(_mean(metrics, "cached_input_tokens"), exactly(inputs.mean))
        written = min(_mean(metrics, "cache_write_tokens"), exactly(inputs.mean) - read)
        per_call = (
            (exactly(inputs.mean) - read - written) * tariff.input.at(length)
            + read * tariff.cached_input.at(length)
            + written * tariff.cache_write.at(length)
        ) / PER_MILLION + tariff.request_usd
        if tariff.output is not None:
            per_call += exactly(outputs.mean) * tariff.output.at(length) / PER_MILLION
        calls = inputs.eligible  # those that succeeded, their tokens seen or not
        total += per_call * calls / profile.sample.interactions
    return ListedSpend(
        usd=total * interactions,
        models=tuple(models),
        coverage=coverage,
        source=data_version(),
    )


def _mean(metrics: Mapping[str, Distribution], name: str) -> Decimal:
    found = metrics.get(name)
    return exactly(found.mean) if found is not None else Decimal(0)
