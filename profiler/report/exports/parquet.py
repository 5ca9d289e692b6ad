"""A table as Parquet, by pyarrow (the extra `parquet`)."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from profiler.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from profiler.report.exports.tables import Cell, Table

_ROWS_AT_ONCE = 10_000


def pyarrow() -> Any:
    """Return the library. Raises `UsageError` where it is not installed."""
    try:
        import pyarrow as found  # noqa: PLC0415 - 100 MB that nothing else here needs
        import pyarrow.parquet  # noqa: PLC0415
    except ImportError as exc:
        raise UsageError(
            "Parquet needs the extra parquet",
            where="export parquet",
            fix="pip install 'agent-profiler[parquet]', or export csv",
        ) from exc
    return found


def write_parquet(path: Path, table: Table, rows: Iterable[tuple[Cell, ...]]) -> None:
    """Write the rows, some thousands in memory at a time. A null was not observed.

    Raises `UsageError` without pyarrow and `OSError`.
    """
    arrow = pyarrow()
    types = {
        "text": arrow.string(),
        "int": arrow.int64(),
        "float": arrow.float64(),
        "bool": arrow.bool_(),
    }
    schema = arrow.schema([(name, types[kind]) for name, kind in table.columns])
    left = iter(rows)
    with arrow.parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        while batch := list(islice(left, _ROWS_AT_ONCE)):
            columns = [
                arrow.array([_storable(cell) for cell in cells], type=field.type)
                for cells, field in zip(zip(*batch, strict=True), schema, strict=True)
            ]
            writer.write_table(arrow.Table.from_arrays(columns, schema=schema))


def _storable(cell: Cell) -> Cell:
    """Return a text without lone surrogates, which UTF-8 cannot hold."""
    return cell.encode("utf-8", "replace").decode() if isinstance(cell, str) else cell
