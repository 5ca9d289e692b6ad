"""Values: small classes of named fields that nothing changes once they are made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

_Kind = TypeVar("_Kind", bound=type)


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def value(kind: _Kind) -> _Kind:
    """Make a class a dataclass that the type checker holds to be frozen, and nothing at run time.

    For what is made for every interaction: a frozen dataclass sets each field through
    `object.__setattr__`, which costs three times as much.
    """
    return dataclass(slots=True, kw_only=True, unsafe_hash=True)(kind)  # type: ignore[return-value]
