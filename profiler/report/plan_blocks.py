"""The pieces of which a plan's report consists: plain text in an order, in no form yet.

Whoever renders a piece escapes it; names from outside are printable when they get here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from profiler.report.plan_words import factor, number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from profiler.planner.plan import Plan, Scale


@dataclass(frozen=True, slots=True)
class Words:
    """A paragraph."""

    text: str


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sums:
    """Lines that are to stand below each other as they are: sums, bars."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table: a label, its depth in a tree, and cells."""

    label: str
    cells: tuple[str, ...]
    depth: int = 0
    is_sum: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table: what its columns are called (the labels' is the first), and rows.

    `of_text` are the columns that hold words and stand at the left, the labels' always.
    """

    header: tuple[str, ...]
    rows: tuple[Row, ...]
    of_text: frozenset[int] = frozenset()


Block = Words | Items | Sums | Table


@dataclass(frozen=True, slots=True)
class Part:
    """What stands under one heading. A part without blocks is not shown."""

    title: str
    blocks: tuple[Block, ...]
    level: int = 2


def part(title: str, *blocks: Block, level: int = 2) -> Part:
    """Make a part of those blocks that have something in them."""
    return Part(title, tuple(block for block in blocks if _has_content(block)), level)


def _has_content(block: Block) -> bool:
    match block:
        case Words():
            return bool(block.text)
        case Items() | Sums():
            return bool(block.lines)
        case Table():
            return bool(block.rows)


Field = tuple[str, "Callable[[Scale], str]"]
"""What a row is called, and what stands in it at one scale."""


def by_scale(plan: Plan, fields: Iterable[Field]) -> Table:
    """Return a table with the scales as columns."""
    return Table(
        header=("", *(head(scale) for scale in plan.scales)),
        rows=tuple(
            Row(label, tuple(write(scale) for scale in plan.scales)) for label, write in fields
        ),
    )


def head(scale: Scale) -> str:
    """Write how a scale is called at the top of a column: `3x: 1,500 users`."""
    return f"{factor(scale.factor)}: {number(scale.demand.users)} users"
