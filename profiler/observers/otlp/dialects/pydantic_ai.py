"""pydantic-ai's own spans, formats 2 to 5 (`InstrumentationSettings(version=...)`).

Source: pydantic/pydantic-ai, `pydantic_ai/_instrumentation.py`. Inferences follow the GenAI
conventions in all of them. Formats 2 to 4 put the sum of a run into `gen_ai.usage.*` of the agent's
span, format 5 into `gen_ai.aggregated_usage.*`; format 2 names no operation on tools and agents.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from profiler.observers.otlp.dialects import attributes as read
from profiler.observers.otlp.dialects import genai
from profiler.observers.otlp.seen import AgentRun, Seen

if TYPE_CHECKING:
    from profiler.observers.otlp.spans import Span

_SCOPE = "pydantic-ai"
NAMES = frozenset({_SCOPE})
_OF_AN_AGENT = ("pydantic_ai.all_messages", "all_messages_events", "final_result", "agent_name")


def seen(span: Span) -> Seen | None:
    """Read a span of pydantic-ai; None if it is not one, or says nothing of its own."""
    found = span.attributes
    if span.scope != _SCOPE:
        return None
    if "gen_ai.operation.name" not in found and read.text(found, "gen_ai.tool.name") is None:
        return AgentRun() if any(name in found for name in _OF_AN_AGENT) else None
    return genai.seen(span)
