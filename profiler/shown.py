"""What a notebook shows of an object: asked of the object, answered by whoever draws.

The models must not know how they are shown, and a notebook asks nobody else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_DRAWN_BY: dict[str, Callable[[Any], str]] = {}


def draw_by(kind: str, drawn_by: Callable[[Any], str]) -> None:
    """Name what gives the HTML of objects of this very class: its module and name, not loaded."""
    _DRAWN_BY[kind] = drawn_by


class Shown:
    """Shown by a notebook as HTML, once someone has said how; as its `repr` until then."""

    __slots__ = ()

    def _repr_html_(self) -> str | None:
        kind = type(self)
        drawn_by = _DRAWN_BY.get(f"{kind.__module__}.{kind.__qualname__}")
        return None if drawn_by is None else drawn_by(self)
