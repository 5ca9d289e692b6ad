"""Where the values of `{{ name }}` come from: lists, CSV files, ranges of numbers.

A value is a pure function of 64 random bits.
"""

from __future__ import annotations

import csv
import hashlib
import io
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from profiler.errors import WorkloadError

if TYPE_CHECKING:
    from pathlib import Path

_BITS = 64
_RANGE = 1 << _BITS
BUILT_IN = frozenset({"session_id", "turn"})
"""Every text may use these: the session's id, and the index of the turn, from 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A CSV file with a header, whole, with the digest that says which file it was."""

    path: Path
    sha256: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListVariable:
    """One of some values, all alike."""

    values: tuple[str, ...]

    def sample(self, bits: int) -> str:
        """Return the value that 64 random bits pick."""
        return self.values[bits * len(self.values) >> _BITS]


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvVariable:
    """A column of a table; which row is not drawn but dealt: each once before any comes again."""

    table: Table
    column: int

    def value(self, row: int) -> str:
        """Return the cell in that row."""
        return self.table.rows[row][self.column]


@dataclass(frozen=True, slots=True, kw_only=True)
class IntVariable:
    """A whole number between two, both included."""

    low: int
    high: int

    def sample(self, bits: int) -> str:
        """Return the number that 64 random bits pick."""
        return str(self.low + (bits * (self.high - self.low + 1) >> _BITS))


@dataclass(frozen=True, slots=True, kw_only=True)
class FloatVariable:
    """A number between two, written with two decimals, or more where the range is narrow."""

    low: float
    high: float

    def sample(self, bits: int) -> str:
        """Return the number that 64 random bits pick, rounded to at least a thousand steps."""
        return f"{self.low + (self.high - self.low) * (bits / _RANGE):.{self._decimals()}f}"

    def _decimals(self) -> int:
        span = self.high - self.low
        return max(2, 3 - math.floor(math.log10(span))) if span > 0 else 2


Variable = ListVariable | CsvVariable | IntVariable | FloatVariable


def read_table(path: Path) -> Table:
    """Read a CSV file whose first row names the columns. Raises WorkloadError with the line."""
    try:
        content = path.read_bytes()
        text = content.decode("utf-8-sig")
    except OSError as exc:
        raise WorkloadError(
            f"cannot read the CSV file: {exc.strerror}", where=str(path), fix="Check the path"
        ) from exc
    except UnicodeDecodeError as exc:
        raise WorkloadError(
            "the CSV file is not UTF-8 text", where=str(path), fix="Save it as UTF-8"
        ) from exc
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[tuple[str, ...]] = []
    try:
        for row in reader:
            if row:
                rows.append(tuple(row))
                _same_width(path, reader.line_num, len(row), len(rows[0]))
    except csv.Error as exc:
        where = f"{path}:{reader.line_num}"
        raise WorkloadError(f"not valid CSV: {exc}", where=where, fix="Check the quotes") from exc
    if len(rows) <= 1:
        fix = "Name the columns in the first row and add rows below"
        raise WorkloadError("the CSV file has no rows", where=str(path), fix=fix)
    columns = tuple(name.strip() for name in rows[0])
    if len(set(columns)) != len(columns):
        fix = "Give every column a name of its own"
        raise WorkloadError("two columns have the same name", where=f"{path}:1", fix=fix)
    digest = hashlib.sha256(content).hexdigest()
    return Table(path=path, sha256=digest, columns=columns, rows=tuple(rows[1:]))


def _same_width(path: Path, line: int, cells: int, columns: int) -> None:
    if cells != columns:
        raise WorkloadError(
            f"the row has {cells} cells, the header {columns}",
            where=f"{path}:{line}",
            fix="Quote cells that contain a comma",
        )
