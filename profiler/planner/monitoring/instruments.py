"""The instruments that the agent must emit: what each is called, what it counts, in which buckets.

One table, from which rules, their tests, the dashboard and the recipe are made. OpenTelemetry's
names are those of its semantic conventions for generative AI; `own` marks ours, where it has none
that says the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from profiler.planner import metric_names as names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Kind = Literal["histogram", "counter", "gauge"]

CONVENTION_SECONDS = tuple(0.01 * 2**power for power in range(14))
"""Boundaries that the conventions ask of `gen_ai.client.operation.duration`: 10 ms to 81.92 s."""
CONVENTION_TOKENS = tuple(float(4**power) for power in range(14))
"""Boundaries that they ask of `gen_ai.client.token.usage`: 1 to 67,108,864."""
CALLS = (0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0, 64.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """One metric: its name in Prometheus and in OpenTelemetry, with its unit as UCUM writes it.

    `labels` are label: what it holds. `convention` is a name of the conventions that comes near
    and that the collector renames to ours.
    """

    name: str
    otel_name: str
    kind: Kind
    unit: str
    says: str
    labels: Mapping[str, str]
    own: bool = True
    convention: str | None = None
    boundaries: tuple[float, ...] = ()


_MODEL = {"gen_ai_request_model": "the model asked for"}
_TOOL = {"gen_ai_tool_name": "the tool"}


def _instruments() -> Iterable[Instrument]:
    yield Instrument(
        name=names.INTERACTION_DURATION,
        otel_name="agent.interaction.duration",
        kind="histogram",
        unit="s",
        says="from the user's message to the end of the answer",
        labels={},
        convention="gen_ai.invoke_agent.duration",
        boundaries=CONVENTION_SECONDS,
    )
    yield Instrument(
        name=names.INTERACTIONS,
        otel_name="agent.interactions",
        kind="counter",
        unit="{interaction}",
        says="interactions that ended",
        labels={"outcome": "`ok`, or the kind of failure"},
    )
    yield Instrument(
        name=names.TIME_TO_FIRST_TOKEN,
        otel_name="agent.time_to_first_token",
        kind="histogram",
        unit="s",
        says="from the user's message to the first text of the answer",
        labels={},
        boundaries=CONVENTION_SECONDS,
    )
    yield Instrument(
        name=names.ACTIVE_SESSIONS,
        otel_name="agent.active_sessions",
        kind="gauge",
        unit="{session}",
        says="sessions with an interaction within the last half hour",
        labels={},
    )
    yield from _of_calls()
    yield from _of_work()
    yield from _of_the_queue()


def _of_calls() -> Iterable[Instrument]:
    provider = {"gen_ai_provider_name": "who serves it"}
    yield Instrument(
        name=names.LLM_DURATION,
        otel_name="gen_ai.client.operation.duration",
        kind="histogram",
        unit="s",
        says="one LLM call, retries included",
        labels=_MODEL | provider | {"error_type": "only where the call failed: how"},
        own=False,
        boundaries=CONVENTION_SECONDS,
    )
    yield Instrument(
        name=names.LLM_TOKENS,
        otel_name="gen_ai.client.token.usage",
        kind="histogram",
        unit="{token}",
        says="tokens of one LLM call, as billed",
        labels=_MODEL | provider | {"gen_ai_token_type": "`input` or `output`"},
        own=False,
        boundaries=CONVENTION_TOKENS,
    )
    yield Instrument(
        name=names.LLM_ATTEMPTS,
        otel_name="agent.llm.attempts",
        kind="counter",
        unit="{attempt}",
        says="HTTP requests for LLM calls, each retry one",
        labels=_MODEL | {"outcome": "`ok`, `rate_limited`, or the kind of failure"},
    )
    yield Instrument(
        name=names.LLM_RATE_LIMITED,
        otel_name="agent.llm.rate_limited",
        kind="counter",
        unit="{attempt}",
        says="those of them that a 429 answered; starts at 0 for every model in use",
        labels=_MODEL,
    )
    yield Instrument(
        name=names.LLM_COST,
        otel_name="agent.cost_usd",
        kind="counter",
        unit="{USD}",
        says="US dollars that the calls cost",
        labels=_MODEL,
    )
    yield Instrument(
        name=names.INTERACTION_LLM_CALLS,
        otel_name="agent.interaction.llm_calls",
        kind="histogram",
        unit="{call}",
        says="LLM calls of one interaction",
        labels={},
        boundaries=CALLS,
    )
    yield Instrument(
        name=names.INTERACTION_TOKENS,
        otel_name="agent.interaction.tokens",
        kind="histogram",
        unit="{token}",
        says="tokens of one interaction, all its calls together",
        labels={"part": "`input`, `output`, `system`, `history` or `user`"},
        boundaries=CONVENTION_TOKENS,
    )


def _of_work() -> Iterable[Instrument]:
    yield Instrument(
        name=names.TOOL_DURATION,
        otel_name="agent.tool.duration",
        kind="histogram",
        unit="s",
        says="one execution of a tool",
        labels=_TOOL,
        convention="gen_ai.execute_tool.duration",
        boundaries=CONVENTION_SECONDS,
    )
    yield Instrument(
        name=names.TOOL_ERRORS,
        otel_name="agent.tool.errors",
        kind="counter",
        unit="{execution}",
        says="executions that failed",
        labels=_TOOL,
    )
    yield Instrument(
        name=names.STATE_OPERATIONS,
        otel_name="agent.state.operations",
        kind="counter",
        unit="{operation}",
        says="operations on state stores",
        labels={"store": "which store", "operation": "`read` or `write`"},
    )


def _of_the_queue() -> Iterable[Instrument]:
    yield Instrument(
        name=names.QUEUE_DEPTH,
        otel_name="agent.queue.depth",
        kind="gauge",
        unit="{interaction}",
        says="interactions that wait for a worker: never those in work",
        labels={},
    )
    yield Instrument(
        name=names.QUEUE_OLDEST,
        otel_name="agent.queue.oldest_age",
        kind="gauge",
        unit="s",
        says="how long the one that waits longest has waited; 0 when none waits",
        labels={},
    )
    yield Instrument(
        name=names.WORKERS,
        otel_name="agent.workers",
        kind="gauge",
        unit="{worker}",
        says="workers that run",
        labels={},
    )
    yield Instrument(
        name=names.SLOTS_BUSY,
        otel_name="agent.worker.slots_busy",
        kind="gauge",
        unit="{slot}",
        says="slots of workers that hold an interaction",
        labels={},
    )


INSTRUMENTS = {each.name: each for each in _instruments()}
"""By Prometheus name."""
