"""JSON Patch (RFC 6902), as AG-UI's state deltas use it. Never changes what it is given."""

from __future__ import annotations

from copy import deepcopy
from typing import Any


class _PatchError(ValueError):
    """An operation has nothing that it could be done to."""


def patched(document: Any, operations: Any) -> Any:
    """Return the document with all operations done; unchanged where one of them cannot be."""
    if not isinstance(operations, list):
        return document
    try:
        result = deepcopy(document)
        for operation in operations:
            result = _done(result, operation)
    except (_PatchError, RecursionError):
        return document
    return result


def _done(document: Any, operation: Any) -> Any:
    if not isinstance(operation, dict):
        raise _PatchError("no operation")
    path = _steps(operation.get("path"))
    given = deepcopy(operation.get("value"))
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
            return _added(document, path, deepcopy(_found(document, _steps(operation.get("from")))))
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
    if not path:
        return given
    parent, last = _found(document, path[:-1]), path[-1]
    if isinstance(parent, list):
        end = len(parent)
        parent.insert(end if last == "-" else _place(last, end + 1), given)
    elif isinstance(parent, dict):
        parent[last] = given
    else:
        raise _PatchError("nothing to add to")
    return document


def _removed(document: Any, path: list[str]) -> Any:
    if not path:
        return None
    parent, last = _found(document, path[:-1]), path[-1]
    _found(parent, [last])
    if isinstance(parent, list):
        del parent[_place(last, len(parent))]
    else:
        del parent[last]
    return document
