"""Which mistake of a file to name: the one that explains the others, else the first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from profiler.workload.sentences import sentences, shown
from profiler.workload.strict import UNKNOWN_KEY

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

    from profiler.workload.document import Document, KeyPath


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One mistake: what is wrong (`with_key`: and which key holds it), where, and what to do."""

    what: str
    with_key: str
    where: str
    fix: str
    key_path: KeyPath


def first_mistake(document: Document, exc: ValidationError, **guide: str) -> Mistake:
    """Return the mistake that stands first in the file; an unknown key explains others, so first.

    `guide` is that of `sentences`: the document that lists the keys, if not that of workloads.
    """
    errors = exc.errors(include_url=False)

    def order(error: ErrorDetails) -> tuple[bool, int]:
        return error["type"] != UNKNOWN_KEY, document.locate(_key_path(error))[1]

    error = min(errors, key=order)
    key_path = _key_path(error)
    what, fix = sentences(error, **guide)
    written, line = document.locate(key_path)
    names_key = error["type"] in {UNKNOWN_KEY, "missing"} or not written
    return Mistake(
        what=what,
        with_key=what if names_key else f"{shown(written)}: {what}",
        where=f"{document.path}:{line}",
        fix=fix,
        key_path=key_path,
    )


def _key_path(error: ErrorDetails) -> KeyPath:
    """Return the path of the key to blame."""
    return (*error["loc"], *error.get("ctx", {}).get("below", ()))
