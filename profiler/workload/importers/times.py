"""Moments as logs write them, and the pauses between one turn's end and the next one's begin."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_THINK_S = 1800.0
"""A longer pause is no thinking: the person went away and came back."""

BACKWARDS = "timestamps that go backwards: no think time is taken from them"
OVERLAP = "a message before the last answer was there: no think time is taken from it"
AWAY = f"a pause of more than {MOST_THINK_S / 60:.0f} minutes: no think time is taken from it"

_LATEST_S = 1e11  # the year 5138; a larger number counts milliseconds


def seconds(value: Any) -> float | None:
    """Return a moment (seconds, milliseconds, ISO 8601) in seconds since 1970, None if it is none.

    A text without a time zone is UTC.
    """
    if isinstance(value, str):
        try:
            time = datetime.fromisoformat(value)
            return (time if time.tzinfo is not None else time.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    found = value / 1000 if value > _LATEST_S else float(value)
    return found if 0 <= found < _LATEST_S else None


def think_times_s(
    begun: Sequence[float | None],
    ended: Sequence[float | None],
    notes: dict[str, None],
    *,
    negative: str = BACKWARDS,
) -> tuple[float | None, ...] | None:
    """Return the pause before each turn in seconds, None where it is not known; None if none is.

    `begun` is when each turn's message was sent, `ended` when its last answer was there. The first
    turn has no pause before it. What is odd goes to `notes`, a pause below zero as `negative`.
    """
    found: list[float | None] = [None]
    for before, begin in zip(ended, begun[1:], strict=False):
        pause = None if before is None or begin is None else begin - before
        if pause is not None and pause < 0:
            notes[negative] = None
            pause = None
        elif pause is not None and pause > MOST_THINK_S:
            notes[AWAY] = None
            pause = None
        found.append(None if pause is None else round(pause, 6))
    return tuple(found) if any(pause is not None for pause in found) else None
