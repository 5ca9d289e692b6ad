"""Demand arithmetic: users, interactions, LLM calls, tokens, each per minute at the peak."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from profiler.planner.behaviour import ModelUse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from profiler.planner.behaviour import Behaviour
    from profiler.planner.demand import Demand
    from profiler.planner.inputs import Numbers

_MINUTE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelLoad:
    """What one model has to serve per minute at the peak. Tokens are those of all attempts.

    A rejected attempt has taken no tokens; the measured attempts that failed are counted as whole
    requests, since it is not known how far they came.
    """

    calls_per_minute: float
    attempts_per_minute: float
    input_tokens_per_minute: float
    cached_input_tokens_per_minute: float
    output_tokens_per_minute: float

    @property
    def tokens_per_minute(self) -> float:
        """Input and output together."""
        return self.input_tokens_per_minute + self.output_tokens_per_minute


@dataclass(frozen=True, slots=True, kw_only=True)
class PeakLoad:
    """What users ask for per minute at the peak, and what comes of it. `users` are concurrent."""

    users: float
    interactions_per_user_minute: float
    interactions_per_minute: float
    llm_calls_per_interaction: float
    llm_calls_per_minute: float
    attempts_per_minute: float
    models: Mapping[str, ModelLoad]

    @property
    def input_tokens_per_minute(self) -> float:
        """Of all models."""
        return sum(load.input_tokens_per_minute for load in self.models.values())

    @property
    def output_tokens_per_minute(self) -> float:
        """Of all models."""
        return sum(load.output_tokens_per_minute for load in self.models.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """What a month brings."""

    interactions: float
    sessions: float
    llm_calls: float
    active_users: float | None


def pace_per_minute(numbers: Numbers, latency_s: float) -> float:
    """Return the interactions that one user has per minute.

    In a closed loop a user waits for the answer, thinks, and goes on: 60 / (latency + think time),
    the mean of a cycle being the sum of its parts' means.
    """
    given = numbers.get("users.interactions_per_minute")
    if given is not None:
        return given
    return _MINUTE_S / (latency_s + numbers["users.think_time"])


def served_by(
    demand: Demand, numbers: Numbers, measured: Mapping[str, ModelUse]
) -> dict[str, ModelUse]:
    """Return who serves the calls: the measured models, with `replaces` of the demand applied.

    A model that takes calls of several has their tokens per call, weighted by calls.
    """
    kept = dict.fromkeys(measured, 1.0)
    parts: dict[str, list[ModelUse]] = {}
    for name, model in demand.models.items():
        for replaced in model.replaces:
            if replaced not in measured:
                continue
            share = numbers[f"models.{name}.replaces.{replaced}"]
            kept[replaced] -= share
            parts.setdefault(name, []).append(_share_of(measured[replaced], share))
    for name, use in measured.items():
        parts.setdefault(name, []).append(_share_of(use, max(0.0, kept[name])))
    served = {name: _together(uses) for name, uses in parts.items()}
    return {name: use for name, use in served.items() if use.calls_per_interaction > 0}


def _share_of(use: ModelUse, share: float) -> ModelUse:
    return replace(use, calls_per_interaction=use.calls_per_interaction * share)


def _together(uses: list[ModelUse]) -> ModelUse:
    calls = sum(use.calls_per_interaction for use in uses)
    if len(uses) == 1 or calls == 0:
        return replace(uses[0], calls_per_interaction=calls)

    def mean(values: list[float]) -> float:
        weighted = zip(values, uses, strict=True)
        return sum(value * use.calls_per_interaction for value, use in weighted) / calls

    return ModelUse(
        calls_per_interaction=calls,
        attempts_per_call=mean([use.attempts_per_call for use in uses]),
        input_tokens=mean([use.input_tokens for use in uses]),
        cached_input_tokens=mean([use.cached_input_tokens for use in uses]),
        output_tokens=mean([use.output_tokens for use in uses]),
    )


def peak_load(demand: Demand, numbers: Numbers, behaviour: Behaviour, factor: float) -> PeakLoad:
    """Return the peak of `factor` times the users: arithmetic of means, no queue, no chance."""
    users = numbers["users.peak_concurrent"] * factor
    pace = pace_per_minute(numbers, behaviour.latency_s)
    interactions = users * pace
    served = served_by(demand, numbers, behaviour.models)
    models = {name: _model_load(use, interactions) for name, use in served.items()}
    return PeakLoad(
        users=users,
        interactions_per_user_minute=pace,
        interactions_per_minute=interactions,
        llm_calls_per_interaction=behaviour.llm_calls,
        llm_calls_per_minute=sum(load.calls_per_minute for load in models.values()),
        attempts_per_minute=sum(load.attempts_per_minute for load in models.values()),
        models=models,
    )


def _model_load(use: ModelUse, interactions_per_minute: float) -> ModelLoad:
    calls = interactions_per_minute * use.calls_per_interaction
    attempts = calls * use.attempts_per_call
    return ModelLoad(
        calls_per_minute=calls,
        attempts_per_minute=attempts,
        input_tokens_per_minute=attempts * use.input_tokens,
        cached_input_tokens_per_minute=attempts * use.cached_input_tokens,
        output_tokens_per_minute=attempts * use.output_tokens,
    )


def monthly_volume(numbers: Numbers, behaviour: Behaviour, peak: PeakLoad, factor: float) -> Volume:
    """Return a month's interactions: of the day's where they are given, else of the peak.

    interactions / day = peak rate / (peak to average) x 60 x hours in which the agent is used.
    """
    per_day = numbers.get("traffic.interactions_per_day")
    if per_day is not None:
        per_day *= factor
    else:
        mean_rate = peak.interactions_per_minute / numbers["traffic.peak_to_average"]
        per_day = mean_rate * 60.0 * numbers["traffic.hours_per_day"]
    month = per_day * numbers["traffic.days_per_month"]
    active = numbers.get("users.monthly_active")
    return Volume(
        interactions=month,
        sessions=month / session_interactions(numbers, behaviour),
        llm_calls=month * behaviour.llm_calls,
        active_users=None if active is None else active * factor,
    )


def session_interactions(numbers: Numbers, behaviour: Behaviour) -> float:
    """Return the interactions of a session: as the demand says, else as measured."""
    given = numbers.get("users.session_interactions")
    return behaviour.session_interactions if given is None else given
