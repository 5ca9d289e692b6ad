"""Regular expressions that others wrote, searched in bounded time.

Python's `re` tries a pattern such as `(a+)+$` for longer than the universe is old, and holds the
interpreter meanwhile. `regex` has the same syntax and takes a time limit. A pattern has to compile
with both, so that what a workload means does not depend on which one is used.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

SEARCH_LIMIT_S = 0.1
"""For one search: the event loop waits meanwhile, and with it everything that is being measured."""


class TooSlowError(Exception):
    """A search took longer than it may."""


def compiled(text: str) -> re.Pattern[str]:
    """Compile a pattern. Raises ValueError, which says what is wrong with it."""
    try:
        pattern: re.Pattern[str] = re.compile(text)
    except (re.error, OverflowError, RecursionError) as exc:
        msg = f"{text!r} is no regular expression: {exc}"
        raise ValueError(msg) from exc
    _limited(text)
    return pattern


def is_in(pattern: re.Pattern[str], text: str, *, limit_s: float = SEARCH_LIMIT_S) -> bool:
    """Tell whether a pattern matches anywhere in a text. Raises `TooSlowError`."""
    try:
        return _limited(pattern.pattern).search(text, timeout=limit_s) is not None
    except TimeoutError as exc:
        raise TooSlowError from exc


def replaced(
    pattern: re.Pattern[str],
    by: str | Callable[[Any], str],
    text: str,
    *,
    limit_s: float = SEARCH_LIMIT_S,
) -> tuple[str, int]:
    """Return a text with every match replaced, and how many there were. Raises `TooSlowError`."""
    try:
        found: tuple[str, int] = _limited(pattern.pattern).subn(by, text, timeout=limit_s)
    except TimeoutError as exc:
        raise TooSlowError from exc
    return found


@lru_cache(maxsize=256)
def _limited(text: str) -> Any:
    import regex  # noqa: PLC0415 - only where somebody wrote a pattern

    try:
        return regex.compile(text)
    except (regex.error, OverflowError, RecursionError) as exc:
        msg = f"{text!r} cannot be searched in bounded time: {exc}"
        raise ValueError(msg) from exc
