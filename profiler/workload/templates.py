"""`{{ name }}` in a text. No logic, no filters, no escapes: names and nothing else."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_PLACEHOLDER = re.compile(r"\{\{\s*(\w+)\s*\}\}")


def placeholder_names(text: str) -> frozenset[str]:
    """Return the names that `text` uses. Raises ValueError where `{{` is no placeholder."""
    if "{{" in _PLACEHOLDER.sub("", text):
        msg = "'{{' is not followed by one name and '}}'"
        raise ValueError(msg)
    return frozenset(_PLACEHOLDER.findall(text))


def render(text: str, values: Mapping[str, str]) -> str:
    """Fill in every placeholder. What a value contains is not looked at again."""
    if "{{" not in text:
        return text
    return _PLACEHOLDER.sub(lambda found: values[found[1]], text)


def filled(template: Any, values: Mapping[str, str]) -> Any:
    """Fill in the placeholders of every string in a JSON value."""
    if isinstance(template, str):
        return render(template, values)
    if isinstance(template, dict):
        return {key: filled(value, values) for key, value in template.items()}
    if isinstance(template, list):
        return [filled(value, values) for value in template]
    return template
