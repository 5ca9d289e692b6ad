"""The traffic of an agent, as a gateway alone saw it: what it measured, as versioned JSON.

Nobody replays anything here, and there are no interactions: what was sampled is LLM calls. The
calls of one trace are taken as one cluster, a call without a trace id as a cluster of its own.
Where calls of one conversation bear no common trace id, intervals are therefore too narrow. Where a
`Distribution` speaks of sessions, these clusters are meant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import orjson
from pydantic import Field

from profiler.profile.distribution import Distribution, Strict
from profiler.profile.ledger import Ledger  # noqa: TC001 - pydantic reads it
from profiler.profile.observing import ObserverReport  # noqa: TC001 - as above
from profiler.profile.rate_limits import RateLimitInfo  # noqa: TC001 - as above

if TYPE_CHECKING:
    from profiler.measure.records import Run

TRAFFIC_SCHEMA_VERSION: Literal[1] = 1
TRAFFIC_MODE = "traffic"
"""What `load.mode` is in the journal of a gateway alone."""


def is_traffic(run: Run) -> bool:
    """Say whether a journal is that of a gateway alone, from its first record."""
    return run.load.get("mode") == TRAFFIC_MODE


class TrafficRun(Strict):
    """Where and when the gateway ran."""

    id: str = Field(description="the run's id")
    started_at: str = Field(description="when the gateway started: ISO 8601, UTC")
    tool_version: str = Field(description="version of agent-profiler that wrote the journal")
    argv: tuple[str, ...] = Field(description="the command that ran, redacted")
    upstream: str | None = Field(description="the provider's base URL, without user and query")
    encoding: str = Field(description="tokenizer of every token number that was counted")


class TokenSums(Strict):
    """Tokens of all calls together, as the provider reported them, those of failed ones too."""

    input_tokens: int | None = Field(description="cached part included; null: nobody reported any")
    output_tokens: int | None = Field(description="reasoning included; null as above")
    cached_input_tokens: int | None = Field(description="read from a cache; null as above")
    reasoning_tokens: int | None = Field(description="output not shown; null as above")
    cache_write_tokens: int | None = Field(
        default=None, description="input put into a cache; null as above"
    )
    unreported_calls: int = Field(
        description="calls that succeeded and have no input or no output tokens: in no sum here"
    )


class PerMinute(Strict):
    """How much of something a minute, on average and at most."""

    mean: float | None = Field(
        description="per minute, over duration_s; null where that is less than a minute"
    )
    busiest: int = Field(description="most in any 60 whole seconds")
    busiest_from: str | None = Field(
        description="when those began: ISO 8601, UTC; null where there was nothing"
    )


class Rates(Strict):
    """What rate limits are about. Everything counts in the second in which it was sent."""

    requests: PerMinute = Field(description="HTTP requests, retries included (RPM)")
    calls: PerMinute = Field(description="LLM calls, by their first request")
    input_tokens: PerMinute | None = Field(
        description="reported input tokens, by the last request; null: nobody reported any"
    )
    output_tokens: PerMinute | None = Field(description="reported output tokens; as above")
    tokens: PerMinute | None = Field(description="both together (TPM); null where either is")


class ModelTraffic(Strict):
    """The calls of one model."""

    calls: int = Field(description="LLM calls")
    failed: dict[str, int] = Field(description="those that failed, by outcome")
    tokens: TokenSums = Field(description="of them all together")
    per_minute: Rates = Field(description="as above, of this model")
    metrics: dict[str, Distribution] = Field(description="as llm_call, of this model")


class Traffic(Strict):
    """LLM calls of an agent under real traffic, measured, with their uncertainty."""

    schema_version: Literal[1] = Field(description="version of this format")
    kind: Literal["llm_traffic"] = Field(description="what this file is")
    run: TrafficRun = Field(description="where and when the gateway ran")
    partial: bool = Field(description="the gateway did not come to its intended end")
    partial_reasons: tuple[str, ...] = Field(description="why it is partial; empty when it is not")
    duration_s: float | None = Field(
        description="first call's start to last call's end, seconds; null: there was no call"
    )
    traces: int | None = Field(
        description="distinct trace ids, exact to 65,536 and estimated to 0.4 % beyond; null: none"
    )
    untraced_calls: int = Field(description="calls without a trace id")
    calls: int = Field(description="LLM calls")
    failed: dict[str, int] = Field(description="those that failed, by outcome")
    requests: int = Field(description="HTTP requests for them")
    retried_calls: int = Field(description="calls that took more than one request")
    http_429: int = Field(description="requests that were answered by a 429")
    tokens: TokenSums = Field(description="of all calls together")
    per_minute: Rates = Field(description="mean and busiest minute, all models together")
    llm_call: dict[str, Distribution] = Field(
        description="per LLM call, all models together; times and tokens of calls that succeeded"
    )
    models: dict[str, ModelTraffic] = Field(description="by the model that was asked for")
    tool_round_trips: dict[str, Distribution] = Field(
        description="seconds from an answer that asks for tools to the request that brings their "
        "results, by the tools asked for, joined by '+': never a tool's own time"
    )
    rate_limits: dict[str, RateLimitInfo] = Field(
        description="by model; one that showed no 429 and no rate-limit header has its calls only"
    )
    ledger: dict[str, Ledger] = Field(
        description="by model: the tokens that we counted against those reported"
    )
    observers: dict[str, ObserverReport] = Field(
        description="what the gateway saw, and what limits it; interactions are null: it saw none"
    )


def dump_traffic(traffic: Traffic) -> bytes:
    """Encode as JSON: sorted keys, two spaces. Equal traffic gives equal bytes."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
    return orjson.dumps(traffic.model_dump(mode="json"), option=options)
