"""OpenInference (Arize): `openinference.span.kind` and flattened `llm.*` attributes.

Source: Arize-ai/openinference, `spec/semantic_conventions.md`. `llm.token_count.prompt` is the
whole input, cached tokens included.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from profiler.observers.otlp.dialects import attributes as read
from profiler.observers.otlp.dialects import genai
from profiler.observers.otlp.seen import (
    AgentRun,
    Embedding,
    Inference,
    Other,
    Seen,
    ToolRun,
    filled,
)

if TYPE_CHECKING:
    from profiler.measure.records import Usage
    from profiler.observers.otlp.spans import Attributes, Span

_KIND = "openinference.span.kind"
NAMES = frozenset({_KIND})
_TOKENS = "llm.token_count."
_OUTPUT_TOOL = re.compile(
    r"llm\.output_messages\.(\d+)\.message\.tool_calls\.(\d+)\.tool_call\.function\.name"
)


def seen(span: Span) -> Seen | None:
    """Read a span with an OpenInference kind; None if it has none."""
    found = span.attributes
    kind = found.get(_KIND)
    if not isinstance(kind, str):
        return None
    match kind.upper():
        case "LLM":
            return _inference(span)
        case "TOOL":
            name = read.text(found, "tool.name", "gen_ai.tool.name")
            call_id = read.text(found, "tool_call.id", "tool.id", "gen_ai.tool.call.id")
            return ToolRun(name=name or span.name, call_id=call_id)
        case "EMBEDDING":
            return Embedding()
        case "AGENT" | "CHAIN":
            return AgentRun()
        case _:
            return Other()


def _inference(span: Span) -> Inference:
    found = span.attributes
    also = genai.inference(span)  # a span may follow both conventions
    names = _tool_calls(found)
    return Inference(
        model=read.text(found, "llm.request.model_name", "llm.model_name") or also.model,
        usage=filled(_usage(found), also.usage),
        tool_calls=also.tool_calls if names is None else names,
        first_token_ns=also.first_token_ns,
    )


def _usage(found: Attributes) -> Usage | None:
    return read.whole(
        inputs=read.count(found, _TOKENS + "prompt"),
        outputs=read.count(found, _TOKENS + "completion"),
        cached=read.count(found, _TOKENS + "prompt_details.cache_read"),
        written=read.count(found, _TOKENS + "prompt_details.cache_write"),
        reasoning=read.count(found, _TOKENS + "completion_details.reasoning"),
        total=read.count(found, _TOKENS + "total"),
    )


def _tool_calls(found: Attributes) -> tuple[str, ...] | None:
    names = read.indexed(found, _OUTPUT_TOOL)
    told = any(name.startswith("llm.output_messages.") for name in found)
    return names if names or told else None
