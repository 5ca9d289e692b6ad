"""A table as CSV (RFC 4180, UTF-8), safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from profiler.report.exports.tables import Cell, Table

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What makes a spreadsheet take a text for a formula (OWASP, "CSV Injection")."""
_ROWS_AT_ONCE = 1000


def csv_parts(table: Table, rows: Iterable[tuple[Cell, ...]]) -> Iterator[bytes]:
    """Yield the file in parts: a header, then the rows. An empty cell was not observed.

    A text that a spreadsheet would run gets an apostrophe before it: names and errors come from the
    target. Truth is `true` and `false`.
    """
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerow([name for name, _ in table.columns])
    for number, row in enumerate(rows, 1):
        writer.writerow([_text(cell) for cell in row])
        if number % _ROWS_AT_ONCE == 0:
            yield _taken(buffer)
    yield _taken(buffer)


def _taken(buffer: io.StringIO) -> bytes:
    data = buffer.getvalue().encode("utf-8", "replace")
    buffer.seek(0)
    buffer.truncate()
    return data


def _text(cell: Cell) -> str | int | float:
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, str) and cell.startswith(_FORMULA):
        return f"'{cell}"
    return cell
