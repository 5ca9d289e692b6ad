"""OpenAI chat messages from outside: checked, so that whatever is written can be replayed."""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

from profiler.workload.conversations import ROLES, Message, content_text, is_content

ORPHAN = "a tool result without a call"
"""A note: the message is kept, as it was recorded."""

ATTACHED = "images, files or the like in a message of the user: only its text is replayed"
SAME_CALL = "a tool call with the id of an earlier one"

TOO_DEEP = "JSON that is nested too deeply"


class Session(NamedTuple):
    """One session that can be replayed. `notes` says what is odd about it and was kept.

    `id` is None where the file gives none, `begin_s` (seconds since 1970) where it has no time.
    `think_times_s` has the pause before each turn in seconds, None where it is not known; it is
    None where none is. `line` is where it stands in the file, if not where it was read.
    """

    id: str | None
    messages: list[Message]
    turns: int
    notes: tuple[str, ...] = ()
    begin_s: float | None = None
    think_times_s: tuple[float | None, ...] | None = None
    line: int | None = None


class RefusedError(Exception):
    """A session that cannot be replayed; the text is the reason, without where.

    `line` is where it stands in the file, if not where it was read.
    """

    line: int | None = None


def session_id(value: Any) -> str | None:
    """Return a session's id as text, None where there is none. Raises RefusedError."""
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise RefusedError("an id that is neither text nor a number")


def session_of(
    session: str | None,
    messages: Any,
    *,
    notes: tuple[str, ...] = (),
    begin_s: float | None = None,
) -> Session:
    """Check a session's messages. Raises RefusedError for what could not be replayed."""
    if not isinstance(messages, list):
        raise RefusedError("the messages are no list")
    if not messages:
        raise RefusedError("an empty conversation")
    turns, found = 0, dict.fromkeys(notes)
    asked: set[str] = set()
    for message in messages:
        role = _checked_role(message)
        if role == "user":
            turns += 1
            _check_user(message.get("content"), found)
        elif role == "assistant":
            if message.get("tool_calls") or message.get("function_call"):
                _calls(message, asked, found)
        elif role == "tool":
            if not _refers(message.get("tool_call_id"), asked):
                found[ORPHAN] = None
        elif role == "function" and not _refers(message.get("name"), asked):
            found[ORPHAN] = None
    if not turns:
        raise RefusedError("no user message")
    return Session(session, messages, turns, tuple(found), begin_s)


def _check_user(content: Any, notes: dict[str, None]) -> None:
    if not content_text(content).strip():
        raise RefusedError("a user message without text")
    if isinstance(content, list) and any(part.get("type") != "text" for part in content):
        notes[ATTACHED] = None


def _checked_role(message: Any) -> str:
    if not isinstance(message, dict):
        raise RefusedError("a message that is not an object")
    role = message.get("role")
    if role is None:
        raise RefusedError("a message without a role")
    if not isinstance(role, str) or role not in ROLES:
        raise RefusedError(f"the unknown role {shortened(role)}")
    content = message.get("content")
    if not (isinstance(content, str) or is_content(content)):
        raise RefusedError("content that is neither text, null nor a list of parts")
    return role


def _refers(name: Any, asked: set[str]) -> bool:
    return isinstance(name, str) and name in asked


def _calls(message: Message, asked: set[str], notes: dict[str, None]) -> None:
    """Check the calls of an assistant message, and add what answers may refer to to `asked`."""
    calls = message.get("tool_calls") or []
    if not isinstance(calls, list):
        raise RefusedError("tool calls that are no list")
    functions = [call.get("function") if isinstance(call, dict) else None for call in calls]
    ids = [c["id"] for c in calls if isinstance(c, dict) and isinstance(c.get("id"), str)]
    before = len(asked)
    asked.update(ids)
    if len(asked) < before + len(ids):
        notes[SAME_CALL] = None
    if (legacy := message.get("function_call")) is not None:
        functions.append(legacy)
        if isinstance(legacy, dict) and isinstance(legacy.get("name"), str):
            asked.add(legacy["name"])
    for function in functions:
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise RefusedError("a tool call without a function's name")
        arguments = function.get("arguments")
        if not isinstance(arguments, str):
            function["arguments"] = arguments_text(arguments)
            notes["tool-call arguments that were no text, written as JSON text"] = None


def arguments_text(arguments: Any) -> str:
    """Return a tool call's arguments as the text that OpenAI has them in. Raises RefusedError."""
    if isinstance(arguments, str):
        return arguments
    return json_text({} if arguments is None else arguments)


def json_text(value: Any) -> str:
    """Return a value as JSON. Raises RefusedError where it is nested too deeply for that."""
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError as exc:
        raise RefusedError(TOO_DEEP) from exc


def check_depth(data: bytes, value: Any) -> None:
    """Raise RefusedError where a value, which is part of the JSON in `data`, is nested too deeply.

    What has too few brackets for that is not looked through.
    """
    if data.count(b"{") + data.count(b"[") > _MOST_DEPTH:
        json_text(value)


def shortened(value: Any) -> str:
    """Return a value as a reason may quote it: short, and in one line."""
    text = value if isinstance(value, str) else type(value).__name__
    return repr(text if len(text) <= _MOST_QUOTED else text[:_MOST_QUOTED] + "...")


_MOST_QUOTED = 30
_MOST_DEPTH = 250  # orjson writes 254
