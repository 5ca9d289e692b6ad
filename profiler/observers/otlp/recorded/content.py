"""What was said, as spans have it: messages to and from an LLM, an agent's input, a tool's result.

Read are, the first that is there: `gen_ai.input.messages` and `gen_ai.output.messages` (as
attributes, or on events), OpenInference's `llm.input_messages.N.message.*`, OpenLLMetry's
`gen_ai.prompt.N.*` and `gen_ai.completion.N.*`, the events of the GenAI conventions before 1.37
(`gen_ai.user.message`, `gen_ai.choice`, ...), Langfuse's `langfuse.observation.input`, Google ADK's
`gcp.vertex.agent.llm_request`, and `input.value`, `traceloop.entity.input`. Sources are those of
`dialects`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from profiler.workload.importers import foreign

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from profiler.observers.otlp.spans import Span
    from profiler.workload.conversations import Message

_SESSION = (
    "gen_ai.conversation.id",
    "session.id",
    "langfuse.session.id",
    "gcp.vertex.agent.session_id",
    "traceloop.association.properties.session_id",
    "traceloop.association.properties.conversation_id",
    "traceloop.association.properties.thread_id",
    "gen_ai.openai.thread.id",
    "langgraph.thread_id",
    "conversation.id",
    "thread_id",
    "conversation_id",
    "session_id",
)
_USER = ("user.id", "langfuse.user.id", "enduser.id", "traceloop.association.properties.user_id")
NAMING = frozenset({*_SESSION, *_USER})
"""The attributes that tell which session a span is of."""
_SYSTEM = ("gen_ai.system_instructions", "gen_ai.system.instructions")
_WHOLE_INPUT = (
    "gcp.vertex.agent.llm_request",
    "langfuse.observation.input",
    "input.value",
    "traceloop.entity.input",
    "gen_ai.prompt",
)
_WHOLE_OUTPUT = (
    "gcp.vertex.agent.llm_response",
    "langfuse.observation.output",
    "output.value",
    "traceloop.entity.output",
    "gen_ai.completion",
)
_AGENT_INPUT = (
    "langfuse.trace.input",
    "gen_ai.input.messages",
    "langfuse.observation.input",
    "input.value",
    "traceloop.entity.input",
)
_ANSWER = "gen_ai.output.messages"
_AGENT_MESSAGES = ("pydantic_ai.all_messages", "all_messages_events")
_RESULT = (
    "gen_ai.tool.call.result",
    "gcp.vertex.agent.tool_response",
    "langfuse.observation.output",
    "output.value",
    "traceloop.entity.output",
)
_EVENT_ROLES = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
}
_MOST_DEPTH = 12


def session_id(spans: Iterable[Span]) -> tuple[str, bool] | None:
    """Return the id of a trace's session, and whether it is only a user's; None without one."""
    named = [span for span in spans if not NAMING.isdisjoint(span.attributes)]
    for names, by_user in ((_SESSION, False), (_USER, True)):
        for name in names:
            for span in named:
                found = span.attributes.get(name)
                if isinstance(found, str) and found:
                    return found, by_user
    return None


def read_once(span: Span) -> Span:
    """Parse what an LLM answered, for all that read it after."""
    if (said := span.attributes.get(_ANSWER)) is not None:
        span.attributes[_ANSWER] = foreign.parsed(said)
    return span


def asked_llm(span: Span, notes: dict[str, None]) -> list[Message]:
    """Return the messages that an LLM was given; empty where they were not recorded."""
    found = _given(span, "gen_ai.input.messages")
    if found is not None:
        return [*_system(span), *foreign.messages(found, notes)]
    for prefix in ("llm.input_messages.", "gen_ai.prompt."):
        if flat := unflattened(span.attributes, prefix):
            return foreign.messages(list(map(_plain, flat)), notes)
    events = [
        {"role": _EVENT_ROLES[event.name], **_body(event.attributes)}
        for event in span.events
        if event.name in _EVENT_ROLES
    ]
    if events:
        return foreign.messages(events, notes)
    for name in _WHOLE_INPUT:
        if messages := foreign.messages(span.attributes.get(name), notes):
            return messages
    return []


def said_by_llm(span: Span) -> Message | None:
    """Return what an LLM answered, None where it was not recorded."""
    found = _given(span, _ANSWER)
    if found is not None:
        return foreign.assistant(found)
    for prefix in ("llm.output_messages.", "gen_ai.completion."):
        if flat := unflattened(span.attributes, prefix):
            return foreign.assistant(list(map(_plain, flat)))
    events = [_body(event.attributes) for event in span.events if event.name == "gen_ai.choice"]
    if events:
        said = (body if isinstance(body := e.get("message"), dict) else e for e in events)
        return foreign.assistant([{**message, "role": "assistant"} for message in said])
    for name in _WHOLE_OUTPUT:
        if span.attributes.get(name) is not None:
            return foreign.assistant(span.attributes[name])
    return None


def asked_agent(span: Span, notes: dict[str, None]) -> str | None:
    """Return what the user said, as an agent's span has it."""
    for name in _AGENT_INPUT:
        if text := foreign.asked_by_user(span.attributes.get(name), notes):
            return text
    return None


