"""`openai-messages`: JSON Lines, each a list of OpenAI chat messages or an object with `messages`.

An object may have an `id`, and a `timestamp` or `created_at` (seconds, milliseconds, or ISO 8601);
without one, that of the first message counts. Whatever else an object has is left out.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from profiler.workload.importers.messages import RefusedError, session_id, session_of

if TYPE_CHECKING:
    from profiler.workload.importers.messages import Session

TIMES = ("timestamp", "created_at")
_LATEST_S = 1e11  # the year 5138; a larger number counts milliseconds


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
    return session_of(
        session_id(data.get("id")),
        messages,
        notes=() if is_time else ("a timestamp that is no time",),
        begin_s=begin_s,
    )


def _begin(data: dict[str, Any], messages: Any) -> tuple[float | None, bool]:
    """Return when a session began, and whether what is there could be read."""
    first = messages[0] if isinstance(messages, list) and messages else None
    for holder in (data, first if isinstance(first, dict) else {}):
        for key in TIMES:
            if holder.get(key) is not None:
                time_s = _seconds(holder[key])
                return time_s, time_s is not None
    return None, True


def _seconds(value: Any) -> float | None:
    if isinstance(value, str):
        try:
            time = datetime.fromisoformat(value)
        except ValueError:
            return None
        return (time if time.tzinfo is not None else time.replace(tzinfo=UTC)).timestamp()
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    seconds = value / 1000 if value > _LATEST_S else float(value)
    return seconds if 0 <= seconds < _LATEST_S else None
