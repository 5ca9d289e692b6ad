"""Chat Completions as data: a request that was checked, and the objects that answer it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import orjson

from profiler.measure.tokens import TokenCounter, encoding_name_for_model
from profiler.mock.wire import HttpError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROLES = ("system", "developer", "user", "assistant", "tool", "function")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """What `POST /v1/chat/completions` asks for. Sampling parameters are accepted and ignored."""

    model: str
    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]]
    stream: bool
    include_usage: bool

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> ChatRequest:
        """Check a body. Raises `HttpError` 400 in OpenAI's words."""
        model = body.get("model")
        if not isinstance(model, str) or not model:
            raise HttpError(400, "you must provide a model parameter", param="model")
        stream = body.get("stream")
        if stream is not None and not isinstance(stream, bool):
            raise _wrong_type("stream", "a boolean")
        options = body.get("stream_options") or {}
        if not isinstance(options, dict):
            raise _wrong_type("stream_options", "an object")
        if options and not stream:
            raise HttpError(
                400,
                "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
                param="stream_options",
            )
        return cls(
            model=model,
            messages=_messages(body.get("messages")),
            tools=_tools(body.get("tools")),
            stream=bool(stream),
            include_usage=bool(options.get("include_usage")),
        )

    def digest(self) -> str:
        """Return a hash of what the answer depends on: model, messages and tools."""
        content = orjson.dumps([self.model, self.messages, self.tools])
        return hashlib.blake2b(content, digest_size=16).hexdigest()


def _wrong_type(param: str, expected: str) -> HttpError:
    message = f"Invalid type for '{param}': expected {expected}."
    return HttpError(400, message, param=param, code="invalid_type")


def _messages(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list):
        raise _wrong_type("messages", "an array of objects")
    if not value:
        message = "Invalid 'messages': empty array. Expected an array with minimum length 1."
        raise HttpError(400, message, param="messages", code="empty_array")
    for place, message in enumerate(value):
        at = f"messages[{place}]"
        if not isinstance(message, dict):
            raise _wrong_type(at, "an object")
        if message.get("role") not in ROLES:
            supported = ", ".join(f"'{role}'" for role in ROLES)
            text = f"Invalid value: {message.get('role')!r}. Supported values are: {supported}."
            raise HttpError(400, text, param=f"{at}.role", code="invalid_value")
        if not isinstance(message.get("content"), str | list | None):
            raise _wrong_type(f"{at}.content", "a string or an array of objects")
        if not isinstance(message.get("tool_calls"), list | None):
            raise _wrong_type(f"{at}.tool_calls", "an array of objects")
    return value


def _tools(value: Any) -> list[dict[str, Any]]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise _wrong_type("tools", "an array of objects")
    for place, tool in enumerate(value):
        function = tool.get("function") if isinstance(tool, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            text = f"Missing required parameter: 'tools[{place}].function.name'."
            raise HttpError(400, text, param="tools", code="missing_required_parameter")
    return value


@lru_cache(maxsize=256)
def _encoding_name(model: str) -> str:
    return encoding_name_for_model(model)[0]


class Counters:
    """One token counter for each encoding; the mocks of one process share them and their caches."""

    def __init__(self) -> None:
        self._counters: dict[str, TokenCounter] = {}

    def for_model(self, model: str) -> TokenCounter:
        """Return the counter for a model's encoding. Call on the event loop, count off it."""
        name = _encoding_name(model)
        if name not in self._counters:
            self._counters[name] = TokenCounter(name)
        return self._counters[name]


def usage_block(prompt: int, completion: int, cached: int, reasoning: int = 0) -> dict[str, Any]:
    """Return OpenAI's `usage` object."""
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What every object of one answer has in common."""

    id: str
    created: int
    model: str
    fingerprint: str

    def completion(
        self, message: Mapping[str, Any], finish_reason: str, usage: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return a plain answer."""
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish_reason}
        return {**self._head("chat.completion"), "choices": [choice], "usage": usage}

    def chunk(self, delta: Mapping[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
        """Return one chunk of a streamed answer."""
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return {**self._head("chat.completion.chunk"), "choices": [choice]}

    def last_chunk(self, **more: Any) -> dict[str, Any]:
        """Return the chunk without choices that carries the usage."""
        return {**self._head("chat.completion.chunk"), "choices": [], **more}

    def _head(self, kind: str) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": self.fingerprint,
        }


def previous_prompt(messages: Sequence[Mapping[str, Any]]) -> int:
    """Return how many messages the previous call of this conversation had; 0 for the first call.

    That is everything before the last assistant message that follows a user message.
    """
    first_user = next((n for n, m in enumerate(messages) if m.get("role") == "user"), None)
    if first_user is None:
        return 0
    for place in range(len(messages) - 1, first_user, -1):
        if messages[place].get("role") == "assistant":
            return place
    return 0
