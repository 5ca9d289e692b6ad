"""OpenTelemetry's GenAI conventions: the current ones and the names of older versions.

Source: open-telemetry/semantic-conventions-genai, `model/gen-ai/registry.yaml`, and the deprecated
names of open-telemetry/semantic-conventions. `gen_ai.usage.input_tokens` includes cached tokens and
`gen_ai.usage.output_tokens` reasoning. The usage names of pydantic-ai and OpenLLMetry, which extend
these conventions, are in the same table: no name means two things.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from profiler.clock import seconds_to_ns
from profiler.observers.otlp.dialects import attributes as read
from profiler.observers.otlp.seen import AgentRun, Embedding, Inference, Seen, ToolRun

if TYPE_CHECKING:
    from profiler.measure.records import Usage
    from profiler.observers.otlp.spans import Attributes, Span

_INFERENCES = frozenset({"chat", "text_completion", "generate_content", "completion", "call_llm"})
_EMBEDDINGS = frozenset({"embeddings", "embedding"})
_INPUT = (
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.prompt_tokens",  # until 1.27
    "llm.usage.prompt_tokens",  # OpenLLMetry's first
)
_OUTPUT = (
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.completion_tokens",
    "llm.usage.completion_tokens",
)
_CACHED = (
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_read_input_tokens",  # OpenLLMetry
    "gen_ai.usage.cache_read_tokens",
    "gen_ai.usage.details.cache_read_tokens",  # pydantic-ai
    "gen_ai.usage.details.cached_tokens",
    "gen_ai.usage.input_tokens.cached",  # Sentry
    "llm.usage.cache_read_input_tokens",
)
_WRITTEN = (
    "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.usage.cache_write.input_tokens",
    "gen_ai.usage.cache_creation_input_tokens",
    "gen_ai.usage.cache_write_tokens",
    "gen_ai.usage.details.cache_write_tokens",
    "gen_ai.usage.input_tokens.cache_write",
    "llm.usage.cache_creation_input_tokens",
)
_REASONING = (
    "gen_ai.usage.reasoning.output_tokens",
    "gen_ai.usage.details.reasoning_tokens",
    "gen_ai.usage.reasoning_tokens",
    "gen_ai.usage.experimental.reasoning_tokens",  # Google ADK before 2.3
    "gen_ai.usage.output_tokens.reasoning",
    "llm.usage.reasoning_tokens",
)
_TOTAL = ("gen_ai.usage.total_tokens", "llm.usage.total_tokens")
_FIRST_CHUNK_S = (
    "gen_ai.response.time_to_first_chunk",
    "gen_ai.client.operation.time_to_first_chunk",  # pydantic-ai
)
_NAME = "gen_ai.tool.name"
NAMES = frozenset(
    {
        "gen_ai.operation.name",
        "gen_ai.request.model",
        "gen_ai.response.model",
        "gen_ai.agent.name",
        _NAME,
    }
)
_COMPLETION_TOOL = re.compile(r"gen_ai\.completion\.(\d+)\.tool_calls\.(\d+)\.name")


def seen(span: Span) -> Seen | None:
    """Read a span with `gen_ai` attributes; None if it has none that say what it is."""
    found = span.attributes
    operation = read.text(found, "gen_ai.operation.name")
    if operation in _EMBEDDINGS:
        return Embedding()
    if operation in _INFERENCES:
        return inference(span)
    name = read.text(found, _NAME)
    if operation == "execute_tool" or (operation is None and name is not None):
        return tool_run(found, name)
    model = read.text(found, "gen_ai.request.model", "gen_ai.response.model")
    if operation in {"invoke_agent", "create_agent", "invoke_workflow", "plan"} or (
        operation is None and read.text(found, "gen_ai.agent.name") is not None
    ):
        return AgentRun()
    if model is not None and (operation is None or usage(found) is not None):
        return inference(span)  # conventions before 1.27, and operations of one system only
    return None


def tool_run(found: Attributes, name: str | None) -> ToolRun:
    """Return the tool that an `execute_tool` span ran."""
    return ToolRun(name=name or "unknown", call_id=read.text(found, "gen_ai.tool.call.id"))


def inference(span: Span) -> Inference:
    """Return the inference of a span that is one.

    The model is the one asked for: a call that failed has no other.
    """
    found = span.attributes
    first_s = read.number(found, *_FIRST_CHUNK_S)
    return Inference(
        model=read.text(found, "gen_ai.request.model", "gen_ai.response.model"),
        usage=usage(found),
        tool_calls=tool_calls(span),
        first_token_ns=None if first_s is None else span.start_ns + seconds_to_ns(first_s),
    )


def usage(found: Attributes) -> Usage | None:
    """Return the usage of a span; None if it says nothing."""
    if not any("usage" in name for name in found):  # as all of these names have it
        return None
    return read.whole(
        inputs=read.count(found, *_INPUT),
        outputs=read.count(found, *_OUTPUT),
        cached=read.count(found, *_CACHED),
        written=read.count(found, *_WRITTEN),
        reasoning=read.count(found, *_REASONING),
        total=read.count(found, *_TOTAL),
    )


def tool_calls(span: Span) -> tuple[str, ...] | None:
    """Return the names of the tools asked for: from messages, older attributes, or events."""
    found = span.attributes
    messages = read.parsed(found.get("gen_ai.output.messages"))
    if isinstance(messages, list):
        return _of_messages(messages)
    flattened = read.indexed(found, _COMPLETION_TOOL)
    if flattened or any(name.startswith("gen_ai.completion.") for name in found):
        return flattened
    for event in span.events:
        details = read.parsed(event.attributes.get("gen_ai.output.messages"))
        if isinstance(details, list):
            return _of_messages(details)
    return None


def _of_messages(messages: list[Any]) -> tuple[str, ...]:
    return tuple(
        part["name"]
        for message in read.dicts(messages)
        for part in read.dicts(message.get("parts"))
        if part.get("type") == "tool_call" and isinstance(part.get("name"), str)
    )
