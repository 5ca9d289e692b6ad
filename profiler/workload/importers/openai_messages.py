"""`openai-messages`: JSON Lines, each a list of OpenAI chat messages or an object with `messages`.

An object may have an `id`, and a `timestamp` or `created_at` (seconds, milliseconds, or ISO 8601);
without one, that of the first message counts. Where messages have times, the user's think times are
the pauses between a message of the user and the one before it. Whatever else an object has is left
out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from profiler.workload.importers.messages import RefusedError, session_id, session_of
from profiler.workload.importers.times import BACKWARDS, seconds, think_times_s

if TYPE_CHECKING:
    from profiler.workload.importers.messages import Session

TIMES = ("timestamp", "created_at")
NO_TIME = "a timestamp that is no time"


def session(data: Any) -> Session:
    """Return the session of one line. Raises RefusedError."""
    if isinstance(data, list):
        data = {"messages": data}
    if not isinstance(data, dict):
        raise RefusedError("neither a list of messages nor an object")
    if "messages" not in data:
        raise RefusedError("an object without 'messages'")
    messages = data["messages"]
    begin_s, is_time = _begin(data, messages)
    notes: dict[str, None] = {} if is_time else {NO_TIME: None}
    pauses = _pauses(messages, notes) if isinstance(messages, list) else None
    found = session_of(session_id(data.get("id")), messages, notes=tuple(notes), begin_s=begin_s)
    return found if pauses is None else found._replace(think_times_s=pauses)


def _pauses(messages: list[Any], notes: dict[str, None]) -> tuple[float | None, ...] | None:
    """Return the user's think times, where messages have times."""
    if not any(
        isinstance(message, dict) and not message.keys().isdisjoint(TIMES) for message in messages
    ):
        return None
    begun: list[float | None] = []
    ended: list[float | None] = []
    before: float | None = None
    latest = 0.0
    for message in messages:
        time = _time(message, notes) if isinstance(message, dict) else None
        if time is not None:
            if time < latest:
                notes[BACKWARDS] = None
            latest = max(latest, time)
        if isinstance(message, dict) and message.get("role") == "user":
            if begun:
                ended.append(before)
            begun.append(time)
        before = time
    return think_times_s(begun, [*ended, None], notes)


def _time(message: dict[str, Any], notes: dict[str, None]) -> float | None:
    given = next((message[key] for key in TIMES if message.get(key) is not None), None)
    time = seconds(given)
    if given is not None and time is None:
        notes[NO_TIME] = None
    return time


def _begin(data: dict[str, Any], messages: Any) -> tuple[float | None, bool]:
    """Return when a session began, and whether what is there could be read."""
    first = messages[0] if isinstance(messages, list) and messages else None
    for holder in (data, first if isinstance(first, dict) else {}):
        for key in TIMES:
            if holder.get(key) is not None:
                time_s = seconds(holder[key])
                return time_s, time_s is not None
    return None, True
