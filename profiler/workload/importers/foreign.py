"""Chat messages of many dialects, as logs have them, to OpenAI's.

Read are: OpenAI chat messages and content parts; items of OpenAI's Responses API; Anthropic's
content blocks (`tool_use`, `tool_result`); OpenTelemetry's GenAI messages (`parts` of `text`,
`tool_call`, `tool_call_response`); the AI SDK's UI messages (`parts` of `text`, `tool-NAME`);
Gemini's `contents` (`role: model`, `parts` with `functionCall`); LangChain's (`type: human`). What
is none of that is left out. What is nested too deeply is a RefusedError.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from profiler.workload.importers import attachments
from profiler.workload.importers.messages import ATTACHED, arguments_text, json_text, shortened

if TYPE_CHECKING:
    from collections.abc import Iterator

    from profiler.workload.conversations import Message

_ROLES = {
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "ai": "assistant",
    "model": "assistant",
    "AIMessageChunk": "assistant",
    "tool": "tool",
    "function": "tool",
    "system": "system",
    "developer": "system",
}
CALLING_KEYS = {"role", "content", "tool_calls"}
TOLD_KEYS = {"role", "content", "tool_call_id"}
"""What OpenAI's own messages have that call tools, and those that hold what a tool gave."""
_OF_CALL = ("id", "type", "function")
_OF_FUNCTION = ("name", "arguments")
_TEXT_ROLES = ("system", "user", "assistant")
_TEXTS = frozenset({"text", "input_text", "output_text"})
_CALLS = frozenset({"tool_call", "tool_use", "function_call", "functionCall"})
_RESULTS = frozenset({"tool_call_response", "tool_result", "function_call_output"})
_USER_KEYS = (
    "message",
    "query",
    "question",
    "user_input",
    "user_message",
    "prompt",
    "text",
    "content",
    "input",
    "inputs",
)
_ANSWER_KEYS = ("reply", "response", "answer", "output", "message", "text", "content", "result")
_TEXTUAL = (str, bytes)
_OPENING = ("{", "[", b"{", b"[")
_LISTS = ("messages", "contents", "input", "choices", "output", "candidates")
_MOST_DEPTH = 8


def parsed(value: Any) -> Any:
    """Return what the JSON in a text, or in the bytes of one, says; anything else as it is."""
    if isinstance(value, _TEXTUAL) and value.lstrip()[:1] in _OPENING:
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            pass
    return value.decode() if isinstance(value, bytes) else value


def messages(value: Any, notes: dict[str, None] | None = None) -> list[Message]:
    """Return OpenAI chat messages of a list of messages in any dialect, or JSON text of one.

    Messages of roles that are not known are left out, and named in `notes`; as is what the user's
    last message has beside text.
    """
    value = parsed(value)
    if isinstance(value, dict):
        for key in _LISTS:
            if isinstance(value.get(key), list):
                return [*_preamble(value), *messages(value[key], notes)]
        value = [value]
    if not isinstance(value, list):
        return []
    if notes is not None and attachments.are_in_last(value):
        notes[ATTACHED] = None
    return _of_list(value, notes)


def _of_list(value: list[Any], notes: dict[str, None] | None) -> list[Message]:
    found: list[Message] = []
    for item in value:
        if type(item) is dict:
            role, content = item.get("role"), item.get("content")
            # By far the most: a role and a text.
            if len(item) == 2 and type(content) is str and role in _TEXT_ROLES:  # noqa: PLR2004
                found.append(item)
                continue
            if (usual := _usual(item, role, content)) is not None:
                found.append(usual)
                continue
        while isinstance(item, list) and len(item) == 1:  # LangChain: one list for each prompt
            item = item[0]  # noqa: PLW2901
        if isinstance(item, list):
            found.extend(messages(item, notes) if _is_shallow(item) else ())
        elif isinstance(item, dict):
            found.extend(_converted(item))
            role = item.get("role")
            if notes is not None and isinstance(role, str) and role not in _ROLES:
                notes[f"a message of the unknown role {shortened(role)}, left out"] = None
    return found


