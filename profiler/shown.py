"""What a notebook shows of an object: asked of the object, answered by whoever draws.

The models must not know how they are shown, and a notebook asks nobody else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_DRAWN_BY: dict[type, Callable[[Any], str]] = {}


def draw_by(kind: type[T], drawn_by: Callable[[T], str]) -> None:
    """Name what gives the HTML of objects of this very class."""
    _DRAWN_BY[kind] = drawn_by


class Shown:
    """Shown by a notebook as HTML, once someone has said how; as its `repr` until then."""

    __slots__ = ()

    def _repr_html_(self) -> str | None:
        drawn_by = _DRAWN_BY.get(type(self))
        return None if drawn_by is None else drawn_by(self)
