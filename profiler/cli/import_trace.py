"""`agent-profiler import mooncake|azure-llm FILE`: a trace of requests becomes a workload."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING

import typer

from profiler.cli.files import write_parts, write_whole
from profiler.cli.import_files import (
    nothing_taken,
    open_source,
    progress,
    skipped_log,
    targets,
)
from profiler.errors import UsageError
from profiler.report.importing import trace_summary
from profiler.workload.importers.kinds import ImportKind
from profiler.workload.importers.request_survey import Stretch, survey_requests
from profiler.workload.importers.requests import BLOCK_TOKENS
from profiler.workload.importers.workload_file import TraceOrigin, trace_workload_yaml
from profiler.workload.instants import seconds_text
from profiler.workload.near import did_you_mean
from profiler.workload.request_trace import HEADER, line_of
from profiler.workload.words import ENCODINGS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from profiler.workload.importers.requests import Request


def import_trace(
    kind: ImportKind,
    file: Path,
    out: Path,
    *,
    size: int | None,
    seed: int,
    encoding: str | None,
    skipped: Path | None,
    force: bool,
) -> None:
    """Write the workload and its data, and print what was seen. Raises UsageError."""
    name = encoding if encoding is not None else ENCODINGS[0]
    if name not in ENCODINGS:
        what = f"there is no encoding '{name}'"
        raise UsageError(what, where="--encoding", fix=did_you_mean(name, ENCODINGS))
    workload, data = targets(out, file, force=force, suffix=".csv")
    stretch = Stretch()
    with ExitStack() as closing:
        stream = closing.enter_context(open_source(file))
        told = None
        if skipped is not None:
            told = skipped_log(skipped, file, (workload, data), closing, force=force)
        with ExitStack() as shown:
            advanced = progress(shown, os.fstat(stream.fileno()).st_size)
            found = survey_requests(
                stream, kind, size=size, seed=seed, advanced=advanced, told=told
            )
        if not found.whole.requests:
            raise nothing_taken(found.skipped, file)
        chosen = stretch.requests(stream, kind, skip=found.skip, take=found.take)
        write_parts(data, _rows(chosen))
    origin = TraceOrigin(
        name=workload.stem,
        source=file.name,
        kind=kind.value,
        requests=stretch.taken.requests,
        of_requests=found.whole.requests,
        encoding=name,
        block_tokens=BLOCK_TOKENS if kind is ImportKind.MOONCAKE else None,
    )
    text = trace_workload_yaml(origin, f"{data.parent.name}/{data.name}")
    write_whole(workload, text.encode())
    for line in trace_summary(str(file), found, stretch.taken, seed=seed):
        typer.echo(line)
    typer.echo(f"wrote {workload} and {data}")
    typer.echo(f"try it on the mock agent: agent-profiler run {workload}")


def _rows(requests: Iterator[Request]) -> Iterator[bytes]:
    yield HEADER
    first_ns: int | None = None
    for request in requests:
        first_ns = request.at_ns if first_ns is None else first_ns
        yield line_of(seconds_text(request.at_ns - first_ns), request.lengths)
