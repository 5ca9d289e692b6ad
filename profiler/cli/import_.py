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
    from profiler.workload.importers.survey import Findings, Survey

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
        str | None,
        typer.Option(
            metavar="N|all", help="How many sessions to draw: 200 if not given; of a trace, all."
        ),
    ] = None,
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
    encoding: Annotated[
        str | None,
        typer.Option(help="Of a trace: what its lengths are tokens of; o200k_base if not given."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite the workload and its data.")
    ] = False,
) -> None:
    """Make a workload of recorded conversations, or of a trace of requests.

    KIND is openai-messages (JSON Lines, each a list of chat messages or an object with
    'messages'), sharegpt (a JSON array or JSON Lines), or a trace, mooncake or azure-llm: arrival
    times and token lengths, for which prompts are generated. What cannot be read is skipped and
    named with its line. The sample keeps the mix of long and short sessions (of a trace it is a
    stretch). --redact-pattern implies --redact.
    """
    from profiler.cli.files import write_parts, write_whole
    from profiler.report.importing import import_summary
    from profiler.workload.importers.redact import Redactor
    from profiler.workload.importers.rewriting import Rewriter
    from profiler.workload.importers.workload_file import Origin, workload_yaml

    if kind in (ImportKind.MOONCAKE, ImportKind.AZURE_LLM):
        from profiler.cli.import_trace import import_trace

        if useless := _useless(redact=redact, patterns=redact_pattern, count=count_tokens):
            fix = "Remove it: a trace has no text, and says its tokens itself"
            raise UsageError("that has no use with a trace", where=useless, fix=fix)
        size = _size("all" if sessions is None else sessions)
        import_trace(kind, file, out, size=size, seed=seed, encoding=encoding, force=force)
        return
    if encoding is not None:
        fix = "Remove it: tokens of conversations are counted with o200k_base"
        raise UsageError("--encoding is for traces", where="--encoding", fix=fix)
    size = _size(DEFAULT_SESSIONS if sessions is None else sessions)
    workload, data = targets(out, file, force=force)
    redactor = Redactor(redact_pattern or ()) if redact or redact_pattern else None
    count = _counter() if count_tokens else None
    with opened(file) as stream:
        found = _surveyed(stream, file, kind, size=size, seed=seed, count=count)
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


def targets(out: Path, file: Path, *, force: bool, suffix: str = ".jsonl") -> tuple[Path, Path]:
    """Return where the workload and its data go; neither may be there, unless `force`."""
    if out.suffix not in {".yaml", ".yml"}:
        fix = "Give a place like scenarios/support.yaml"
        raise UsageError("a workload is a .yaml file", where=f"--out {out}", fix=fix)
    data = out.parent / "data" / f"{out.stem}{suffix}"
    for path in (out, data):
        if path.exists() and file.exists() and path.samefile(file):
            fix = "Give another --out"
            raise UsageError("that is the file to import", where=str(path), fix=fix)
        if path.is_dir() or (path.exists() and not force):
            fix = "Give another --out, or --force to overwrite"
            raise UsageError("there is something already", where=str(path), fix=fix)
    return out, data


def opened(file: Path) -> BinaryIO:
    """Open a file that can be read twice. Raises UsageError."""
    try:
        if file.exists() and not file.is_file():
            fix = "Name a file: it is read twice, so a pipe will not do"
            raise UsageError("that is no file", where=str(file), fix=fix)
        return file.open("rb")
    except OSError as exc:
        what = f"cannot read the file: {exc.strerror}"
        raise UsageError(what, where=str(file), fix="Check the path") from exc


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
) -> Survey:
    """Read the whole file. Raises UsageError where no session can be taken."""
    from profiler.workload.importers.survey import survey

    total = os.fstat(stream.fileno()).st_size
    with ExitStack() as shown:
        advanced = progress(shown, total)
        found = survey(stream, kind, size=size, seed=seed, count=count, advanced=advanced)
    if found.whole.sessions:
        return found
    raise nothing_taken(found.skipped, file)


def nothing_taken(skipped: Findings, file: Path) -> UsageError:
    """Return what to raise where no session of a file can be taken."""
    if not skipped.total:
        fix = "Check that the export wrote something"
        return UsageError("there is no session in the file", where=str(file), fix=fix)
    what, often = skipped.counts.most_common(1)[0]
    line = skipped.first_lines[what][0]
    return UsageError(
        f"none of {skipped.total:,} lines can be taken, {often:,} of them for this: {what}",
        where=f"{file}:{line}",
        fix="Check the KIND: " + ", ".join(ImportKind),
    )


def _useless(*, redact: bool, patterns: list[str] | None, count: bool) -> str | None:
    """Return the option that a trace has no use for, if one was given."""
    given = {"--redact": redact, "--redact-pattern": bool(patterns), "--count-tokens": count}
    return next((name for name, is_given in given.items() if is_given), None)


def progress(shown: ExitStack, total: int) -> Callable[[int], None] | None:
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
