"""The sessions that `turns` has written: read as those of a file that has one on each line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from profiler.workload.importers.messages import RefusedError, Session, session_of

if TYPE_CHECKING:
    from profiler.workload.conversations import Message

WITHOUT_TEXT = "a message of the user of which neither text nor length was recorded"


def session(data: Any) -> Session:
    """Return the session of one line. Raises RefusedError."""
    messages = data["messages"]
    try:
        _check_texts(messages)
        found = session_of(
            data["id"], messages, notes=tuple(data["notes"]), begin_s=data["timestamp"]
        )
    except RefusedError as exc:
        exc.line = data["line"]
        raise
    pauses = data["think_times_s"]
    return found._replace(
        line=data["line"], think_times_s=None if pauses is None else tuple(pauses)
    )


def _check_texts(messages: list[Message]) -> None:
    if any(message["role"] == "user" and message["content"] is None for message in messages):
        raise RefusedError(WITHOUT_TEXT)
