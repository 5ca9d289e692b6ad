"""Reading JSON that anybody may have written: each helper returns what is there, or nothing."""

from __future__ import annotations

import json
from typing import Any

import orjson

_DETAIL_CHARACTERS = 200


def parsed(data: bytes) -> Any:
    """Parse JSON; what is none becomes None."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return None


def string(item: Any) -> str | None:
    """Return a string, or None."""
    return item if isinstance(item, str) else None


def count(item: Any) -> int | None:
    """Return a whole number from 0 on, or None."""
    is_count = isinstance(item, int) and not isinstance(item, bool) and item >= 0
    return item if is_count else None


def mapping(item: Any) -> dict[str, Any]:
    """Return an object, or an empty one."""
    return item if isinstance(item, dict) else {}


def mappings(items: Any) -> list[dict[str, Any]]:
    """Return the objects of an array."""
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def text_of(content: Any) -> str:
    """Return the text of a content: a string, or the `text` of its parts, one to a line."""
    if isinstance(content, str):
        return content
    texts = (part.get("text") for part in mappings(content))
    return "\n".join(text for text in texts if isinstance(text, str))


def index_of(item: Any) -> int:
    """Return a position; one that is missing or wrong is the first."""
    return count(item) or 0


def json_text(item: Any) -> str:
    """Return a string as it is and anything else as its JSON; nothing where there is nothing."""
    if isinstance(item, str):
        return item
    if item is None:
        return ""
    try:
        return orjson.dumps(item).decode()
    except orjson.JSONEncodeError:  # JSON may be read deeper than orjson writes it
        return _deep_text(item)


def _deep_text(item: Any) -> str:
    try:
        return json.dumps(item, ensure_ascii=False, separators=(",", ":"))
    except RecursionError:
        return ""


def error_detail(error: Any) -> str:
    """Shorten an error of any shape to one line."""
    message = error.get("message", error) if isinstance(error, dict) else error
    return " ".join(str(message).split())[:_DETAIL_CHARACTERS]
