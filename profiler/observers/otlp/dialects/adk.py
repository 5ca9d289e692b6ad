"""Google's Agent Development Kit: its own attributes beside the GenAI ones.

Source: google/adk-python, `google/adk/telemetry/tracing.py` and `_experimental_semconv.py`. Older
versions write Gemini's `candidates_token_count` as output, without thoughts; newer ones add the
thoughts, which counts them twice for models behind LiteLLM, whose output includes them. The
response in `gcp.vertex.agent.llm_response` has Gemini's total, which settles it: the output is what
the total has beyond the prompt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from profiler.measure.records import Usage
from profiler.observers.otlp.dialects import attributes as read
from profiler.observers.otlp.dialects import genai
from profiler.observers.otlp.seen import AgentRun, Inference, Other, Seen, filled

if TYPE_CHECKING:
    from profiler.observers.otlp.spans import Span

_SCOPE = "gcp.vertex.agent"
_RESPONSE = "gcp.vertex.agent.llm_response"
NAMES = frozenset({_SCOPE, _RESPONSE})
_THOUGHTS_ADDED = "gen_ai.usage.reasoning.output_tokens"  # the name since output includes them
_GOOGLE = ("projects/", "models/", "publishers/")
_MERGED = "(merged tools)"  # repeats the parallel tools beside it, for ADK's own web page


def seen(span: Span) -> Seen | None:
    """Read a span of ADK; None if it is not one."""
    found = span.attributes
    if span.scope != _SCOPE and _RESPONSE not in found:
        return None
    if found.get("gen_ai.tool.name") == _MERGED:
        return Other()
    own = genai.seen(span)
    if own is None:
        return AgentRun()
    return _inference(span, own) if isinstance(own, Inference) else own


def _inference(span: Span, own: Inference) -> Inference:
    response = read.parsed(span.attributes.get(_RESPONSE))
    response = response if isinstance(response, dict) else {}
    metadata = response.get("usage_metadata")
    told = _usage(metadata) if isinstance(metadata, dict) else None
    return Inference(
        model=own.model,
        usage=filled(told, own.usage) if told else _from_attributes(span, own),
        tool_calls=_tool_calls(response) if own.tool_calls is None else own.tool_calls,
        first_token_ns=own.first_token_ns,
    )


def _usage(metadata: dict[str, Any]) -> Usage | None:
    prompt = read.count(metadata, "prompt_token_count")
    candidates = read.count(metadata, "candidates_token_count")
    thoughts = read.count(metadata, "thoughts_token_count")
    total = read.count(metadata, "total_token_count")
    if prompt is None:
        return None
    prompt += read.count(metadata, "tool_use_prompt_token_count") or 0
    if total is not None and total >= prompt + max(candidates or 0, thoughts or 0):
        output: int | None = total - prompt
    elif candidates is None:
        output = thoughts
    else:
        output = candidates + (thoughts or 0)
    return Usage(
        input_tokens=prompt,
        output_tokens=output,
        cached_input_tokens=read.count(metadata, "cached_content_token_count"),
        reasoning_tokens=thoughts,
    )


def _from_attributes(span: Span, own: Inference) -> Usage | None:
    """Without the response: models of LiteLLM have `provider/model` names, Gemini's have not."""
    usage = own.usage
    output = read.count(span.attributes, "gen_ai.usage.output_tokens")
    if usage is None or output is None or usage.reasoning_tokens is None:
        return usage
    thoughts = usage.reasoning_tokens
    model = own.model or ""
    litellm = "/" in model and not model.startswith(_GOOGLE)
    added = _THOUGHTS_ADDED in span.attributes
    if litellm and added and output >= 2 * thoughts:
        output -= thoughts
    elif not litellm and not added:
        output += thoughts
    return Usage(
        input_tokens=usage.input_tokens,
        output_tokens=output,
        cached_input_tokens=usage.cached_input_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        reasoning_tokens=thoughts,
    )


def _tool_calls(response: dict[str, Any]) -> tuple[str, ...] | None:
    content = response.get("content")
    if not isinstance(content, dict):
        return None
    calls = (part.get("function_call") for part in read.dicts(content.get("parts")))
    return tuple(
        call["name"]
        for call in calls
        if isinstance(call, dict) and isinstance(call.get("name"), str)
    )
