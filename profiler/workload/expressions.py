"""JMESPath, compiled when a workload is loaded so that a run cannot trip over one."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.functions import Functions
from jmespath.visitor import TreeInterpreter

if TYPE_CHECKING:
    from collections.abc import Callable

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
    _find: Callable[[Any], Any] = field(compare=False, repr=False)

    @classmethod
    def parse(cls, text: str) -> JmesPath:
        """Compile `text`. Raises ValueError, also for a function that JMESPath does not have."""
        try:
            compiled = jmespath.compile(text)
        except JMESPathError as exc:
            msg = f"{text!r} is not a JMESPath expression: {str(exc).splitlines()[0].rstrip(':')}"
            raise ValueError(msg) from exc
        _known_functions(compiled.parsed)
        return cls(text, _finder(compiled.parsed))

    def search(self, document: Any) -> Any:
        """Return what the expression finds, None where it does not fit the document."""
        try:
            return self._find(document)
        except _UNFIT:
            return None


_INTERPRETER = TreeInterpreter()


def _finder(node: Any) -> Callable[[Any], Any]:
    """Make a function of an expression's tree: keys and logic ours, anything else `jmespath`'s.

    An event of a stream is looked at by every rule, and walking the tree each time costs five times
    as much. Functions of this module and their arguments, so that they can be pickled.
    """
    kind, children = node["type"], node["children"]
    if kind == "field":
        return partial(_field, node["value"])
    make = _MADE_HERE.get(kind)
    if make is None:
        return partial(_left_to_jmespath, node)
    return partial(make, *map(_finder, children))


def _left_to_jmespath(node: Any, document: Any) -> Any:
    return _INTERPRETER.visit(node, document)


def _field(key: str, document: Any) -> Any:
    return document.get(key) if isinstance(document, dict) else None


def _itself(document: Any) -> Any:
    return document


def _through(*steps_and_document: Any) -> Any:
    *steps, document = steps_and_document
    for step in steps:
        document = step(document)
    return document


def _not(inner: Callable[[Any], Any], document: Any) -> bool:
    return not is_true(inner(document))


def _and(left: Callable[[Any], Any], right: Callable[[Any], Any], document: Any) -> Any:
    found = left(document)
    return right(document) if is_true(found) else found


def _or(left: Callable[[Any], Any], right: Callable[[Any], Any], document: Any) -> Any:
    found = left(document)
    return found if is_true(found) else right(document)


_MADE_HERE: dict[str, Callable[..., Any]] = {
    "identity": _itself,
    "current": _itself,
    "subexpression": _through,
    "index_expression": _through,
    "pipe": _through,
    "not_expression": _not,
    "and_expression": _and,
    "or_expression": _or,
}


def is_true(found: Any) -> bool:
    """Tell what JMESPath holds to be true: all but null, false and what is empty. 0 is true."""
    if isinstance(found, str | list | dict):
        return bool(found)
    return found is not None and found is not False


def _known_functions(node: Any) -> None:
    """Refuse unknown functions: `jmespath` itself finds them out only when it gets there."""
    if not isinstance(node, dict):
        return
    if node["type"] == "function_expression" and node["value"] not in Functions.FUNCTION_TABLE:
        msg = f"JMESPath has no function {node['value']!r}"
        raise ValueError(msg)
    for child in node["children"]:
        _known_functions(child)
