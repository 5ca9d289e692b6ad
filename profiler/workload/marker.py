"""The marker that `--tag-interactions` puts into a user's text: what it says, it says to a gateway.

For agents that pass on no trace context and whose users say the same thing at the same time.
"""

from __future__ import annotations

import re

_MARKER = re.compile(r"\[ap:([0-9a-f]{16})\]")
_DIGITS = 16


def marker_of(trace_id: str) -> str:
    """Return the marker of an interaction: the first 16 hex digits of its trace id."""
    return f"[ap:{trace_id[:_DIGITS]}]"


def marked_in(text: str) -> str | None:
    """Return the 16 digits of the last marker in a text, None without any."""
    found = _MARKER.findall(text)
    return found[-1] if found else None
