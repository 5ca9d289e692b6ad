"""`agent-profiler import KIND FILE`: conversations from elsewhere become a workload."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from profiler.cli.import_files import (
    nothing_taken,
    open_source,
    progress,
    seldom_collected,
    skipped_log,
    targets,
)
from profiler.errors import UsageError
from profiler.workload.importers.kinds import ImportKind

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from profiler.workload.conversations import Message
    from profiler.workload.importers.survey import Survey
    from profiler.workload.importers.turns import Write

DEFAULT_SESSIONS = "200"


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
    skipped: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a list of all that is skipped: line and reason."),
    ] = None,
    encoding: Annotated[
        str | None,
        typer.Option(help="Of a trace: what its lengths are tokens of; o200k_base if not given."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite the workload and its data.")
    ] = False,
) -> None:
    """Make a workload of recorded conversations, or of a trace of requests.

    KIND is openai-messages (JSON Lines, each a list of chat messages or an object with 'messages'),
    sharegpt (a JSON array or JSON Lines), otel (OTLP/JSON of the collector's file exporter), har (a
    browser's recording of an agent's page), langfuse (an export of traces or observations), or a
    trace, mooncake or azure-llm: arrival times and token lengths, for which prompts are generated.
    What cannot be read is skipped and named with its line. The sample keeps the mix of long and
    short sessions (of a trace it is a stretch). --redact-pattern implies --redact.
    """
    from profiler.cli.files import write_parts, write_whole
    from profiler.cli.import_gathering import GATHERED
    from profiler.report.importing import import_summary
    from profiler.workload.importers.redact import Redactor
    from profiler.workload.importers.rewriting import Rewriter
    from profiler.workload.importers.survey import Survey
    from profiler.workload.importers.workload_file import Origin, workload_yaml

    if kind in (ImportKind.MOONCAKE, ImportKind.AZURE_LLM):
        from profiler.cli.import_trace import import_trace

        if useless := _useless(redact=redact, patterns=redact_pattern, count=count_tokens):
            fix = "Remove it: a trace has no text, and says its tokens itself"
            raise UsageError("that has no use with a trace", where=useless, fix=fix)
        size = _size("all" if sessions is None else sessions)
        import_trace(
            kind,
            file,
            out,
            size=size,
            seed=seed,
            encoding=encoding,
            skipped=skipped,
            force=force,
        )
        return
    if encoding is not None:
        fix = "Remove it: tokens of conversations are counted with o200k_base"
        raise UsageError("--encoding is for traces", where="--encoding", fix=fix)
    size = _size(DEFAULT_SESSIONS if sessions is None else sessions)
    workload, data = targets(out, file, force=force)
    redactor = Redactor(redact_pattern or ()) if redact or redact_pattern else None
    count = _counter() if count_tokens else None
    with ExitStack() as closing:
        closing.enter_context(seldom_collected())
        source = closing.enter_context(open_source(file))
        found = Survey()
        if skipped is not None:
            found.told = skipped_log(skipped, file, (workload, data), closing, force=force)
        if kind in GATHERED:
            stream = gathered_sessions(source, kind, found, closing, seed=seed)
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
        rate_per_s=found.begun.rate_per_s,
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


def gathered_sessions(
    source: BinaryIO, kind: ImportKind, found: Survey, closing: ExitStack, *, seed: int
) -> BinaryIO:
    """Return a file of sessions, made of a file where they stand apart. Raises UsageError.

    `seed` names the texts that are written where only lengths were recorded.
    """
    from tempfile import gettempdir

    from profiler.cli.import_gathering import gathered

    with ExitStack() as shown:
        advanced = progress(shown, os.fstat(source.fileno()).st_size)
        try:
            return gathered(source, kind, found, closing, write=_writer(seed), advanced=advanced)
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
        advanced = progress(shown, total)
        survey(stream, kind, size=size, seed=seed, count=count, advanced=advanced, found=found)
    if not found.whole.sessions:
        raise nothing_taken(found.skipped, file, kind, unit=found.unit)


def _useless(*, redact: bool, patterns: list[str] | None, count: bool) -> str | None:
    """Return the option that a trace has no use for, if one was given."""
    given = {"--redact": redact, "--redact-pattern": bool(patterns), "--count-tokens": count}
    return next((name for name, is_given in given.items() if is_given), None)
