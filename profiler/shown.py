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
    """Shown by a notebook as HTML, once someone has said how; as one line elsewhere.

    All that such an object holds may be a megabyte of histograms: `model_dump` has it.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._in_short()}>"

    def __str__(self) -> str:
        return repr(self)

    def _in_short(self) -> str:
        """Say in a few words which one it is."""
        raise NotImplementedError

    def _repr_html_(self) -> str | None:
        kind = type(self)
        drawn_by = _DRAWN_BY.get(f"{kind.__module__}.{kind.__qualname__}")
        return None if drawn_by is None else drawn_by(self)
