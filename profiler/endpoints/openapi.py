"""What an OpenAPI document (FastAPI's, https://spec.openapis.org/oas/v3.1.0) says a route accepts.

The document comes from outside: any part of it may be missing, of another type, or refer to itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from profiler.endpoints.json_values import mapping, mappings, string

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT_NAMES = (
    "message",
    "user_message",
    "usermessage",
    "query",
    "question",
    "prompt",
    "input",
    "user_input",
    "userinput",
    "input_text",
    "text",
    "content",
    "utterance",
    "msg",
    "q",
)
"""Names of the field with the user's text, the likeliest first."""
SESSION_NAMES = frozenset(
    f"{what}{joint}id"
    for what in ("session", "conversation", "thread", "chat", "context", "dialog", "dialogue")
    for joint in ("", "_", "-")
) | {"session", "conversation", "thread"}
"""Names of the field with the id of a conversation, in lower case."""

_MOST_ROUTES = 500
_DEPTH = 8
_NESTED = 3
"""How deep schemas that are put together are followed: they may refer to themselves."""
_SIGNS = (
    ("ag-ui", {"threadid", "runid", "messages"}),
    ("vercel-ai", {"id", "messages", "trigger"}),
    ("anthropic-messages", {"model", "messages", "maxtokens", "system", "stopsequences"}),
    ("openai-chat", {"model", "messages"}),
    ("openai-responses", {"model", "input", "previousresponseid"}),
)
"""Fields, in lower case and without `_`, by which a protocol is known; the first that fits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyGuess:
    """A request body as `http_json.body` has it, and the fields whose values are made up."""

    body: dict[str, Any]
    to_fill: tuple[str, ...] = ()


def accepted_at(document: Any, path: str) -> tuple[str | None, BodyGuess | None]:
    """Return the protocol of the route that `path` is, and the body if the protocol is its own."""
    for route, schema in _routes(document):
        if _matches(route, path):
            return _accepted(document, schema, any_text=True)
    return None, None


def posted_routes(document: Any) -> Iterator[tuple[str, str, BodyGuess | None]]:
    """Yield the routes without parameters that take a message: path, protocol, body."""
    for route, schema in _routes(document):
        if "{" not in route:
            protocol, guess = _accepted(document, schema, any_text=False)
            if protocol is not None:
                yield route, protocol, guess


def _routes(document: Any) -> Iterator[tuple[str, Any]]:
    paths = mapping(mapping(document).get("paths"))
    for route, methods in list(paths.items())[:_MOST_ROUTES]:
        post = mapping(methods).get("post")
        if isinstance(post, dict):
            content = mapping(mapping(post.get("requestBody")).get("content"))
            yield route, mapping(content.get("application/json")).get("schema")


def _matches(route: str, path: str) -> bool:
    pieces = re.split(r"\{[^{}]*\}", route.rstrip("/"))
    return re.fullmatch("[^/]+".join(map(re.escape, pieces)), path) is not None


def _accepted(document: Any, schema: Any, *, any_text: bool) -> tuple[str | None, BodyGuess | None]:
    fields, required = _fields(document, schema, _NESTED)
    names = {name.lower().replace("_", "") for name in fields}
    for protocol, signs in _SIGNS:
        if signs <= names:
            return protocol, None
    guess = _guess(document, fields, required, any_text=any_text)
    return ("http-json", guess) if guess is not None else (None, None)


def _fields(document: Any, schema: Any, depth: int) -> tuple[dict[str, Any], frozenset[str]]:
    """Return the fields of an object and which it requires; of alternatives, the first object."""
    schema = _resolved(document, schema)
    properties = dict(mapping(schema.get("properties")))
    listed = schema.get("required")
    required = {r for r in listed if isinstance(r, str)} if isinstance(listed, list) else set()
    if depth:
        for part in mappings(schema.get("allOf"))[:_DEPTH]:
            more, needed = _fields(document, part, depth - 1)
            properties |= more
            required |= needed
        if not properties:
            choices = mappings(schema.get("anyOf")) or mappings(schema.get("oneOf"))
            for choice in choices[:2]:
                properties, needed = _fields(document, choice, depth - 1)
                if properties:
                    return properties, needed
    return properties, frozenset(required)


def _resolved(document: Any, schema: Any) -> dict[str, Any]:
    for _ in range(_DEPTH):
        target = string(mapping(schema).get("$ref"))
        if target is None or not target.startswith("#/"):
            break
        schema = document
        for step in target[2:].split("/"):
            schema = mapping(schema).get(step.replace("~1", "/").replace("~0", "~"))
    return mapping(schema)


def _type(document: Any, schema: Any) -> str | None:
    """Return the type of a field; of one that may be null, the other type."""
    schema = _resolved(document, schema)
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((k for k in kind if k != "null"), None)
    if kind is None:
        choices = (
            _resolved(document, s).get("type") for s in mappings(schema.get("anyOf"))[:_DEPTH]
        )
        kind = next((k for k in choices if isinstance(k, str) and k != "null"), None)
    return string(kind)


def _guess(
    document: Any, fields: dict[str, Any], required: frozenset[str], *, any_text: bool
) -> BodyGuess | None:
    texts = [name for name in fields if _type(document, fields[name]) == "string"]
    sessions = [name for name in texts if name.lower() in SESSION_NAMES]
    text = next((n for known in TEXT_NAMES for n in texts if n.lower() == known), None)
    body: dict[str, Any] = {}
    if text is not None:
        body[text] = "{{ user }}"
    elif "messages" in fields and _type(document, fields["messages"]) == "array":
        text = "messages"
        body[text] = [{"role": "user", "content": "{{ user }}"}]
    else:
        others = [name for name in texts if name in required and name not in sessions]
        if not any_text or len(others) != 1:
            return None
        text = others[0]
        body[text] = "{{ user }}"
    body |= dict.fromkeys(sessions, "{{ session_id }}")
    made_up = []
    for name, field in fields.items():
        if name in required and name not in body and "{{" not in name:
            body[name], is_told = _value(document, field)
            if not is_told:
                made_up.append(name)
    return BodyGuess(body=body, to_fill=tuple(made_up))


def _value(document: Any, schema: Any) -> tuple[Any, bool]:
    """Return a value for a field that is required, and whether the document told it."""
    schema = _resolved(document, schema)
    examples, choices = schema.get("examples"), schema.get("enum")
    told = [schema.get("const"), schema.get("default"), schema.get("example")]
    told += examples[:1] if isinstance(examples, list) else []
    told += choices[:1] if isinstance(choices, list) else []
    for item in told:
        if isinstance(item, str | int | float | bool) and "{{" not in str(item):
            return item, True
    empty = {"string": "", "integer": 0, "number": 0, "boolean": False, "array": [], "object": {}}
    return empty.get(_type(document, schema) or ""), False
