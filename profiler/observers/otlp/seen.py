"""What one span says, whatever convention it follows: the common form that dialects read into."""

from __future__ import annotations

from typing import TYPE_CHECKING

from profiler.measure.records import Outcome, Usage
from profiler.values import value

if TYPE_CHECKING:
    from profiler.observers.otlp.spans import SpanKind, Status


@value
class Inference:
    """One inference. `tool_calls` are the tools it asked for, None where the content is not told.

    `first_token_ns` is a time on the wall clock of the span.
    """

    model: str | None = None
    usage: Usage | None = None
    tool_calls: tuple[str, ...] | None = None
    first_token_ns: int | None = None


@value
class ToolRun:
    """One execution of a tool; `call_id` is the provider's id of the request for it."""

    name: str
    call_id: str | None = None


@value
class AgentRun:
    """An agent, a workflow or a step of one: it repeats the usage of the inferences within it."""


@value
class Embedding:
    """A call of an embedding model: no inference, counted apart."""


@value
class StateAccess:
    """Operations on a state store, by what they do to it."""

    store: str
    reads: int = 0
    writes: int = 0
    other: int = 0


@value
class HttpRequest:
    """One HTTP request that the agent sent; `to_llm`: its URL is that of an LLM provider's API."""

    status: int | None = None
    to_llm: bool = False


@value
class Other:
    """Anything else."""


Seen = Inference | ToolRun | AgentRun | Embedding | StateAccess | HttpRequest | Other


@value
class Sighting:
    """A span after reading: what it says, its place in the trace, and how it ended.

    `failed_with` is the HTTP status that an error named, if it named one. Small: texts are gone.
    """

    span_id: str
    parent_id: str | None
    remote_parent: bool | None
    kind: SpanKind
    start_ns: int
    end_ns: int
    status: Status
    outcome: Outcome
    failed_with: int | None
    scope: str
    service: str
    seen: Seen


def filled(usage: Usage | None, other: Usage | None) -> Usage | None:
    """Return `usage` with what it does not say taken from `other`."""
    if usage is None or other is None:
        return other if usage is None else usage
    return Usage(
        input_tokens=_first(usage.input_tokens, other.input_tokens),
        output_tokens=_first(usage.output_tokens, other.output_tokens),
        cached_input_tokens=_first(usage.cached_input_tokens, other.cached_input_tokens),
        cache_write_tokens=_first(usage.cache_write_tokens, other.cache_write_tokens),
        reasoning_tokens=_first(usage.reasoning_tokens, other.reasoning_tokens),
    )


def _first(one: int | None, other: int | None) -> int | None:
    return other if one is None else one
