"""Langfuse's SDK: `langfuse.observation.type`, details as JSON in attributes.

Source: langfuse/langfuse-python, `langfuse/_client/attributes.py`, and the usage of its LangChain
handler: in `usage_details`, `input` and `output` are what is left after the parts that are named
beside them (`input_cache_read`, `output_reasoning`, ...), while OpenAI's own names
(`prompt_tokens`, ...) keep OpenAI's meaning, parts included.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from profiler.clock import NS_PER_S
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

_OBSERVATION = "langfuse.observation."
NAMES = frozenset({_OBSERVATION + "type"})
_CACHED = ("input_cache_read", "input_cached_tokens", "cache_read_input_tokens")
_WRITTEN = ("input_cache_creation", "cache_creation_input_tokens")
_REASONING = ("output_reasoning", "output_reasoning_tokens")
_WITHIN_INPUT = ("input_audio", "input_audio_tokens", *_CACHED[:2], _WRITTEN[0])
_WITHIN_OUTPUT = ("output_audio", "output_audio_tokens", *_REASONING)


def seen(span: Span) -> Seen | None:
    """Read a span of Langfuse's SDK; None if it is not one."""
    match span.attributes.get(_OBSERVATION + "type"):
        case "generation":
            return _inference(span)
        case "tool":
            name = read.text(span.attributes, "gen_ai.tool.name") or span.name
            return ToolRun(name=name, call_id=read.text(span.attributes, "gen_ai.tool.call.id"))
        case "embedding":
            return Embedding()
        case "agent" | "chain" | "span":
            return genai.seen(span) or AgentRun()
        case str():
            return Other()
        case _:
            return None


def _inference(span: Span) -> Inference:
    found = span.attributes
    own = genai.inference(span)
    details = read.parsed(found.get(_OBSERVATION + "usage_details"))
    usage = _usage(details) if isinstance(details, dict) else None
    first = _wall_ns(found.get(_OBSERVATION + "completion_start_time"))
    return Inference(
        model=read.text(found, _OBSERVATION + "model.name") or own.model,
        usage=filled(usage, own.usage),
        tool_calls=_tool_calls(found) if own.tool_calls is None else own.tool_calls,
        first_token_ns=own.first_token_ns if first is None else first,
    )


def _usage(details: dict[str, Any]) -> Usage | None:
    if "prompt_tokens" in details or "input_tokens" in details:
        return _openai_usage(details)
    cached, written = read.count(details, *_CACHED), read.count(details, *_WRITTEN)
    reasoning = read.count(details, *_REASONING)
    inputs, outputs = read.count(details, "input"), read.count(details, "output")
    total = read.count(details, "total")
    if inputs is None or outputs is None or inputs + outputs != total:
        inputs = _sum(inputs, details, _WITHIN_INPUT, _CACHED[2:], _WRITTEN[1:])
        outputs = _sum(outputs, details, _WITHIN_OUTPUT)
    return read.whole(
        inputs=inputs, outputs=outputs, cached=cached, written=written, reasoning=reasoning
    )


def _sum(rest: int | None, details: dict[str, Any], *parts: tuple[str, ...]) -> int | None:
    if rest is None:
        return None
    return rest + sum(read.count(details, name) or 0 for group in parts for name in group)


def _openai_usage(details: dict[str, Any]) -> Usage | None:
    of_input = details.get("prompt_tokens_details", details.get("input_tokens_details"))
    of_output = details.get("completion_tokens_details", details.get("output_tokens_details"))
    of_input = of_input if isinstance(of_input, dict) else {}
    of_output = of_output if isinstance(of_output, dict) else {}
    cached = read.count(of_input, "cached_tokens")
    return read.whole(
        inputs=read.count(details, "prompt_tokens", "input_tokens"),
        outputs=read.count(details, "completion_tokens", "output_tokens"),
        cached=read.count(details, *_CACHED) if cached is None else cached,
        written=read.count(details, *_WRITTEN),
        reasoning=read.count(of_output, "reasoning_tokens"),
        total=read.count(details, "total_tokens", "total"),
    )


def _tool_calls(found: Attributes) -> tuple[str, ...] | None:
    message = read.parsed(found.get(_OBSERVATION + "output"))
    if not isinstance(message, dict):
        return None
    functions = (call.get("function") for call in read.dicts(message.get("tool_calls")))
    return tuple(
        function["name"]
        for function in functions
        if isinstance(function, dict) and isinstance(function.get("name"), str)
    )


def _wall_ns(value: Any) -> int | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value.strip('"'))
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    return int(moment.timestamp()) * NS_PER_S + moment.microsecond * 1000
