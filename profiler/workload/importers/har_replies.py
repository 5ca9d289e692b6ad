"""What an agent answered, from the body of a recorded response: JSON, or events of a stream.

Read are the deltas of OpenAI's Chat Completions and Responses, AG-UI's events, the AI SDK's UI
message stream, and of everything else the text that looks like an answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from profiler.workload.importers import foreign
from profiler.workload.importers.messages import arguments_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from profiler.workload.conversations import Message


def replies_of(text: str, media: str) -> list[Message]:
    """Return the messages of an answer; none where nothing in it can be read as one."""
    if "event-stream" in media or text.lstrip()[:5] in ("data:", "event"):
        return _Stream().read(text)
    found = foreign.messages(text)
    if any(message["role"] == "assistant" for message in found):
        last = max((i for i, m in enumerate(found) if m["role"] == "user"), default=-1)
        return [m for m in found[last + 1 :] if m["role"] in ("assistant", "tool")]
    said = foreign.answer(text)
    return [{"role": "assistant", "content": said}] if said else []


class _Stream:
    """Gathers what a stream's events say: text, tool calls with arguments, their results."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._calls: dict[str, dict[str, Any]] = {}
        self._results: dict[str, str] = {}
        self._is_full = False

    def read(self, text: str) -> list[Message]:
        for event in _events(text):
            self._add(event)
        said = "".join(self._text)
        calls = [
            foreign.call(c["name"], c["arguments"] or "{}", key) for key, c in self._calls.items()
        ]
        found: list[Message] = [foreign.asked("", calls)] if calls else []
        found.extend(
            {"role": "tool", "content": result, "tool_call_id": key}
            for key, result in self._results.items()
            if key in self._calls
        )
        return [*found, {"role": "assistant", "content": said}] if said else found

    def _add(self, event: dict[str, Any]) -> None:
        kind = event.get("type")
        delta = event.get("delta")
        match kind:
            case "TEXT_MESSAGE_CONTENT" | "TEXT_MESSAGE_CHUNK" | "text-delta":
                self._say(delta)
            case "response.output_text.delta":
                self._say(delta)
            case "TOOL_CALL_START":
                self._call(event.get("toolCallId"), event.get("toolCallName"), "")
            case "TOOL_CALL_ARGS":
                self._more(event.get("toolCallId"), delta)
            case "TOOL_CALL_RESULT":
                self._result(event.get("toolCallId"), event.get("content"))
            case "tool-input-available":
                given = event.get("input")
                self._call(event.get("toolCallId"), event.get("toolName"), given)
            case "tool-output-available":
                self._result(event.get("toolCallId"), event.get("output"))
            case "response.output_item.done":
                item = event.get("item")
                if isinstance(item, dict) and item.get("type") == "function_call":
                    self._call(item.get("call_id"), item.get("name"), item.get("arguments"))
            case None:
                self._chat(event)

    def _chat(self, event: dict[str, Any]) -> None:
        """Take a chunk of Chat Completions, or an object that has a text."""
        choices = event.get("choices")
        if not isinstance(choices, list):
            for key in ("delta", "token", "content", "text"):
                if isinstance(event.get(key), str):
                    self._say(event[key])
                    return
            return
        for choice in choices[:1]:
            delta = choice.get("delta") if isinstance(choice, dict) else None
            if not isinstance(delta, dict):
                continue
            self._say(delta.get("content"))
            calls = delta.get("tool_calls")
            for call in calls if isinstance(calls, list) else ():
                function = call.get("function") if isinstance(call, dict) else None
                if not isinstance(function, dict):
                    continue
                key = f"call-{call.get('index', 0)}"
                if key not in self._calls:
                    self._call(key, function.get("name"), "")
                self._more(key, function.get("arguments"))

    def _say(self, text: Any) -> None:
        if isinstance(text, str):
            self._text.append(text)

    def _call(self, key: Any, name: Any, arguments: Any) -> None:
        if isinstance(key, str) and isinstance(name, str):
            arguments = arguments if isinstance(arguments, str) else arguments_text(arguments)
            self._calls[key] = {"name": name, "arguments": arguments}

    def _more(self, key: Any, arguments: Any) -> None:
        if isinstance(key, str) and key in self._calls and isinstance(arguments, str):
            self._calls[key]["arguments"] += arguments

    def _result(self, key: Any, result: Any) -> None:
        if isinstance(key, str):
            self._results[key] = foreign.result_text(result)


def _events(text: str) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects in the data of server-sent events, one line each or several."""
    data: list[str] = []
    for line in (*text.splitlines(), ""):
        if line.startswith("data:"):
            data.append(line[5:])
        elif not line and data:
            try:
                event = orjson.loads("\n".join(data))
            except (orjson.JSONDecodeError, UnicodeEncodeError):
                event = None
            if isinstance(event, dict):
                yield event
            data = []
