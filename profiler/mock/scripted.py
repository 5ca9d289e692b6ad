"""What the mocks say and do when no recording tells them: seeded by content, so repeatable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from profiler.mock.recordings import calls_of, function_of, text_of
from profiler.mock.timing import Lognormal, random_for

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from random import Random

DEFAULT_SYSTEM = (
    "You are a support agent of a web shop. Answer in the language of the customer, briefly and"
    " to the point. Look things up with your tools before you state them as facts. Never promise a"
    " refund or a delivery date that a tool did not confirm; open a ticket for what you cannot do."
)
MAX_TOOL_ROUNDS = 2
_EXCERPT_CHARACTERS = 120
_SENTENCES = Lognormal(median_s=3.0, p95_s=9.0)
_MOST_SENTENCES = 24
_DEEPEST = 4

_SUBJECTS = (
    "Your request",
    "The order",
    "Our warehouse",
    "The carrier",
    "Your account",
    "The team",
)
_VERBS = ("has confirmed", "is checking", "has updated", "shows", "will review", "has received")
_OBJECTS = (
    "the details that you sent us",
    "the delivery for this week",
    "the payment without any problem",
    "the current status in our records",
    "the next step, and we will keep you informed",
    "the item that you asked about",
)


def _schema(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required}


SCRIPTED_TOOLS: tuple[dict[str, Any], ...] = (
    {
        "type": "function",
        "function": {
            "name": "lookup_order",
            "description": "Look up an order: its items, its status and its delivery.",
            "parameters": _schema(
                {"order_id": {"type": "string", "description": "The order's number"}},
                ["order_id"],
            ),
        },
    },
    {
        "type": "function",
        "function": {
            "name": "search_kb",
            "description": "Search the knowledge base for articles that answer a question.",
            "parameters": _schema(
                {
                    "query": {"type": "string", "description": "What to look for"},
                    "limit": {"type": "integer", "description": "How many articles to return"},
                },
                ["query"],
            ),
        },
    },
    {
        "type": "function",
        "function": {
            "name": "create_ticket",
            "description": "Open a ticket for a human colleague.",
            "parameters": _schema(
                {
                    "subject": {"type": "string", "description": "One line"},
                    "priority": {"type": "string", "enum": ["low", "normal", "high"]},
                },
                ["subject", "priority"],
            ),
        },
    },
)


def recorded_tools(names: Sequence[str]) -> tuple[dict[str, Any], ...]:
    """Return schemas for tools of which recordings know the names only."""
    return tuple(
        {
            "type": "function",
            "function": {
                "name": name,
                "description": f"The recorded tool {name}.",
                "parameters": {"type": "object", "properties": {}},
            },
        }
        for name in names
    )


def answer(
    *,
    seed: int,
    digest: str,
    messages: Sequence[Mapping[str, Any]],
    tools: Sequence[Mapping[str, Any]],
    tool_call_probability: float,
) -> dict[str, Any]:
    """Return an assistant message: a text, or one call of one of `tools`.

    At most `MAX_TOOL_ROUNDS` calls follow one user message. `digest` identifies the request.
    """
    random = random_for("answer", seed, digest)
    callable_tools = [tool for tool in tools if isinstance(tool.get("function"), dict)]
    rounds = _tool_rounds(messages)
    draw = random.random()
    if callable_tools and rounds < MAX_TOOL_ROUNDS and draw < tool_call_probability:
        return _tool_call(random, random.choice(callable_tools), digest)
    return {"role": "assistant", "content": _text(random, messages)}


def _tool_rounds(messages: Sequence[Mapping[str, Any]]) -> int:
    rounds = 0
    for message in reversed(messages):
        if message.get("role") == "user":
            break
        rounds += bool(calls_of(message))
    return rounds


def _tool_call(random: Random, tool: Mapping[str, Any], digest: str) -> dict[str, Any]:
    function = tool["function"]
    arguments = _value(random, function.get("parameters") or {"type": "object"}, _DEEPEST)
    call = {
        "id": f"call_{digest[:24]}",
        "type": "function",
        "function": {
            "name": str(function.get("name")),
            "arguments": orjson.dumps(arguments).decode(),
        },
    }
    return {"role": "assistant", "content": None, "tool_calls": [call]}


def _value(random: Random, schema: Any, depth: int) -> Any:  # noqa: PLR0911 - one for each type
    """Return a value that a JSON schema allows, as far as simple schemas go."""
    if not isinstance(schema, dict):
        return None
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return random.choice(schema["enum"])
    match schema.get("type"):
        case "object":
            properties = schema.get("properties")
            if not isinstance(properties, dict) or depth == 0:
                return {}
            return {key: _value(random, inner, depth - 1) for key, inner in properties.items()}
        case "array":
            return [_value(random, schema["items"], depth - 1)] if "items" in schema else []
        case "integer":
            return random.randint(1, 20)
        case "number":
            return round(random.uniform(1, 500), 2)
        case "boolean":
            return random.random() < 0.5  # noqa: PLR2004 - a coin
        case _:
            return f"{random.choice('ABCDEFGH')}-{random.randint(10, 9999)}"


def _text(random: Random, messages: Sequence[Mapping[str, Any]]) -> str:
    """Return sentences that take up what the user said, so that a check can find its words."""
    asked = next(
        (text_of(m.get("content")) for m in reversed(messages) if m.get("role") == "user"), ""
    )
    sentences = [f"{random.choice(_SUBJECTS)} {random.choice(_VERBS)} {random.choice(_OBJECTS)}."]
    count = min(_MOST_SENTENCES, round(_SENTENCES.draw_s(random)))
    sentences.extend(
        f"{random.choice(_SUBJECTS)} {random.choice(_VERBS)} {random.choice(_OBJECTS)}."
        for _ in range(count - 1)
    )
    excerpt = " ".join(asked.split())[:_EXCERPT_CHARACTERS]
    return " ".join([f'About "{excerpt}":', *sentences] if excerpt else sentences)


def tool_result(*, seed: int, call: Mapping[str, Any]) -> str:
    """Return the result of a tool call that no recording has, seeded by its name and arguments."""
    name, arguments = function_of(call)
    random = random_for("result", seed, name, arguments)
    facts = [
        {
            "id": f"{random.choice('KLMNP')}-{random.randint(100, 999)}",
            "note": random.choice(_OBJECTS),
        }
        for _ in range(random.randint(1, 4))
    ]
    return orjson.dumps({"tool": name, "status": "ok", "results": facts}).decode()
