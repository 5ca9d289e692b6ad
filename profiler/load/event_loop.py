"""Which event loop this machine has."""

from __future__ import annotations

from importlib.util import find_spec


def has_uvloop() -> bool:
    """Whether uvloop is installed; asyncio's own loop is used elsewhere."""
    return find_spec("uvloop") is not None
