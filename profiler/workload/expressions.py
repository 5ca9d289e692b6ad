"""Regexes and JMESPath, compiled when a workload is loaded so that a run cannot trip over one."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.functions import Functions

_KEYS = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")
_UNFIT = (
    JMESPathError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What `jmespath` raises on a document that an expression does not fit: not only its own errors."""


@dataclass(frozen=True, slots=True)
class JmesPath:
    """A compiled JMESPath expression; equal to another of the same text."""

    text: str
    _compiled: Any = field(compare=False, repr=False)
    _keys: tuple[str, ...] | None = field(default=None, compare=False, repr=False)

    @classmethod
    def parse(cls, text: str) -> JmesPath:
        """Compile `text`. Raises ValueError, also for a function that JMESPath does not have."""
        try:
            compiled = jmespath.compile(text)
        except JMESPathError as exc:
            msg = f"{text!r} is not a JMESPath expression: {str(exc).splitlines()[0].rstrip(':')}"
            raise ValueError(msg) from exc
        _known_functions(compiled.parsed)
        keys = tuple(text.split(".")) if _KEYS.fullmatch(text) else None
        return cls(text, compiled, keys)

    def search(self, document: Any) -> Any:
        """Return what the expression finds, None where it does not fit the document."""
        if self._keys is not None:  # most paths, at a tenth of the cost
            for key in self._keys:
                document = document.get(key) if isinstance(document, dict) else None
            return document
        try:
            return self._compiled.search(document)
        except _UNFIT:
            return None


def _known_functions(node: Any) -> None:
    """Refuse unknown functions: `jmespath` itself finds them out only when it gets there."""
    if not isinstance(node, dict):
        return
    if node["type"] == "function_expression" and node["value"] not in Functions.FUNCTION_TABLE:
        msg = f"JMESPath has no function {node['value']!r}"
        raise ValueError(msg)
    for child in node["children"]:
        _known_functions(child)


def compile_regex(text: str) -> re.Pattern[str]:
    """Compile a regular expression. Raises ValueError."""
    try:
        return re.compile(text)
    except re.error as exc:
        msg = f"{text!r} is not a regular expression: {exc}"
        raise ValueError(msg) from exc
