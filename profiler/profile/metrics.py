"""The metrics of one interaction and of one LLM call: name, unit, and on what they are taken.

Of which interactions:

- `succeeded`: what a user felt. Times of interactions that failed are left out, since a quick
  refusal must not improve an average; failures are counted in `sample.failed`.
- `measured`: what it cost. Calls, tokens, tools and state operations of every measured interaction
  that was observed, failed ones included: they were paid for.
- `failed`: only `latency_failed`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from profiler.profile.sample import Method, Unit

Population = Literal["measured", "succeeded", "failed"]

CALL_PREFERENCE = ("gateway", "otel", "response", "client")
TOOL_PREFERENCE = ("otel", "response")
STATE_PREFERENCE = ("otel", "response")
"""Which observer is believed, best first, where several saw a metric.

- LLM calls, attempts, their times and tokens: `CALL_PREFERENCE`. Nearest to the wire comes first: a
  gateway times and counts requests itself, OpenTelemetry spans are on the agent's own clock, a
  response block is what the agent says. `client` comes last: of calls and their tokens it knows
  only what the agent's answer reported.
- Tools and the agent's own time: `TOOL_PREFERENCE`. A gateway never: it does not see tools run.
  What it sees, from an answer that asks for tools to the request that brings their results, is
  reported as `tool_round_trips` and as nothing else.
- State per interaction: `STATE_PREFERENCE`, database spans before the agent's account. What the
  store itself counted is exact and of the whole run: `state.*.whole_run`, never per interaction.

One that saw less than half of what another saw is passed over (`preferred`).
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """What a metric is, and of which interactions (or calls) it is taken."""

    name: str
    unit: Unit
    method: Method
    population: Population
    meaning: str


def _metric(name: str, unit: Unit, method: Method, population: Population, meaning: str) -> Metric:
    return Metric(name=name, unit=unit, method=method, population=population, meaning=meaning)


INTERACTION_METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        _metric("latency", "s", "measured", "succeeded", "send to end"),
        _metric("latency_failed", "s", "measured", "failed", "send to end, of failures"),
        _metric(
            "scheduled_latency", "s", "measured", "succeeded", "intended start to end; open loop"
        ),
        _metric(
            "dispatch_delay", "s", "measured", "measured", "send minus intended start; open loop"
        ),
        _metric(
            "time_to_first_token",
            "s",
            "measured",
            "succeeded",
            "send to first content",
        ),
        _metric(
            "inter_token_latency",
            "s",
            "measured",
            "succeeded",
            "(last token - first token) / (counted output tokens - 1), of each interaction",
        ),
        _metric("own_time", "s", "measured", "succeeded", "latency outside LLM and tool calls"),
        _metric("llm_calls", "count", "measured", "measured", "LLM calls"),
        _metric("attempts", "count", "measured", "measured", "HTTP requests for the LLM calls"),
        _metric("llm_time", "s", "measured", "succeeded", "durations of the LLM calls, added"),
        _metric("tool_calls", "count", "measured", "measured", "tool executions"),
        _metric("tool_time", "s", "measured", "succeeded", "durations of the tools, added"),
        _metric("input_tokens", "tokens", "reported", "measured", "input, cached part included"),
        _metric("output_tokens", "tokens", "reported", "measured", "output, reasoning included"),
        _metric("cached_input_tokens", "tokens", "reported", "measured", "input read from a cache"),
        _metric("reasoning_tokens", "tokens", "reported", "measured", "output not shown"),
        _metric("cache_write_tokens", "tokens", "reported", "measured", "input put into a cache"),
        _metric("counted_input_tokens", "tokens", "counted", "measured", "sum of the parts below"),
        _metric("system_tokens", "tokens", "counted", "measured", "system messages"),
        _metric("tool_schema_tokens", "tokens", "counted", "measured", "tool schemas"),
        _metric("history_tokens", "tokens", "counted", "measured", "earlier conversation"),
        _metric("user_tokens", "tokens", "counted", "measured", "last user message"),
        _metric("tool_result_tokens", "tokens", "counted", "measured", "tool results since it"),
        _metric("overhead_tokens", "tokens", "counted", "measured", "priming of the reply"),
        _metric("client_user_tokens", "tokens", "counted", "measured", "text that was sent"),
        _metric("client_history_tokens", "tokens", "counted", "measured", "visible conversation"),
        _metric("client_output_tokens", "tokens", "counted", "measured", "text of the reply"),
        _metric("state_reads", "count", "measured", "measured", "reads, all stores"),
        _metric("state_writes", "count", "measured", "measured", "writes, all stores"),
    )
}

TOKEN_PARTS = {
    "system_tokens": "system",
    "tool_schema_tokens": "tool_schemas",
    "history_tokens": "history",
    "user_tokens": "user",
    "tool_result_tokens": "tool_results",
    "overhead_tokens": "overhead",
}
"""Interaction metric: field of `TokenParts`."""

USAGE = (
    *("input_tokens", "output_tokens", "cached_input_tokens", "reasoning_tokens"),
    "cache_write_tokens",
)

CALL_METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        _metric(
            "latency", "s", "measured", "succeeded", "start of the first attempt to end of the last"
        ),
        _metric(
            "time_to_first_token",
            "s",
            "measured",
            "succeeded",
            "start of the first attempt to first token",
        ),
        _metric(
            "output_tokens_per_second",
            "tokens/s",
            "reported",
            "succeeded",
            "output tokens / time of the last attempt, the wait for the first token included",
        ),
        _metric("attempts", "count", "measured", "measured", "HTTP requests for one call"),
        _metric(
            "retry_time",
            "s",
            "measured",
            "succeeded",
            "start of the first attempt to start of the last: failed attempts and waits between",
        ),
        _metric("input_tokens", "tokens", "reported", "succeeded", "input"),
        _metric("output_tokens", "tokens", "reported", "succeeded", "output"),
        _metric("cached_input_tokens", "tokens", "reported", "succeeded", "input read from cache"),
        _metric("reasoning_tokens", "tokens", "reported", "succeeded", "output not shown"),
        _metric("cache_write_tokens", "tokens", "reported", "succeeded", "input put into a cache"),
    )
}

LATENCY_FAILED = "latency_failed"
STATE_METRICS = frozenset({"state_reads", "state_writes"})
TOOL_METRICS = frozenset({"tool_calls", "tool_time", "own_time"})


def preferred(counts: dict[str, int], preference: tuple[str, ...]) -> str:
    """Choose the observer to believe, from how many values each observed.

    The first in the order of preference that saw at least half as much as the one that saw most.
    `counts` must not be empty; an observer outside the order comes after it, by name.
    """
    most = max(counts.values())
    enough = [observer for observer, count in counts.items() if 2 * count >= most]
    rank = {observer: place for place, observer in enumerate(preference)}
    return min(enough, key=lambda observer: (rank.get(observer, len(rank)), observer))


def preference_for(metric: str) -> tuple[str, ...]:
    """Return the order in which observers of an interaction metric are believed."""
    if metric in STATE_METRICS:
        return STATE_PREFERENCE
    return TOOL_PREFERENCE if metric in TOOL_METRICS else CALL_PREFERENCE
