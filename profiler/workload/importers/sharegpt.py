"""`sharegpt`: `{"id", "conversations": [{"from", "value"}]}`, as a JSON array or JSON Lines.

Tool calls come in two dialects: messages from `function_call` whose value is the call as JSON, and
`<tool_call>{...}</tool_call>` in what `gpt` says. Results come from `tool`, `observation` or
`function_response`, several of them in one message as `<tool_response>...</tool_response>`. They
are given to the calls before them in order: the format has no ids.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import orjson

from profiler.workload.importers.messages import (
    RefusedError,
    arguments_text,
    session_id,
    session_of,
    shortened,
)

if TYPE_CHECKING:
    from profiler.workload.conversations import Message
    from profiler.workload.importers.messages import Session

PLAIN = {"human": "user", "user": "user", "system": "system"}
ASSISTANTS = frozenset({"gpt", "assistant", "chatgpt", "model", "bot"})
RESULTS = frozenset({"tool", "observation", "function_response"})
CALLS = "function_call"
UNREAD_CALL = "a tool call that is no JSON, kept as text"
_CALL = re.compile(r"<tool_call>(.*?)</tool_call>", re.DOTALL)
_RESULT = re.compile(r"<tool_response>(.*?)</tool_response>", re.DOTALL)


def session(data: Any) -> Session:
    """Return the session of one item. Raises RefusedError."""
    if not isinstance(data, dict):
        raise RefusedError("not a JSON object")
    turns = data.get("conversations")
    if not isinstance(turns, list):
        raise RefusedError("an object without a list 'conversations'")
    reader = _Reader()
    for turn in turns:
        reader.add(turn)
    return session_of(session_id(data.get("id")), reader.messages, notes=tuple(reader.notes))


class _Reader:
    """Makes chat messages of one session's turns; `_open` are the calls without a result yet."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.notes: dict[str, None] = {}
        self._open: list[Message] = []
        self._calls = 0

    def add(self, turn: Any) -> None:
        if not isinstance(turn, dict):
            raise RefusedError("a message that is not an object")
        sender, text = turn.get("from"), turn.get("value")
        if not isinstance(sender, str):
            raise RefusedError("a message without 'from'")
        if not isinstance(text, str):
            raise RefusedError("a message whose 'value' is no text")
        if sender in PLAIN:
            self.messages.append({"role": PLAIN[sender], "content": text})
        elif sender in ASSISTANTS:
            self._say(text)
        elif sender == CALLS:
            self._ask(None, [text], text)
        elif sender in RESULTS:
            for result in _RESULT.findall(text) or [text]:
                self._answer(result.strip())
        else:
            raise RefusedError(f"the unknown role {shortened(sender)}")

    def _say(self, text: str) -> None:
        calls = _CALL.findall(text) if "<tool_call>" in text else []
        if calls:
            self._ask(_CALL.sub("", text).strip() or None, calls, text)
        else:
            self.messages.append({"role": "assistant", "content": text})

    def _ask(self, said: str | None, calls: list[str], whole: str) -> None:
        functions = [function for call in calls for function in _functions(call)]
        if not functions or None in functions:
            self.notes[UNREAD_CALL] = None
            self.messages.append({"role": "assistant", "content": whole})
            return
        self._open = []
        for function in functions:
            self._calls += 1
            call = {"id": f"call_{self._calls}", "type": "function", "function": function}
            self._open.append(call)
        asked = {"role": "assistant", "content": said, "tool_calls": list(self._open)}
        self.messages.append(asked)

    def _answer(self, text: str) -> None:
        message: Message = {"role": "tool", "content": text}
        if self._open:
            call = self._open.pop(0)
            message |= {"tool_call_id": call["id"], "name": call["function"]["name"]}
        self.messages.append(message)


def _functions(text: str) -> list[dict[str, str] | None]:
    """Return the functions that a text asks for, None for what is none."""
    try:
        data = orjson.loads(text)
    except orjson.JSONDecodeError:
        return [None]
    return [_function(call) for call in (data if isinstance(data, list) else [data])]


def _function(call: Any) -> dict[str, str] | None:
    if not isinstance(call, dict) or not isinstance(call.get("name"), str):
        return None
    return {"name": call["name"], "arguments": arguments_text(call.get("arguments"))}
