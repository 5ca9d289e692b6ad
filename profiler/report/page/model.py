"""What a page consists of: plain text and charts in an order. The template escapes all text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from profiler.report.plan_blocks import Items, Sums, Table, Words

if TYPE_CHECKING:
    from markupsafe import Markup

Tone = Literal["good", "warn", "bad", "plain"]


@dataclass(frozen=True, slots=True)
class KeyFigure:
    """A number that is read before all others: its name, the number, and what belongs to it."""

    name: str
    value: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart under its title; `legend` names the series by colour, in their order."""

    title: str
    svg: Markup
    legend: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Charts:
    """Charts that stand side by side where there is room."""

    charts: tuple[Chart, ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a grid: what is written, and by what it is sorted (None: by what is written)."""

    text: str
    key: float | None = None


@dataclass(frozen=True, slots=True)
class Grid:
    """A table that sorts by any column; `of_text` are the columns that stand at the left."""

    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    of_text: frozenset[int] = frozenset({0})
    note: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """Names and texts side by side."""

    facts: tuple[tuple[str, str], ...]


Block = Words | Items | Sums | Table | Charts | Grid | Facts


@dataclass(frozen=True, slots=True)
class Section:
    """What stands under one heading. A section without blocks is not shown."""

    title: str
    blocks: tuple[Block, ...]
    level: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The whole: `verdict` and figures come first, `doubts` speak against trusting them."""

    title: str
    subtitle: str
    verdict: str
    tone: Tone
    doubts: tuple[str, ...]
    figures: tuple[KeyFigure, ...]
    sections: tuple[Section, ...]
    footer: str
