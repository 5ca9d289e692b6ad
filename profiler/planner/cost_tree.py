"""A bill as a tree: every level is the exact sum of the one below.

Leaves are rounded to a millionth of a dollar, the unit in which all sums are exact: a report may
round further for the eye, and the tree keeps what was added up.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SMALLEST_USD = Decimal("0.000001")
_DIGITS = 60
"""Enough that no amount of money loses one in a sum."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CostLine:
    """A line of a bill, US dollars per month unless the bill says otherwise.

    A leaf may say how it came about: `quantity` of `unit` at `unit_price_usd`, with a note and the
    source of the price. Raises ValueError where `usd` is not the sum of the children, or a leaf is
    finer than a millionth of a dollar.
    """

    name: str
    usd: Decimal
    children: tuple[CostLine, ...] = ()
    quantity: Decimal | None = None
    unit: str | None = None
    unit_price_usd: Decimal | None = None
    note: str | None = None
    source: str | None = None

    def __post_init__(self) -> None:
        names = [child.name for child in self.children]
        if len(set(names)) != len(names):
            raise ValueError(f"two lines of '{self.name}' have one name: {names}")
        if self.children:
            if _sum(self.children) != self.usd:
                raise ValueError(f"'{self.name}' is not the sum of its lines")
        elif rounded(self.usd) != self.usd:
            raise ValueError(f"'{self.name}' is finer than a millionth of a dollar: {self.usd}")

    def line(self, *path: str) -> CostLine:
        """Return the line at a path of names below this one. Raises KeyError."""
        at = self
        for name in path:
            found = [child for child in at.children if child.name == name]
            if not found:
                raise KeyError(name)
            at = found[0]
        return at

    def walk(self) -> Iterator[tuple[tuple[str, ...], CostLine]]:
        """Yield every line with its path from here, this one first, depth first."""
        yield (), self
        for child in self.children:
            for path, line in child.walk():
                yield (child.name, *path), line

    def to_json(self) -> dict[str, Any]:
        """Return plain data: amounts as decimal strings (exact), what is not known left out."""
        data: dict[str, Any] = {"name": self.name, "usd": f"{self.usd:f}"}
        for name in ("quantity", "unit_price_usd"):
            value = getattr(self, name)
            if value is not None:
                data[name] = f"{value:f}"
        for name in ("unit", "note", "source"):
            if getattr(self, name) is not None:
                data[name] = getattr(self, name)
        if self.children:
            data["children"] = [child.to_json() for child in self.children]
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CostLine:
        """Return the line that `to_json` wrote. Raises ValueError, KeyError for what it did not."""

        def decimal(name: str) -> Decimal | None:
            return Decimal(data[name]) if name in data else None

        return cls(
            name=data["name"],
            usd=Decimal(data["usd"]),
            children=tuple(cls.from_json(child) for child in data.get("children", ())),
            quantity=decimal("quantity"),
            unit=data.get("unit"),
            unit_price_usd=decimal("unit_price_usd"),
            note=data.get("note"),
            source=data.get("source"),
        )


def rounded(usd: Decimal) -> Decimal:
    """Return an amount to the millionth of a dollar, half to even."""
    with localcontext() as context:
        context.prec = _DIGITS
        return usd.quantize(SMALLEST_USD, rounding=ROUND_HALF_EVEN)


def priced(
    name: str,
    quantity: Decimal,
    unit: str,
    unit_price_usd: Decimal,
    *,
    note: str | None = None,
    source: str | None = None,
) -> CostLine:
    """Return the leaf of so many units at a price."""
    return CostLine(
        name=name,
        usd=rounded(quantity * unit_price_usd),
        quantity=quantity,
        unit=unit,
        unit_price_usd=unit_price_usd,
        note=note,
        source=source,
    )


def total(name: str, lines: Sequence[CostLine], *, note: str | None = None) -> CostLine:
    """Return the line that sums others up: nothing, if there are none."""
    return CostLine(name=name, usd=_sum(lines), children=tuple(lines), note=note)


def _sum(lines: Sequence[CostLine]) -> Decimal:
    with localcontext() as context:
        context.prec = _DIGITS
        return sum((line.usd for line in lines), Decimal(0))
