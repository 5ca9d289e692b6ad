"""From the spans of one trace to one turn: what the user said, and what the agent did about it."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from profiler.clock import NS_PER_S
from profiler.measure.records import Outcome
from profiler.observers.otlp.assemble import tools_in
from profiler.observers.otlp.calls import without_attempts
from profiler.observers.otlp.dialects import sighting
from profiler.observers.otlp.recorded import content
from profiler.observers.otlp.seen import AgentRun, Sighting
from profiler.observers.otlp.spans import Span
from profiler.observers.otlp.tree import Tree
from profiler.workload.importers import foreign
from profiler.workload.importers.turns import Call, Turn

if TYPE_CHECKING:
    from collections.abc import Iterable

    from profiler.observers.otlp import calls
    from profiler.observers.otlp.seen import ToolRun
    from profiler.workload.conversations import Message

FAILED = "an LLM call that failed, not replayed"
TWICE = "a span that was exported twice, taken once"


def turn_of(trace_id: str, spans: Iterable[Span | Sighting], line: int) -> Turn | None:
    """Return the turn that a trace is, None where nothing in it is an agent's.

    A span that is of no agent may have been read already.
    """
    by_id: dict[str, Span] = {}
    seen: dict[str, Sighting] = {}
    notes: dict[str, None] = {}
    for span in spans:
        if span.span_id in seen:
            notes[TWICE] = None
        elif type(span) is Sighting:
            seen[span.span_id] = span
        elif isinstance(span, Span):
            by_id[span.span_id] = content.read_once(span)
            seen[span.span_id] = sighting(span)
    tree = Tree(seen.values())
    found = without_attempts(tree)
    tools = tools_in(tree)
    agents = [span for span in tree.spans if isinstance(span.seen, AgentRun)]
    if not found and not tools and not agents:
        return None
    answered = _answered(found, by_id, notes)
    asked = _asked(found[0], by_id, notes) if found else []
    users = [message["content"] for message in asked if message["role"] == "user"]
    user = _first(content.asked_agent(by_id[span.span_id], notes) for span in agents)
    if user is None and users:
        user = users[-1]
    if user is None:
        user = _first(content.last_asked_agent(by_id[span.span_id], notes) for span in agents)
    session, by_user = content.session_id(by_id.values()) or (trace_id, False)
    root = tree.root
    begin = tree.spans[0] if root is None else root
    return Turn(
        session=session,
        line=line,
        begin_s=begin.start_ns / NS_PER_S,
        end_s=(max(s.end_ns for s in tree.spans) if root is None else root.end_ns) / NS_PER_S,
        user=user if user is not None and user.strip() else None,
        replies=[] if user is None else _replies(answered, tools, by_id),
        system=next((m["content"] for m in asked if m["role"] == "system"), None),
        earlier=max(0, len(users) - 1),
        calls=_sizes(answered, tools) if user is None else [],
        by_user=by_user,
        agent=_agent(tree, answered),
        notes=list(notes),
    )


def _first(texts: Iterable[str | None]) -> str | None:
    return next((text for text in texts if text is not None), None)


def _answered(
    found: list[calls.Call], by_id: dict[str, Span], notes: dict[str, None]
) -> list[tuple[calls.Call, Message | None]]:
    """Return the calls that were answered, each with what the LLM said, None if not recorded."""
    answered = []
    for call in found:
        said = next((m for s in _spans(call, by_id) if (m := content.said_by_llm(s))), None)
        if call.span.outcome is Outcome.OK or said is not None:
            answered.append((call, said))
        else:
            notes[FAILED] = None
    return answered


def _spans(call: calls.Call, by_id: dict[str, Span]) -> list[Span]:
    return [by_id[span.span_id] for span in (call.span, *(inner for inner, _ in call.within))]


def _asked(call: calls.Call, by_id: dict[str, Span], notes: dict[str, None]) -> list[Message]:
    found = (content.asked_llm(span, notes) for span in _spans(call, by_id))
    return next((messages for messages in found if messages), [])


def _agent(tree: Tree, answered: list[tuple[calls.Call, Message | None]]) -> str:
    service = next((span.service for span in tree.spans if span.service), "")
    return f"{service}/{answered[0][0].seen.model or ''}" if answered else service


def _run_by(
    answered: list[tuple[calls.Call, Message | None]], tools: list[tuple[Sighting, ToolRun]]
) -> list[list[tuple[Sighting, ToolRun]]]:
    """Return the tools that ran between a call's begin and the next one's, for each call."""
    starts = sorted(call.span.start_ns for call, _ in answered)
    ran: list[list[tuple[Sighting, ToolRun]]] = [[] for _ in answered]
    for span, tool in tools:
        if ran:
            ran[max(bisect_right(starts, span.start_ns) - 1, 0)].append((span, tool))
    return ran


def _replies(
    answered: list[tuple[calls.Call, Message | None]],
    tools: list[tuple[Sighting, ToolRun]],
    by_id: dict[str, Span],
) -> list[Message]:
    """Return the turn's messages: what the LLM said, and the results of the tools it asked for."""
    replies: list[Message] = []
    for (call, said), ran in zip(answered, _run_by(answered, tools), strict=True):
        message = said or {"role": "assistant", "content": ""}
        if not message.get("tool_calls"):
            names = call.seen.tool_calls or (tuple(t.name for _, t in ran) if said is None else ())
            asked = [foreign.call(name, {}) for name in names]
            message = foreign.asked(message["content"] or "", asked)
        replies.append(message)
        for span, tool in ran:
            result: Message = {"role": "tool", "name": tool.name}
            result["content"] = content.tool_result(by_id[span.span_id]) or ""
            if tool.call_id is not None:
                result["tool_call_id"] = tool.call_id
            replies.append(result)
    return replies


def _sizes(
    answered: list[tuple[calls.Call, Message | None]], tools: list[tuple[Sighting, ToolRun]]
) -> list[Call]:
    """Return the tokens and tools of calls whose content was not recorded."""
    sizes = []
    for (call, _), ran in zip(answered, _run_by(answered, tools), strict=True):
        usage = call.seen.usage
        for _, inner in call.within:
            usage = inner.usage if usage is None else usage
        sizes.append(
            Call(
                input_tokens=None if usage is None else usage.input_tokens,
                output_tokens=None if usage is None else usage.output_tokens,
                tools=list(call.seen.tool_calls or (tool.name for _, tool in ran)),
            )
        )
    return sizes
