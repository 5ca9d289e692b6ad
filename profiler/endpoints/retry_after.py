"""`retry-after` of an answer: seconds, or a date (RFC 9110, 10.2.3)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

PUSHED_BACK = frozenset({429, 503})
"""What a target answers that wants less, for now."""
_SECONDS = re.compile(r"\d{1,9}(?:\.\d+)?")


def retry_after_s(text: str | None, *, now: datetime | None = None) -> float | None:
    """Return how many seconds are asked for; None where nothing is that can be read."""
    if text is None:
        return None
    if _SECONDS.fullmatch(text.strip()):
        return float(text)
    try:
        at = parsedate_to_datetime(text)
        if at.tzinfo is None:
            at = at.replace(tzinfo=UTC)
        return max(0.0, (at - (datetime.now(UTC) if now is None else now)).total_seconds())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
