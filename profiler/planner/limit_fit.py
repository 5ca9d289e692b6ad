"""Each provider limit against the mean demand: how full, how many users, how many calls fit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from profiler.planner.demand import LIMIT_KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from profiler.planner.arithmetic import ModelLoad, PeakLoad
    from profiler.planner.demand import Demand, Limits
    from profiler.planner.inputs import Numbers

CONCURRENT = "concurrent_requests"
_ROUNDING = 1e-9
_INPUT, _OUTPUT = "input_tokens_per_minute", "output_tokens_per_minute"


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitFit:
    """One limit of one model at the peak. `demand` and `allowed` in the limit's own unit.

    `max_users` is the most concurrent users that the limit admits on average, `within_headroom`
    those for whom the stated share of it is enough. `calls_that_fit` is the largest number of LLM
    calls per interaction, all models together, that the users could have.
    """

    model: str
    limit: str
    demand: float
    allowed: float
    utilization: float
    excess: float
    max_users: int
    max_users_within_headroom: int
    calls_that_fit: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Counting:
    """How a provider counts a request's tokens against its limits."""

    cached_input_counts: bool
    output_debit_tokens: int | None
    """`max_tokens` where that is debited; None: what is generated."""
    source: str


def counting(limits: Limits, provider: str | None) -> Counting:
    """Return how tokens are counted: as the demand says, else as the provider's documents do.

    Anthropic: tokens read from the cache do not count against input limits, and output is debited
    from `max_tokens` when the request starts (docs.anthropic.com, API > Rate limits); where the
    demand does not say what `max_tokens` is, what is generated is counted, and `source` says so.
    OpenAI: cached tokens count like others, and a request is debited the larger of its
    `max_tokens` and an estimate (platform.openai.com, Rate limits).
    """
    is_anthropic = provider == "anthropic"
    cached = limits.cached_input_counts
    if cached is None:
        cached = not is_anthropic
    by_request = limits.output_counted == "max_tokens" or (
        limits.output_counted is None and is_anthropic and limits.max_tokens is not None
    )
    stated = limits.cached_input_counts is not None or limits.output_counted is not None
    source = "the demand" if stated else (provider or "no provider is known: all tokens count")
    return Counting(
        cached_input_counts=cached,
        output_debit_tokens=limits.max_tokens if by_request else None,
        source=source,
    )


def demand_of(kind: str, load: ModelLoad, how: Counting) -> float:
    """Return what a model's load asks of a limit per minute, counted as the provider does."""
    inputs = load.input_tokens_per_minute
    if not how.cached_input_counts:
        inputs -= load.cached_input_tokens_per_minute
    outputs = load.output_tokens_per_minute
    if how.output_debit_tokens is not None:
        outputs = load.attempts_per_minute * how.output_debit_tokens
    if kind == _INPUT:
        return inputs
    if kind == _OUTPUT:
        return outputs
    return load.attempts_per_minute if kind == LIMIT_KINDS[0] else inputs + outputs


def fit(
    limit: tuple[str, str], demand: float, allowed: float, headroom: float, peak: PeakLoad
) -> LimitFit:
    """Compare a limit (model and kind) with the demand on it, both more than zero."""
    users_per_unit = peak.users / demand
    return LimitFit(
        model=limit[0],
        limit=limit[1],
        demand=demand,
        allowed=allowed,
        utilization=demand / allowed,
        excess=max(0.0, demand - allowed),
        max_users=_whole(allowed * users_per_unit),
        max_users_within_headroom=_whole(allowed * headroom * users_per_unit),
        calls_that_fit=peak.llm_calls_per_interaction * allowed / demand,
    )


def _whole(value: float) -> int:
    """Return the whole part; a hair below a whole number is that number: 374.999999999 is 375."""
    return math.floor(value * (1 + _ROUNDING) + _ROUNDING)


def fits(
    demand: Demand,
    numbers: Numbers,
    peak: PeakLoad,
    *,
    providers: Mapping[str, str | None],
    latency_s: Mapping[str, float],
) -> list[LimitFit]:
    """Return every limit of every model that has calls, in the demand's order.

    `latency_s` is the mean latency of a model's call: calls in flight are rate x latency (Little).
    """
    found = []
    for name, model in demand.models.items():
        load = peak.models.get(name)
        if model.limits is None or load is None:
            continue
        how = counting(model.limits, providers.get(name))
        for kind in LIMIT_KINDS:
            allowed = numbers.get(f"models.{name}.limits.{kind}")
            asked = demand_of(kind, load, how)
            if allowed is not None and asked > 0:
                found.append(fit((name, kind), asked, allowed, numbers["headroom"], peak))
        most = model.limits.concurrent_requests
        if most is not None and name in latency_s:
            in_flight = load.attempts_per_minute / 60.0 * latency_s[name]
            limit = (name, CONCURRENT)
            found.append(fit(limit, in_flight, float(most), numbers["headroom"], peak))
    return found


def binding(found: Iterable[LimitFit]) -> LimitFit | None:
    """Return the limit that is fullest: the first to be reached as users grow. None without any."""
    return max(found, key=lambda each: each.utilization, default=None)
