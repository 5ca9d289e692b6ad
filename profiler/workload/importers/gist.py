"""What a turn takes of the messages that its first LLM call was given, and no more."""

from __future__ import annotations

from typing import Any, NamedTuple

from profiler.workload.importers.foreign import (
    CALLING_KEYS,
    TOLD_KEYS,
    last_said,
    messages,
    parsed,
)


class Gist(NamedTuple):
    """What a turn takes of the messages that its first LLM call was given.

    `system` is the first system prompt, `user` the last message of the user where that is not
    blank, `notes` what `messages` says of them.
    """

    system: str | None
    user: str | None
    notes: tuple[str, ...] = ()


def gist(value: Any) -> Gist:
    """Return what a list of messages in any dialect, or JSON text of one, comes to."""
    value = parsed(value)
    if type(value) is list and (found := _plain_gist(value)) is not None:
        return found
    notes: dict[str, None] = {}
    said = messages(value, notes)
    system = next((m["content"] for m in said if m["role"] == "system"), None)
    return Gist(system, last_said(said), tuple(notes))


def _plain_gist(value: list[Any]) -> Gist | None:
    """Return the gist of messages as OpenAI has them, sooner: none is converted. Else None."""
    system = user = None
    for item in value:
        if type(item) is not dict:
            return None
        role, content = item.get("role"), item.get("content")
        if len(item) == 2 and type(content) is str:  # noqa: PLR2004
            if role == "user":
                user = content
            elif role == "system":
                system = content if system is None else system
            elif role != "assistant":
                return None
        elif role == "tool":
            if type(content) is not str or item.keys() != TOLD_KEYS:
                return None
        elif role != "assistant" or item.keys() != CALLING_KEYS or not _asks_plainly(item):
            return None
    return Gist(system, user if user is not None and user.strip() else None)


def _asks_plainly(item: dict[str, Any]) -> bool:
    """Say whether a message's tool calls are OpenAI's own: those have nothing to be refused."""
    content, calls = item["content"], item["tool_calls"]
    if type(calls) is not list or not (content is None or type(content) is str):
        return False
    for made in calls:
        function = made.get("function") if type(made) is dict else None
        if type(function) is not dict or type(function.get("arguments")) is not str:
            return False
    return True