def last_asked_agent(span: Span, notes: dict[str, None]) -> str | None:
    """Return the last message of the user that an agent's span has of its whole run."""
    found = (foreign.last_user(span.attributes.get(name), notes) for name in _AGENT_MESSAGES)
    return next((text for text in found if text is not None), None)


def tool_result(span: Span) -> str | None:
    """Return a tool's result as text, None where it was not recorded."""
    found = next((v for name in _RESULT if (v := span.attributes.get(name)) is not None), None)
    return None if found is None else foreign.result_text(found)


def _given(span: Span, name: str) -> Any:
    """Return an attribute of a span, or of one of its events."""
    if (found := span.attributes.get(name)) is not None:
        return found
    told = (event.attributes.get(name) for event in span.events) if span.events else ()
    return next((found for found in told if found is not None), None)


def _system(span: Span) -> list[Message]:
    for name in _SYSTEM:
        found = _given(span, name)
        if found is not None and (text := foreign.text_of(foreign.parsed(found))):
            return [{"role": "system", "content": text}]
    return []


def _body(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of an event; parts of it are JSON text."""
    return {name: foreign.parsed(value) for name, value in attributes.items()}


def unflattened(attributes: Mapping[str, Any], prefix: str) -> list[dict[str, Any]]:
    """Return the list that attributes like `PREFIX0.message.role` spell out."""
    tree: dict[str, Any] = {}
    for name, value in attributes.items():
        if not name.startswith(prefix):
            continue
        keys = name[len(prefix) :].split(".")
        if not keys[0].isdigit() or len(keys) > _MOST_DEPTH:
            continue
        node = tree
        for key in keys[:-1]:
            inner = node.setdefault(key, {})
            if not isinstance(inner, dict):
                break
            node = inner
        else:
            node[keys[-1]] = value
    listed = _listed(tree)
    return [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []


def _listed(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    if node and all(key.isdigit() and len(key) <= _MOST_DIGITS for key in node):
        return [_listed(node[key]) for key in sorted(node, key=int)]
    return {key: _listed(inner) for key, inner in node.items()}


_MOST_DIGITS = 9


def _plain(item: dict[str, Any]) -> dict[str, Any]:
    """Return a flattened message with the keys that others have."""
    message = item.get("message", item)
    if not isinstance(message, dict):
        return {}
    plain = dict(message)
    if isinstance(message.get("contents"), list):
        plain["content"] = [
            part.get("message_content", part) for part in message["contents"] if _is_dict(part)
        ]
    else:
        plain["content"] = foreign.parsed(message.get("content"))
        if _is_dict(plain["content"]):
            plain["content"] = message["content"]
    calls = message.get("tool_calls")
    if isinstance(calls, list):
        plain["tool_calls"] = [call.get("tool_call", call) for call in calls if _is_dict(call)]
    elif calls is not None:
        del plain["tool_calls"]
    return plain


def _is_dict(value: Any) -> bool:
    return isinstance(value, dict)
