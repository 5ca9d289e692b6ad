"""OpenLLMetry (Traceloop): `traceloop.span.kind` for steps, `llm.request.type` for inferences.

Source: traceloop/openllmetry, `opentelemetry/semconv_ai/__init__.py`. Its usage names are in
`genai`'s table. Anthropic's input is summed with its cache there, Bedrock's is not. The LangChain
variant has no reasoning tokens and two agent spans a run: agents count for nothing here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from profiler.observers.otlp.dialects import attributes as read
from profiler.observers.otlp.dialects import genai
from profiler.observers.otlp.seen import AgentRun, Embedding, Inference, Other, Seen, ToolRun

if TYPE_CHECKING:
    from profiler.observers.otlp.spans import Span

NAMES = frozenset({"llm.request.type", "traceloop.span.kind"})


def seen(span: Span) -> Seen | None:
    """Read a span of OpenLLMetry; None if it is not one."""
    found = span.attributes
    match found.get("llm.request.type"):
        case "chat" | "completion":
            return _inference(span)
        case "embedding":
            return Embedding()
        case "rerank":
            return Other()
    match found.get("traceloop.span.kind"):
        case "tool":
            name = read.text(found, "gen_ai.tool.name", "traceloop.entity.name")
            return ToolRun(name=name or span.name, call_id=read.text(found, "gen_ai.tool.call.id"))
        case "agent" | "workflow" | "task":
            own = genai.seen(span)  # newer versions name the operation as well
            return own if isinstance(own, Inference | ToolRun) else AgentRun()
    return None


def _inference(span: Span) -> Inference:
    own = genai.inference(span)
    if own.model is not None:
        return own
    return Inference(
        model=read.text(span.attributes, "llm.request.model", "llm.response.model"),
        usage=own.usage,
        tool_calls=own.tool_calls,
        first_token_ns=own.first_token_ns,
    )
