"""`agent-profiler export FORMAT RUN`: a run in the formats of other programs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from profiler.cli.files import PROFILE_NAME, write_parts, write_whole, written_by
from profiler.cli.report import refuse_empty
from profiler.errors import UsageError
from profiler.measure import JOURNAL_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

    from profiler.measure.records import Record
    from profiler.report.exports.tables import Cell, Table

PROMETHEUS_NAME = "profile.prom"
SUMMARY_NAME = "summary.md"


class ExportFormat(StrEnum):
    """What a run can be written as."""

    CSV = "csv"
    PARQUET = "parquet"
    PROMETHEUS = "prometheus"
    HLOG = "hlog"
    MARKDOWN = "markdown"


def command(
    form: Annotated[
        ExportFormat,
        typer.Argument(help="csv, parquet, prometheus, hlog or markdown.", metavar="FORMAT"),
    ],
    run: Annotated[
        Path,
        typer.Argument(
            help="The directory of a run, its journal or its profile.json.", metavar="RUN"
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="DIR", help="Where to write (default: the run's)."),
    ] = None,
    interval: Annotated[
        float,
        typer.Option(help="Seconds of one interval of an .hlog.", min=0.001, metavar="SECONDS"),
    ] = 1.0,
) -> None:
    """Write a run in a format of other programs, and print the paths.

    csv and parquet (needs the extra parquet): interactions, llm_calls and tool_calls, warm-up
    included. hlog: HdrHistogram interval logs of the latencies, in microseconds, of measured
    interactions that succeeded. prometheus: the profile as a text file for a collector. markdown:
    the profile as a comment on a pull request.

    Exit codes: 0 done, 2 wrong input.
    """
    folder = out if out is not None else run if run.is_dir() else run.parent
    if form in (ExportFormat.CSV, ExportFormat.PARQUET):
        _refuse_no_rows(run)
    match form:
        case ExportFormat.CSV:
            paths = _csv(run, folder)
        case ExportFormat.PARQUET:
            paths = _parquet(run, folder)
        case ExportFormat.HLOG:
            paths = _hlog(run, folder, interval)
        case ExportFormat.PROMETHEUS | ExportFormat.MARKDOWN:
            paths = [_of_profile(run, folder, form)]
    for path in paths:
        typer.echo(str(path))


def _journals(run: Path) -> list[Path]:
    """Return the journals of a run: those of its shards where it was split."""
    from profiler.profile.shards import shard_dirs

    if run.name == PROFILE_NAME and run.is_file():
        run = run.parent
    if run.is_dir() and (folders := shard_dirs(run)):
        return [folder / JOURNAL_NAME for folder in folders]
    return [run]


def _records(run: Path) -> Iterator[Record]:
    from profiler.measure.journal import read_journal

    for journal in _journals(run):
        yield from read_journal(journal)


def _rows(run: Path, table: Table) -> Iterator[tuple[Cell, ...]]:
    from profiler.report.exports.tables import rows_of

    return rows_of(table, _records(run))


def _refuse_no_rows(run: Path) -> None:
    from profiler.report.exports.tables import TABLES

    if next(_rows(run, TABLES[0]), None) is None:
        raise UsageError("the run has no interaction", where=str(run), fix="Give another run")


def _csv(run: Path, folder: Path) -> list[Path]:
    from profiler.report.exports.csv_text import csv_parts
    from profiler.report.exports.tables import TABLES

    paths = []
    for table in TABLES:
        path = folder / f"{table.name}.csv"
        write_parts(path, csv_parts(table, _rows(run, table)))
        paths.append(path)
    return paths


def _parquet(run: Path, folder: Path) -> list[Path]:
    from profiler.report.exports.parquet import pyarrow, write_parquet
    from profiler.report.exports.tables import TABLES

    pyarrow()  # raises before anything is made
    paths = []
    for table in TABLES:
        path = folder / f"{table.name}.parquet"
        with written_by(path) as temporary:
            write_parquet(temporary, table, _rows(run, table))
        paths.append(path)
    return paths


def _hlog(run: Path, folder: Path, interval_s: float) -> list[Path]:
    from profiler.report.exports.hlog import IntervalLogs

    logs = IntervalLogs(interval_s)
    logs.add(_records(run))
    texts = logs.texts()
    if not texts:
        raise UsageError(
            "no measured interaction succeeded: there is no latency to write",
            where=str(run),
            fix="Export csv, which has the failed ones",
        )
    paths = []
    for metric, text in texts.items():
        path = folder / f"{metric}.hlog"
        write_whole(path, text.encode())
        paths.append(path)
    return paths


def _of_profile(run: Path, folder: Path, form: ExportFormat) -> Path:
    from profiler.profile.model import load_profile
    from profiler.report.exports.prometheus import prometheus_text
    from profiler.report.pull_request import pull_request_markdown

    profile = load_profile(run / PROFILE_NAME if run.is_dir() else run)
    refuse_empty(profile, run)
    if form is ExportFormat.MARKDOWN:
        path, text = folder / SUMMARY_NAME, pull_request_markdown(profile)
    else:
        path, text = folder / PROMETHEUS_NAME, prometheus_text(profile)
    write_whole(path, text.encode("utf-8", "replace"))
    return path
