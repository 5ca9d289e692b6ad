"""OpenAI Chat Completions: `POST .../chat/completions`.

Shapes: https://platform.openai.com/docs/api-reference/chat. `usage`: the cached tokens are inside
`prompt_tokens`, the reasoning tokens inside `completion_tokens`. A stream carries it only where
`stream_options.include_usage` asks for it: then in an additional last chunk, without choices, and
every other chunk has `"usage": null`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from profiler.endpoints.json_values import (
    count,
    index_of,
    json_text,
    mapping,
    mappings,
    parsed,
    string,
    text_of,
)
from profiler.measure.records import Usage
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
    from collections.abc import Iterator

_RESULT_ROLES = frozenset({"tool", "function"})
_Key = tuple[int | str, ...]


class Chat:
    """The API as the gateway reads it."""

    name = "chat_completions"

    def matches(self, path: str) -> bool:
        """Match any prefix: providers and Azure put the API below paths of their own."""
        return path.endswith("/chat/completions")

    def read_request(self, body: dict[str, Any]) -> CallRequest:
        """Read model, last user message and new tool results."""
        messages = mappings(body.get("messages"))
        return request_of(
            body.get("model"),
            is_stream=body.get("stream") is True,
            newest_first=map(_turn, reversed(messages)),
        )

    def countable(self, body: dict[str, Any]) -> Countable:
        """Return messages and tools, without what has a wrong shape."""
        messages = [_clean(message) for message in mappings(body.get("messages"))]
        tools = mappings(body.get("tools"))
        tools += [{"function": item} for item in mappings(body.get("functions"))]
        return Countable(messages=messages, tools=tools)

    def read_answer(self, data: bytes) -> CallAnswer:
        """Read a `chat.completion` object."""
        body = parsed(data)
        if not isinstance(body, dict):
            return UNREADABLE
        texts: list[str] = []
        asked: list[ToolAsked] = []
        for choice in mappings(body.get("choices")):
            message = mapping(choice.get("message"))
            texts.extend((text_of(message.get("content")), text_of(message.get("refusal"))))
            for call in mappings(message.get("tool_calls")):
                name, arguments = _function(call)
                texts.extend((name, arguments))
                if isinstance(call.get("id"), str):
                    asked.append(ToolAsked(id=call["id"], name=name))
            if isinstance(message.get("function_call"), dict):
                texts.extend(_function({"function": message["function_call"]}))
        return CallAnswer(
            model=string(body.get("model")),
            usage=usage_of(body.get("usage")),
            texts=tuple(text for text in texts if text),
            asked=tuple(asked),
            fault=AnswerFault.ERROR if body.get("error") is not None else None,
        )

    def stream(self) -> ChatStream:
        """Return a reader of `chat.completion.chunk` objects."""
        return ChatStream()


def usage_of(block: Any) -> Usage | None:
    """Read `usage`; what it does not say stays None."""
    if not isinstance(block, dict):
        return None
    prompt = mapping(block.get("prompt_tokens_details"))
    completion = mapping(block.get("completion_tokens_details"))
    usage = Usage(
        input_tokens=count(block.get("prompt_tokens")),
        output_tokens=count(block.get("completion_tokens")),
        cached_input_tokens=count(prompt.get("cached_tokens")),
        cache_write_tokens=count(prompt.get("cache_write_tokens")),
        reasoning_tokens=count(completion.get("reasoning_tokens")),
    )
    return None if usage == Usage() else usage


class ChatStream(EventReader):
    """Complete with `[DONE]`, or with a `finish_reason` where the provider sends no `[DONE]`."""

    def __init__(self) -> None:
        super().__init__()
        self._block: Any = None

    def _take(self, item: dict[str, Any]) -> bool:
        if item.get("error") is not None:
            self._fault = AnswerFault.ERROR
        if item.get("usage") is not None:
            self._block = item["usage"]
        if self._model is None:
            self._model = string(item.get("model"))
        has_output = False
        for choice in mappings(item.get("choices")):
            if choice.get("finish_reason") is not None:
                self._is_complete = True
            position, delta = index_of(choice.get("index")), mapping(choice.get("delta"))
            for key, piece in self._output(position, delta):
                has_output = has_output or piece != ""
                self._say(key, piece)
            # Not OpenAI's own, but widely spoken; not counted, as reasoning is nowhere.
            has_output = has_output or text_of(delta.get("reasoning_content")) != ""
        return has_output

    def _output(self, choice: int, delta: dict[str, Any]) -> Iterator[tuple[_Key, str]]:
        for kind in ("content", "refusal"):
            yield (choice, kind), text_of(delta.get(kind))
        for call in mappings(delta.get("tool_calls")):
            name, arguments = _function(call)
            self._ask(call.get("id"), name)
            position = index_of(call.get("index"))
            yield (choice, position, "name"), name
            yield (choice, position, "arguments"), arguments
        if isinstance(delta.get("function_call"), dict):
            name, arguments = _function({"function": delta["function_call"]})
            yield (choice, "function", "name"), name
            yield (choice, "function", "arguments"), arguments

    def _usage(self) -> Usage | None:
        return usage_of(self._block)


def _turn(message: dict[str, Any]) -> Turn:
    role = message.get("role")
    if role == "user":
        return Turn(speaker=Speaker.USER, text=text_of(message.get("content")))
    if role == "assistant":
        return Turn(speaker=Speaker.ASSISTANT)
    if isinstance(role, str) and role in _RESULT_ROLES:
        call_id = message.get("tool_call_id")
        return Turn(speaker=Speaker.RESULTS, ids=(call_id,) if isinstance(call_id, str) else ())
    return Turn(speaker=Speaker.OTHER)


def _function(call: dict[str, Any]) -> tuple[str, str]:
    """Return name and arguments of a function call, or name and input of a custom one."""
    function = mapping(call.get("function"))
    if function:
        return string(function.get("name")) or "", json_text(function.get("arguments"))
    custom = mapping(call.get("custom"))
    return string(custom.get("name")) or "", json_text(custom.get("input"))


def _clean(message: dict[str, Any]) -> dict[str, Any]:
    """Return what is counted of a message."""
    clean: dict[str, Any] = {
        "role": string(message.get("role")) or "",
        "content": message.get("content"),
    }
    if isinstance(message.get("name"), str):
        clean["name"] = message["name"]
    calls = mappings(message.get("tool_calls"))
    if isinstance(message.get("function_call"), dict):
        calls.append({"function": message["function_call"]})
    if calls:
        functions = map(_function, calls)
        clean["tool_calls"] = [
            {"function": {"name": name, "arguments": arguments}} for name, arguments in functions
        ]
    return clean