def _usual(item: dict[str, Any], role: Any, content: Any) -> Message | None:
    """Return what `_converted` would of OpenAI's own tool calls and results, but sooner.

    None for all others.
    """
    if role == "tool":
        call_id = item.get("tool_call_id")
        if type(content) is type(call_id) is str and item.keys() == TOLD_KEYS:
            told: Message = {"role": "tool", "content": content}
            return {**told, "tool_call_id": call_id} if call_id else told
    elif role == "assistant" and item.keys() == CALLING_KEYS:
        calls = item["tool_calls"]
        if (content is None or type(content) is str) and type(calls) is list:
            return asked(content or "", [_call(made) for made in calls if type(made) is dict])
    return None


def _is_shallow(value: Any, depth: int = _MOST_DEPTH) -> bool:
    if depth == 0:
        return False
    return not isinstance(value, list) or all(_is_shallow(item, depth - 1) for item in value)


def _preamble(value: dict[str, Any]) -> list[Message]:
    """Return the system prompt that stands beside the messages (Anthropic, Responses)."""
    for key in ("system", "instructions", "system_instruction"):
        if text := text_of(value.get(key)):
            return [{"role": "system", "content": text}]
    return []


def _converted(item: dict[str, Any]) -> Iterator[Message]:
    """Yield the messages that one message of some dialect comes to."""
    inner = item.get("message", item.get("data", item.get("content")))
    if "role" not in item and isinstance(inner, dict) and ("role" in inner or "content" in inner):
        item = {
            "type": item.get("type"),
            **inner,
        }  # a choice, LangChain's {type, data}, a candidate
    if isinstance(item.get("kwargs"), dict) and item.get("type") == "constructor":
        item = item["kwargs"]  # LangChain's serialisation
    kind = item.get("type")
    if isinstance(kind, str) and kind in _CALLS:
        yield {"role": "assistant", "content": None, "tool_calls": [_call(item)]}
        return
    if isinstance(kind, str) and kind in _RESULTS:
        yield _result(item)
        return
    role = item.get("role")
    role = _ROLES.get(role) if isinstance(role, str) else _ROLES.get(_kind(item))
    if role is None:
        return
    parts = item.get("parts", item.get("content"))
    blocks = [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
    if role == "tool" and not any(_is_result(block) for block in blocks):
        yield _result(item)
        return
    results = [_result(_unwrapped(block)) for block in blocks if _is_result(block)]
    text = text_of(parts)
    calls = [_call(_unwrapped(block)) for block in blocks if _is_call(block)]
    more = item.get("tool_calls")
    calls.extend(_call(c) for c in (more if isinstance(more, list) else ()) if isinstance(c, dict))
    if role == "assistant":
        yield asked(text, calls)
        yield from results  # the AI SDK has them in the assistant's message
        return
    yield from results
    if text or not results:
        yield {"role": role, "content": text}


def _kind(item: dict[str, Any]) -> str:
    kind = item.get("type")
    return kind if isinstance(kind, str) else ""


def asked(text: str, calls: list[dict[str, Any]]) -> Message:
    """Return an assistant's message with what it says and the tools it asks for."""
    message: Message = {"role": "assistant", "content": text or None if calls else text}
    return {**message, "tool_calls": calls} if calls else message


def text_of(value: Any, depth: int = _MOST_DEPTH) -> str:
    """Return the text of content: a string, one part, or parts, joined; empty without any."""
    if isinstance(value, str):
        return value
    if depth == 0:
        return ""
    if isinstance(value, list):
        return "".join(text_of(part, depth - 1) for part in value)
    if isinstance(value, dict):
        if _kind(value) in _TEXTS or "type" not in value:
            for key in ("text", "content"):
                if isinstance(value.get(key), str):
                    return str(value[key])
        if isinstance(value.get("parts"), list):
            return text_of(value["parts"], depth - 1)
    return ""


def _is_call(block: dict[str, Any]) -> bool:
    kind = _kind(block)
    return kind in _CALLS or "functionCall" in block or "function_call" in block or _is_ui(block)


def _is_ui(block: dict[str, Any]) -> bool:
    """Say whether this is a tool part of the AI SDK: its call, and its result where it has one."""
    kind = _kind(block)
    return kind == "dynamic-tool" or (kind.startswith("tool-") and "toolCallId" in block)


def _is_result(block: dict[str, Any]) -> bool:
    if _is_ui(block):
        return "output" in block
    return _kind(block) in _RESULTS or "functionResponse" in block or "function_response" in block


def _unwrapped(block: dict[str, Any]) -> dict[str, Any]:
    """Return a tool part with the keys that the others have."""
    if _is_ui(block):
        name = block.get("toolName") or _kind(block).removeprefix("tool-")
        return {**block, "name": name, "id": block.get("toolCallId")}
    for key in ("functionCall", "function_call", "functionResponse", "function_response"):
        inner = block.get(key)
        if isinstance(inner, dict):
            return inner
    return block


def call(name: str, arguments: Any, call_id: Any = None) -> dict[str, Any]:
    """Return a tool call as OpenAI has it."""
    return {
        "id": call_id if isinstance(call_id, str) else "",
        "type": "function",
        "function": {"name": name, "arguments": arguments_text(arguments)},
    }


def _call(item: dict[str, Any]) -> dict[str, Any]:
    function = item.get("function")
    if type(function) is dict and tuple(item) == _OF_CALL and tuple(function) == _OF_FUNCTION:
        name, arguments, kind = function["name"], function["arguments"], item["type"]
        if name and type(name) is type(arguments) is type(item["id"]) is str and kind == "function":
            return item  # as OpenAI has it, already
    inner = function if isinstance(function, dict) else item
    name, arguments = inner.get("name"), inner.get("arguments")
    if arguments is None:
        arguments = inner.get("input") if inner.get("input") is not None else inner.get("args")
    call_id = item.get("call_id") or item.get("id")
    return call(name if isinstance(name, str) and name else "unknown", arguments, call_id)


def _result(item: dict[str, Any]) -> Message:
    value = next(
        (item[key] for key in ("result", "response", "output", "content", "parts") if key in item),
        None,
    )
    message: Message = {"role": "tool", "content": result_text(value)}
    for key in ("tool_call_id", "tool_use_id", "call_id", "toolCallId", "id"):
        if isinstance(item.get(key), str) and item[key]:
            message["tool_call_id"] = item[key]
            break
    if isinstance(item.get("name"), str):
        message["name"] = item["name"]
    return message


def result_text(value: Any) -> str:
    """Return a tool's result as text. Raises RefusedError."""
    if isinstance(value, str):
        return value
    return text_of(value) or ("" if value is None else json_text(value))


def assistant(value: Any, notes: dict[str, None] | None = None) -> Message:
    """Return what an LLM answered as one message: its text, and the tools it asked for."""
    value = parsed(value)
    if isinstance(value, str):
        return {"role": "assistant", "content": value}
    only = value[0] if type(value) is list and len(value) == 1 else value
    if type(only) is dict and len(only) == 2 and only.get("role") == "assistant":  # noqa: PLR2004
        text = only.get("content")
        if type(text) is str:  # by far the most
            return {"role": "assistant", "content": text}
    said = [m for m in messages(value, notes) if m["role"] == "assistant"]
    if not said:
        return {"role": "assistant", "content": text_of(value)}
    calls = [made for message in said for made in message.get("tool_calls") or ()]
    return asked("".join(message["content"] or "" for message in said), calls)


def answer(value: Any, depth: int = 4) -> str | None:
    """Return what an agent answered: text, messages, or an object with them."""
    value = parsed(value)
    if isinstance(value, str):
        return value or None
    if text := assistant(value)["content"]:
        return str(text)
    if isinstance(value, dict) and depth:
        for key in _ANSWER_KEYS:
            if value.get(key) is not None and (text := answer(value[key], depth - 1)):
                return str(text)
    return None


def last_user(value: Any, notes: dict[str, None] | None = None) -> str | None:
    """Return the text of the last user message in a list of messages of any dialect."""
    return last_said(messages(value, notes))


def last_said(said: list[Message]) -> str | None:
    """Return the text of the last user message, None where it is blank."""
    texts = [m["content"] for m in said if m["role"] == "user"]
    return texts[-1] if texts and texts[-1].strip() else None


def asked_by_user(value: Any, notes: dict[str, None] | None = None, depth: int = 4) -> str | None:
    """Return what the user said in an agent's input: text, messages, or an object with them.

    `notes` as of `messages`.
    """
    value = parsed(value)
    if isinstance(value, str):
        return value if value.strip() else None
    if (text := last_user(value, notes)) is not None:
        return text
    if not isinstance(value, dict) or depth == 0:
        return None
    for key in _USER_KEYS:
        if value.get(key) is not None and (text := asked_by_user(value[key], notes, depth - 1)):
            return text
    arguments = value.get("kwargs") or value.get("args")
    if isinstance(arguments, list):
        arguments = arguments[0] if arguments else None
    return asked_by_user(arguments, notes, depth - 1) if arguments is not None else None
