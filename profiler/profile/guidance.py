"""What to do for numbers that a profile lacks: how many interactions, and who would see them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from profiler.profile.distribution import MEAN_TOLERANCE, P95_TOLERANCE
from profiler.profile.metrics import STATE_METRICS, TOKEN_PARTS, TOOL_METRICS

if TYPE_CHECKING:
    from profiler.profile.distribution import Distribution
    from profiler.profile.model import WorkloadProfile

_KEY_MEANS = ("latency", "llm_calls", "input_tokens")
_FEWEST_FOR_P95 = 72
_ROUND_TO_DIGITS = 2

_STREAMING = "stream: true in the workload, if the agent can"
_CALLS = "--gateway (every LLM call), --otlp (spans), or a trace block in the agent's response"
_TOOLS = "--otlp (spans), or a trace block in the agent's response"
_PARTS = "--gateway, or a trace block in the agent's response"
_STORES = "--otlp (database spans), --state (whole run), or a trace block in the agent's response"
_GATEWAY = "--gateway (every LLM call)"
_OPEN_LOOP = "--rate, which gives every interaction an intended start"
_SUCCESS = "a run in which interactions succeed"
_FAILURE = "a run in which interactions fail"
_SESSIONS = "a run whose sessions come to their last turn"
_PAUSES = "a workload with think_time and sessions of several turns"

_OF_CLIENT = {
    "latency": _SUCCESS,
    "latency_failed": _FAILURE,
    "scheduled_latency": _OPEN_LOOP,
    "dispatch_delay": _OPEN_LOOP,
    "time_to_first_token": _STREAMING,
    "inter_token_latency": _STREAMING,
    "client_user_tokens": _SUCCESS,
    "client_history_tokens": _SUCCESS,
    "client_output_tokens": _SUCCESS,
}


def shown_by(metric: str) -> str:
    """Say what would show a metric that nobody observed, given by its path in the profile.

    Paths are those of `named_distributions`, such as `interaction.input_tokens`.
    """
    section, _, name = metric.partition(".")
    match section:
        case "tools":
            return _TOOLS
        case "tool_round_trips":
            return _GATEWAY
        case "state":
            return _STORES
        case "session":
            return _PAUSES if name == "think_time" else _SESSIONS
        case "interaction":
            return _shown_of_interaction(name)
        case _:
            return _CALLS


def _shown_of_interaction(name: str) -> str:
    if name in STATE_METRICS:
        return _STORES
    if name in TOOL_METRICS:
        return _TOOLS
    if name in TOKEN_PARTS or name == "counted_input_tokens":
        return _PARTS
    return _OF_CLIENT.get(name, _CALLS)


def interactions_needed(profile: WorkloadProfile) -> int | None:
    """Return about how many interactions would make the key numbers stable, rounded up.

    These are the means of latency, LLM calls and input tokens, and the p95 of latency. None if it
    cannot be told: nothing succeeded, or one session only. The number measured if all are stable.
    """
    measured = profile.sample.interactions
    latency = profile.interaction.get("latency")
    if latency is None or latency.mean_ci95 is None:
        return None
    metrics = profile.interaction
    means = [_mean_factor(metrics[name]) for name in _KEY_MEANS if name in metrics]
    factor = max(_p95_factor(latency), *means)
    if math.isinf(factor):
        return None
    return measured if factor <= 1 else _round_up(measured * factor)


def _mean_factor(distribution: Distribution) -> float:
    """Return how many times the sample must be had for the mean to be stable.

    An interval narrows with the square root of the sample: a width divided by r takes r^2 as much.
    """
    if distribution.stable.mean:
        return 0.0
    return _factor(distribution.mean, distribution.mean_ci95, MEAN_TOLERANCE)


def _p95_factor(distribution: Distribution) -> float:
    if distribution.p95_ci95 is None:
        # Values of one session being alike, at least 72; more cannot be told.
        return max(1.01, _FEWEST_FOR_P95 / distribution.count)
    if distribution.stable.p95:
        return 0.0
    return _factor(distribution.p95, distribution.p95_ci95, P95_TOLERANCE)


def _factor(center: float | None, interval: tuple[float, float] | None, tolerance: float) -> float:
    if interval is None or not center:
        return math.inf
    return ((interval[1] - interval[0]) / 2 / (tolerance * abs(center))) ** 2


def _round_up(number: float) -> int:
    """Round up to two digits: it is an estimate."""
    step: int = 10 ** max(0, math.floor(math.log10(number)) - _ROUND_TO_DIGITS + 1)
    return math.ceil(number / step) * step
