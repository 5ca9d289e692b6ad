"""Lists of words, as they are best read."""

from __future__ import annotations


def words(listed: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(listed.split())
