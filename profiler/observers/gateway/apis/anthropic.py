"""Anthropic Messages: `POST .../v1/messages`.

Shapes: https://docs.claude.com/en/api/messages and .../en/docs/build-with-claude/streaming.
`usage.input_tokens` is what was neither read from nor written to the cache; the whole input is the
sum with `cache_creation_input_tokens` and `cache_read_input_tokens`. In a stream `message_start`
has the first figures, and each `message_delta` cumulative ones: the last that are given count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from profiler.endpoints.anthropic_messages import usage_from
from profiler.endpoints.json_values import (
    index_of,
    json_text,
    mapping,
    mappings,
    parsed,
    string,
    text_of,
)
from profiler.observers.gateway.apis.reading import (
    UNREADABLE,
    EventReader,
    Speaker,
    Turn,
    request_of,
)
from profiler.observers.gateway.apis.values import (
    AnswerFault,
    CallAnswer,
    CallRequest,
    Countable,
    ToolAsked,
)

if TYPE_CHECKING:
    from profiler.measure.records import Usage

_DELTAS = {"text_delta": "text", "input_json_delta": "partial_json", "thinking_delta": "thinking"}


class Anthropic:
    """The API as the gateway reads it."""

    name = "anthropic_messages"

    def matches(self, path: str) -> bool:
        """Match with the version: OpenAI's threads have `/messages`, too."""
        return path.endswith("/v1/messages")

    def read_request(self, body: dict[str, Any]) -> CallRequest:
        """Read model, last user message and new tool results."""
        return request_of(
            body.get("model"),
            is_stream=body.get("stream") is True,
            newest_first=map(_turn, reversed(mappings(body.get("messages")))),
        )

    def countable(self, body: dict[str, Any]) -> Countable:
        """Return messages and tools in chat form.

        What an agent writes beside tool results counts as part of these: it is no user's message.
        """
        messages: list[dict[str, Any]] = []
        if body.get("system") is not None:
            messages.append({"role": "system", "content": body["system"]})
        for message in mappings(body.get("messages")):
            messages.extend(_chat_form(message))
        tools = [
            {
                "function": {
                    "name": tool.get("name"),
                    "description": tool.get("description"),
                    "parameters": tool.get("input_schema"),
                }
            }
            for tool in mappings(body.get("tools"))
        ]
        return Countable(messages=messages, tools=tools)

    def read_answer(self, data: bytes) -> CallAnswer:
        """Read a `message` object."""
        body = parsed(data)
        if not isinstance(body, dict):
            return UNREADABLE
        texts: list[str] = []
        asked: list[ToolAsked] = []
        for block in mappings(body.get("content")):
            texts.append(string(block.get("text")) or "")
            if block.get("type") == "tool_use":
                name = string(block.get("name")) or ""
                texts.extend((name, json_text(block.get("input"))))
                if isinstance(block.get("id"), str):
                    asked.append(ToolAsked(id=block["id"], name=name))
        return CallAnswer(
            model=string(body.get("model")),
            usage=usage_from(body.get("usage")),
            texts=tuple(text for text in texts if text),
            asked=tuple(asked),
            fault=AnswerFault.ERROR if body.get("type") == "error" else None,
        )

    def stream(self) -> AnthropicStream:
        """Return a reader of message events."""
        return AnthropicStream()


class AnthropicStream(EventReader):
    """Complete with `message_stop`."""

    def __init__(self) -> None:
        super().__init__()
        self._block: dict[str, Any] = {}

    def _take(self, item: dict[str, Any]) -> bool:
        match item.get("type"):
            case "message_start":
                message = mapping(item.get("message"))
                self._model = string(message.get("model"))
                self._update(message.get("usage"))
            case "content_block_start":
                block = mapping(item.get("content_block"))
                if block.get("type") == "tool_use":
                    self._say(
                        (index_of(item.get("index")), "name"), string(block.get("name")) or ""
                    )
                    self._ask(block.get("id"), block.get("name"))
                return False
            case "content_block_delta":
                return self._delta(index_of(item.get("index")), mapping(item.get("delta")))
            case "message_delta":
                self._update(item.get("usage"))
            case "message_stop":
                self._is_complete = True
            case "error":
                self._fault = AnswerFault.ERROR
        return False

    def _delta(self, block: int, delta: dict[str, Any]) -> bool:
        kind = delta.get("type")
        key = _DELTAS.get(kind) if isinstance(kind, str) else None
        text = string(delta.get(key)) if key is not None else None
        if text and key != "thinking":
            self._say((block, key), text)
        return bool(text)

    def _update(self, usage: Any) -> None:
        self._block |= {key: item for key, item in mapping(usage).items() if item is not None}

    def _usage(self) -> Usage | None:
        return usage_from(self._block)


def _turn(message: dict[str, Any]) -> Turn:
    role, content = message.get("role"), message.get("content")
    if role == "assistant":
        return Turn(speaker=Speaker.ASSISTANT)
    if role != "user":
        return Turn(speaker=Speaker.OTHER)
    ids = tuple(
        block["tool_use_id"]
        for block in mappings(content)
        if block.get("type") == "tool_result" and isinstance(block.get("tool_use_id"), str)
    )
    if ids:
        return Turn(speaker=Speaker.RESULTS, ids=ids)
    return Turn(speaker=Speaker.USER, text=text_of(content))


def _chat_form(message: dict[str, Any]) -> list[dict[str, Any]]:
    role, content = string(message.get("role")) or "", message.get("content")
    results: list[dict[str, Any]] = []
    parts: list[dict[str, Any]] = []
    calls: list[dict[str, Any]] = []
    for block in mappings(content):
        match block.get("type"):
            case "tool_result":
                results.append({"role": "tool", "content": block.get("content")})
            case "tool_use" | "server_tool_use":
                name, given = string(block.get("name")) or "", json_text(block.get("input"))
                calls.append({"function": {"name": name, "arguments": given}})
            case _ if isinstance(block.get("text"), str):
                parts.append({"text": block["text"]})
    if results:
        if parts:
            results.append({"role": "tool", "content": parts})
        return results
    clean: dict[str, Any] = {
        "role": role,
        "content": content if isinstance(content, str) else parts,
    }
    if calls:
        clean["tool_calls"] = calls
    return [clean]
