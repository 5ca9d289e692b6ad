"""`agent-profiler import KIND FILE`: conversations from elsewhere become a workload."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from profiler.errors import UsageError
from profiler.workload.importers.kinds import ImportKind

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from profiler.workload.conversations import Message
    from profiler.workload.importers.streaming import Problem
    from profiler.workload.importers.survey import Survey
    from profiler.workload.importers.turns import Write

DEFAULT_SESSIONS = "200"
_PROGRESS_FROM_BYTES = 50 * 2**20


def command(
    kind: Annotated[ImportKind, typer.Argument(help="The file's format.", metavar="KIND")],
    file: Annotated[Path, typer.Argument(help="The file to import.", metavar="FILE")],
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", help="The workload to write; conversations go to data/ beside it."
        ),
    ],
    sessions: Annotated[
        str, typer.Option(metavar="N|all", help="How many sessions to draw.")
    ] = DEFAULT_SESSIONS,
    seed: Annotated[int, typer.Option(help="The same seed draws the same sessions.", min=0)] = 1,
    redact: Annotated[
        bool,
        typer.Option(
            "--redact", help="Replace e-mail addresses, phone and card numbers, and keys."
        ),
    ] = False,
    redact_pattern: Annotated[
        list[str] | None,
        typer.Option(metavar="REGEX", help="Replace what this matches, too; may be given again."),
    ] = None,
    count_tokens: Annotated[
        bool, typer.Option("--count-tokens", help="Count tokens (o200k_base); takes much longer.")
    ] = False,
    skipped: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a list of all that is skipped: line and reason."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite the workload and its data.")
    ] = False,
) -> None:
    """Make a workload of recorded conversations.

    KIND is openai-messages (JSON Lines, each a list of chat messages or an object with 'messages'),
    sharegpt (a JSON array or JSON Lines), otel (OTLP/JSON of the collector's file exporter), har (a
    browser's recording of an agent's page) or langfuse (an export of traces or observations). What
    cannot be read is skipped and named with its line. The sample keeps the mix of long and short
    sessions. --redact-pattern implies --redact.
    """
    from profiler.cli.files import write_parts, write_whole
    from profiler.cli.import_gathering import GATHERED
    from profiler.report.importing import import_summary
    from profiler.workload.importers.redact import Redactor
    from profiler.workload.importers.rewriting import Rewriter
    from profiler.workload.importers.survey import Survey
    from profiler.workload.importers.workload_file import Origin, workload_yaml

    size = _size(sessions)
    workload, data = _targets(out, file, force=force)
    redactor = Redactor(redact_pattern or ()) if redact or redact_pattern else None
    count = _counter() if count_tokens else None
    with ExitStack() as opened:
        source = opened.enter_context(_opened(file))
        found = Survey()
        if skipped is not None:
            found.told = _log(skipped, file, (workload, data), opened, force=force)
        if kind in GATHERED:
            stream = _gathered(source, kind, found, opened, _writer(seed))
        else:
            stream = source
        _surveyed(stream, file, kind, size=size, seed=seed, count=count, found=found)
        rewriter = Rewriter(redactor=redactor, count=count)
        write_parts(data, rewriter.lines(stream, kind, found.chosen))
    origin = Origin(
        name=workload.stem,
        source=file.name,
        kind=kind.value,
        sessions=rewriter.taken.sessions,
        of_sessions=found.whole.sessions,
        interactions=rewriter.taken.interactions,
        seed=seed,
        redacted=redactor is not None,
        rate_per_s=_rate_per_s(found),
        has_think_times=bool(rewriter.taken.think_times_s),
    )
    write_whole(workload, workload_yaml(origin, f"{data.parent.name}/{data.name}").encode())
    counts = redactor.counts if redactor is not None else None
    for line in import_summary(str(file), found, rewriter.taken, seed=seed, redacted=counts):
        typer.echo(line)
    typer.echo(f"wrote {workload} and {data}")
    typer.echo(f"try it on the mock agent: agent-profiler run {workload}")


def _size(sessions: str) -> int | None:
    if sessions == "all":
        return None
    if not sessions.isascii() or not sessions.isdigit() or int(sessions) < 1:
        what = f"'{sessions}' is no number of sessions"
        raise UsageError(what, where="--sessions", fix="Give 1 or more, or all")
    return int(sessions)


def _targets(out: Path, file: Path, *, force: bool) -> tuple[Path, Path]:
    """Return where the workload and its data go; neither may be there, unless `force`."""
    if out.suffix not in {".yaml", ".yml"}:
        fix = "Give a place like scenarios/support.yaml"
        raise UsageError("a workload is a .yaml file", where=f"--out {out}", fix=fix)
    data = out.parent / "data" / f"{out.stem}.jsonl"
    for path in (out, data):
        if path.exists() and file.exists() and path.samefile(file):
            fix = "Give another --out"
            raise UsageError("that is the file to import", where=str(path), fix=fix)
        if path.is_dir() or (path.exists() and not force):
            fix = "Give another --out, or --force to overwrite"
            raise UsageError("there is something already", where=str(path), fix=fix)
    return out, data


def _opened(file: Path) -> BinaryIO:
    try:
        if file.exists() and not file.is_file():
            fix = "Name a file: it is read twice, so a pipe will not do"
            raise UsageError("that is no file", where=str(file), fix=fix)
        return file.open("rb")
    except OSError as exc:
        what = f"cannot read the file: {exc.strerror}"
        raise UsageError(what, where=str(file), fix="Check the path") from exc


def _log(
    skipped: Path, file: Path, others: tuple[Path, Path], opened: ExitStack, *, force: bool
) -> Callable[[Problem], None]:
    """Open the list of what is skipped. It stays where nothing can be taken."""
    from profiler.workload.importers.skipped import SkippedLog

    if skipped.resolve() in {path.resolve() for path in (file, *others)}:
        what = "that is another file of this import"
        raise UsageError(what, where=f"--skipped {skipped}", fix="Give another file")
    if skipped.exists() and (not force or not skipped.is_file()):
        fix = "Give another file, or --force to overwrite"
        raise UsageError("there is something already", where=f"--skipped {skipped}", fix=fix)
    log = SkippedLog(skipped)
    opened.callback(log.close)
    return log.write


def _gathered(
    source: BinaryIO, kind: ImportKind, found: Survey, opened: ExitStack, write: Write
) -> BinaryIO:
    """Return a file of sessions, made of a file where they stand apart."""
    from tempfile import gettempdir

    from profiler.cli.import_gathering import gathered

    with ExitStack() as shown:
        advanced = _progress(shown, os.fstat(source.fileno()).st_size)
        try:
            return gathered(source, kind, found, opened, write=write, advanced=advanced)
        except OSError as exc:
            fix = "Make space there, or name another folder in TMPDIR"
            what = f"cannot gather the sessions in temporary files: {exc.strerror}"
            raise UsageError(what, where=gettempdir(), fix=fix) from exc


def _writer(seed: int) -> Write:
    """Return what writes texts of a length, for turns that were recorded without content."""
    from profiler.workload.words import words

    return lambda name, tokens: words(f"{seed}/{name}", tokens)


def _counter() -> Callable[[Message], int]:
    from profiler.measure.tokens import DEFAULT_ENCODING, TokenCounter

    return TokenCounter(DEFAULT_ENCODING).count_message


def _surveyed(
    stream: BinaryIO,
    file: Path,
    kind: ImportKind,
    *,
    size: int | None,
    seed: int,
    count: Callable[[Message], int] | None,
    found: Survey,
) -> None:
    """Read the whole file. Raises UsageError where no session can be taken."""
    from profiler.workload.importers.survey import survey

    total = os.fstat(stream.fileno()).st_size
    with ExitStack() as shown:
        advanced = _progress(shown, total)
        survey(stream, kind, size=size, seed=seed, count=count, advanced=advanced, found=found)
    if found.whole.sessions:
        return
    if not found.skipped.total:
        fix = "Check that the export wrote something"
        raise UsageError("there is no session in the file", where=str(file), fix=fix)
    what, often = found.skipped.counts.most_common(1)[0]
    lines = found.skipped.first_lines[what]
    units = "entries" if found.unit == "entry" else "lines"
    raise UsageError(
        f"none of {found.skipped.total:,} {units} can be taken, {often:,} of them for this: {what}",
        where=f"{file}:{lines[0]}" if lines else str(file),
        fix="Check the KIND: " + ", ".join(ImportKind),
    )


def _progress(shown: ExitStack, total: int) -> Callable[[int], None] | None:
    """Show a bar for a large file, where there is a terminal."""
    if total < _PROGRESS_FROM_BYTES or not _is_terminal():
        return None
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

    bar = shown.enter_context(
        Progress(
            BarColumn(bar_width=30),
            DownloadColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
    )
    task = bar.add_task("reading", total=total)
    return lambda done: bar.update(task, completed=done)


def _is_terminal() -> bool:
    return sys.stderr.isatty()


def _rate_per_s(found: Survey) -> float | None:
    """Return how often sessions began, where at least two at different times say so."""
    if found.begun_s is None or found.begun_s[0] == found.begun_s[1]:
        return None
    return (found.whole.sessions - 1) / (found.begun_s[1] - found.begun_s[0])
