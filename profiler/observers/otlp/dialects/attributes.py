"""Reading attributes: by name, by type, and by any of several names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from profiler.measure.records import Usage

if TYPE_CHECKING:
    import re
    from collections.abc import Mapping

_MAX_COUNT = 10**12


def text(attributes: Mapping[str, Any], *names: str) -> str | None:
    """Return the first of these attributes that is a text and not empty."""
    for name in names:
        found = attributes.get(name)
        if isinstance(found, str) and found:
            return found
    return None


def count(attributes: Mapping[str, Any], *names: str) -> int | None:
    """Return the first of these attributes that is a count; some SDKs write 12 as 12.0."""
    for name in names:
        found = attributes.get(name)
        if isinstance(found, float) and found.is_integer():
            found = int(found)
        if isinstance(found, int) and not isinstance(found, bool) and 0 <= found < _MAX_COUNT:
            return found
    return None


def number(attributes: Mapping[str, Any], *names: str) -> float | None:
    """Return the first of these attributes that is a number from 0 up to a million."""
    for name in names:
        found = attributes.get(name)
        if isinstance(found, int | float) and not isinstance(found, bool) and 0 <= found < 1e6:  # noqa: PLR2004
            return found
    return None


def parsed(value: Any) -> Any:
    """Return a value, or what the JSON in it says if it is a text; None if that is no JSON."""
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return None


def dicts(value: Any) -> list[dict[str, Any]]:
    """Return the objects of a list; empty for all that is no list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def indexed(attributes: Mapping[str, Any], pattern: re.Pattern[str]) -> tuple[str, ...]:
    """Return texts of flattened lists in their order; the pattern's groups are the indices."""
    found = [
        (tuple(int(index) for index in match.groups()), value)
        for name, value in attributes.items()
        if isinstance(value, str) and (match := pattern.fullmatch(name))
    ]
    return tuple(value for _, value in sorted(found))


def whole(
    *,
    inputs: int | None,
    outputs: int | None,
    cached: int | None,
    written: int | None,
    reasoning: int | None,
    total: int | None = None,
) -> Usage | None:
    """Return usage whose input includes cache and whose output includes reasoning.

    That is what the conventions ask for. Anthropic and Gemini count them apart, and some
    instrumentations pass that on; they show by arithmetic: a part larger than its whole, or a
    total that only adds up with the parts. None where nothing is known.
    """
    if inputs is outputs is cached is written is reasoning is None:
        return None
    aside, thoughts = (cached or 0) + (written or 0), reasoning or 0
    more_in, more_out = _left_out(inputs, outputs, aside, thoughts, total)
    return Usage(
        input_tokens=None if inputs is None else inputs + more_in,
        output_tokens=None if outputs is None else outputs + more_out,
        cached_input_tokens=cached,
        cache_write_tokens=written,
        reasoning_tokens=reasoning,
    )


def _left_out(
    inputs: int | None, outputs: int | None, aside: int, thoughts: int, total: int | None
) -> tuple[int, int]:
    """How many tokens are missing in input and in output."""
    if inputs is not None and outputs is not None and total is not None:
        for more_in in (0, aside):
            for more_out in (0, thoughts):
                if inputs + more_in + outputs + more_out == total:
                    return more_in, more_out
    return (
        aside if inputs is not None and aside > inputs else 0,
        thoughts if outputs is not None and thoughts > outputs else 0,
    )
