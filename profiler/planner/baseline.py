"""What a plan keeps of the profile it was made of: what a review holds reality against.

Distributions whole, so that a share beyond any value can be told later, and the averages that the
plan's arithmetic multiplies by, so that the plan can be computed again without the profile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from profiler.planner.behaviour import Behaviour, ModelUse
from profiler.planner.inputs import likely, numbers_of, ranges_of
from profiler.planner.mean_price import RATES, rates, usd_of_means
from profiler.planner.workers import cv2
from profiler.profile.distribution import Distribution, Strict
from profiler.profile.model import named_distributions

if TYPE_CHECKING:
    from datetime import date

    from profiler.planner.agent import Agent
    from profiler.planner.bill import Bill
    from profiler.planner.evaluate import Setting
    from profiler.planner.measured import Measured

_SECTIONS = ("interaction", "llm_call", "tools", "session")


class ModelBaseline(Strict):
    """One model's part in an interaction. Tokens are per LLM call."""

    calls_per_interaction: float
    attempts_per_call: float
    input_tokens: float = Field(description="all of it, what was read from the cache included")
    cached_input_tokens: float
    output_tokens: float = Field(description="reasoning included")
    latency_s: float | None = Field(description="mean of a call, seconds; null: not observed")
    provider: str | None = Field(description="whose limits and prices")


class Baseline(Strict):
    """The profile behind a plan: its distributions, and the averages that the plan computes with.

    Amounts of money are exact US dollars, as decimal numbers in text.
    """

    digests: dict[str, str] = Field(description="digests of the workload and of its data")
    metrics: dict[str, Distribution] = Field(description="by path, like interaction.latency")
    models: dict[str, ModelBaseline] = Field(description="by measured model")
    latency_s: float = Field(description="mean time of an interaction, seconds")
    service_cv2: float = Field(description="its squared coefficient of variation")
    state_reads: float | None = Field(description="per interaction; null: not observed")
    state_writes: float | None = Field(description="per interaction; null: not observed")
    session_interactions: float
    reply_tokens: float = Field(description="text of an answer: what leaves the network")
    database_share: float = Field(description="of the state operations: not in a cache")
    burstiness: float = Field(description="index of dispersion of arrivals that was planned for")
    usd_per_interaction: str = Field(description="of the models, each sampled call priced")
    usd_of_means: str = Field(description="the same, all calls having their model's mean tokens")
    prices: dict[str, dict[str, str]] = Field(
        description=f"by serving model: US dollars per million tokens: {', '.join(RATES)}"
    )


def baseline_of(
    measured: Measured, agent: Agent, bill: Bill, setting: Setting, at: date
) -> Baseline:
    """Return what a plan keeps. `at` is the day whose prices it was made with."""
    behaviour, demand = agent.behaviour, setting.demand
    profile = measured.profile
    return Baseline(
        digests=profile.run.digests,
        metrics={
            path: found
            for path, found in named_distributions(profile)
            if path.partition(".")[0] in _SECTIONS
        },
        models={
            name: ModelBaseline(
                calls_per_interaction=use.calls_per_interaction,
                attempts_per_call=use.attempts_per_call,
                input_tokens=use.input_tokens,
                cached_input_tokens=use.cached_input_tokens,
                output_tokens=use.output_tokens,
                latency_s=setting.call_latency_s.get(name),
                provider=setting.providers.get(name),
            )
            for name, use in behaviour.models.items()
        },
        latency_s=behaviour.latency_s,
        service_cv2=cv2(agent.service_times_s),
        state_reads=behaviour.state_reads,
        state_writes=behaviour.state_writes,
        session_interactions=behaviour.session_interactions,
        reply_tokens=setting.reply_tokens,
        database_share=setting.database_share,
        burstiness=numbers_of(ranges_of(demand), likely)["traffic.burstiness"],
        usd_per_interaction=f"{bill.usd_per_interaction:f}",
        usd_of_means=f"{usd_of_means(behaviour.models, demand, at).usd_per_interaction:f}",
        prices=rates(bill.exact.tariffs),
    )


def behaviour_of(baseline: Baseline) -> Behaviour:
    """Return the averages that the plan was computed with."""
    return Behaviour(
        models={
            name: ModelUse(
                calls_per_interaction=model.calls_per_interaction,
                attempts_per_call=model.attempts_per_call,
                input_tokens=model.input_tokens,
                cached_input_tokens=model.cached_input_tokens,
                output_tokens=model.output_tokens,
            )
            for name, model in baseline.models.items()
        },
        latency_s=baseline.latency_s,
        state_reads=baseline.state_reads,
        state_writes=baseline.state_writes,
        session_interactions=baseline.session_interactions,
    )
