"""JSON Patch (RFC 6902), as AG-UI's state deltas use it. Never changes what it is given.

A result shares with the document what lies beside the paths: a run may have thousands of deltas.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_VALUES = 100_000
"""Most values (texts, numbers, lists, objects) of a document that has parts copied."""


class _PatchError(ValueError):
    """An operation has nothing that it could be done to."""


def patched(document: Any, operations: Any) -> Any:
    """Return the document with all operations done; unchanged where one of them cannot be.

    So it is where `copy` would make it larger than `MOST_VALUES`: thirty copies of a document into
    itself are a billion of it.
    """
    if not isinstance(operations, list):
        return document
    try:
        result = document
        for operation in operations:
            result = _done(result, operation)
            if operation["op"] == "copy" and _is_too_large(result):
                return document
    except (_PatchError, RecursionError):
        return document
    return result


def _is_too_large(document: Any) -> bool:
    """Count values as often as they would be written; stop at the limit."""
    left, values = [document], 0
    while left:
        value = left.pop()
        values += 1
        if values + len(left) > MOST_VALUES:
            return True
        if isinstance(value, dict):
            left.extend(value.values())
        elif isinstance(value, list):
            left.extend(value)
    return False


def _done(document: Any, operation: Any) -> Any:
    if not isinstance(operation, dict):
        raise _PatchError("no operation")
    path = _steps(operation.get("path"))
    given = operation.get("value")
    match operation.get("op"):
        case "add":
            return _added(document, path, given)
        case "remove":
            return _removed(document, path)
        case "replace":
            return _added(_removed(document, path), path, given)
        case "move":
            source = _steps(operation.get("from"))
            moved = _found(document, source)
            return _added(_removed(document, source), path, moved)
        case "copy":
            return _added(document, path, _found(document, _steps(operation.get("from"))))
        case "test":
            if _found(document, path) != given:
                raise _PatchError("a test failed")
            return document
        case _:
            raise _PatchError("an unknown operation")


def _steps(pointer: Any) -> list[str]:
    """Take a JSON Pointer (RFC 6901) apart."""
    if not isinstance(pointer, str) or (pointer and not pointer.startswith("/")):
        raise _PatchError("no pointer")
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]


def _place(step: str, size: int) -> int:
    if not (step.isascii() and step.isdigit()) or len(step) > 9 or int(step) >= size:  # noqa: PLR2004 - digits
        raise _PatchError("no such place")
    return int(step)


def _found(document: Any, path: list[str]) -> Any:
    for step in path:
        if isinstance(document, list):
            document = document[_place(step, len(document))]
        elif isinstance(document, dict) and step in document:
            document = document[step]
        else:
            raise _PatchError("nothing there")
    return document


def _added(document: Any, path: list[str], given: Any) -> Any:
    def add(parent: Any, last: str) -> None:
        if isinstance(parent, list):
            end = len(parent)
            parent.insert(end if last == "-" else _place(last, end + 1), given)
        else:
            parent[last] = given

    return _changed(document, path, add) if path else given


def _removed(document: Any, path: list[str]) -> Any:
    def remove(parent: Any, last: str) -> None:
        if isinstance(parent, list):
            del parent[_place(last, len(parent))]
        elif last in parent:
            del parent[last]
        else:
            raise _PatchError("nothing there")

    return _changed(document, path, remove) if path else None


def _changed(document: Any, path: list[str], change: Callable[[Any, str], None]) -> Any:
    """Return the document with a changed parent of the path's end; what is on the path is new."""
    if not isinstance(document, list | dict):
        raise _PatchError("nothing there")
    step, *rest = path
    if not rest:
        changed = document.copy()
        change(changed, step)
        return changed
    inner = _changed(_found(document, [step]), rest, change)
    if isinstance(document, list):
        place = _place(step, len(document))
        return [*document[:place], inner, *document[place + 1 :]]
    return {**document, step: inner}
