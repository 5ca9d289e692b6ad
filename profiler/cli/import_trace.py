"""`agent-profiler import mooncake|azure-llm FILE`: a trace of requests becomes a workload."""

from __future__ import annotations

import os
from contextlib import ExitStack
from itertools import chain
from typing import TYPE_CHECKING

import typer

from profiler.cli.files import write_parts, write_whole
from profiler.cli.import_files import (
    nothing_taken,
    open_source,
    progress,
    seldom_collected,
    skipped_log,
    targets,
)
from profiler.errors import UsageError
from profiler.report.importing import trace_summary
from profiler.workload.importers.kinds import ImportKind
from profiler.workload.importers.request_lines import BLOCK_TOKENS
from profiler.workload.importers.request_survey import (
    RequestSurvey,
    RequestTally,
    Stretch,
    survey_requests,
    surveyed,
)
from profiler.workload.importers.workload_file import TraceOrigin, trace_workload_yaml
from profiler.workload.near import did_you_mean
from profiler.workload.request_trace import HEADER, lines_of
from profiler.workload.words import ENCODINGS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import BinaryIO

    from profiler.workload.importers.request_batches import Batch
    from profiler.workload.importers.streaming import Problem


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
    with ExitStack() as closing:
        closing.enter_context(seldom_collected())
        stream = closing.enter_context(open_source(file))
        told = None
        if skipped is not None:
            told = skipped_log(skipped, file, (workload, data), closing, force=force)
        found, taken = _imported(stream, kind, data, file, size=size, seed=seed, told=told)
    origin = TraceOrigin(
        name=workload.stem,
        source=file.name,
        kind=kind.value,
        requests=taken.requests,
        of_requests=found.whole.requests,
        encoding=name,
        block_tokens=BLOCK_TOKENS if kind is ImportKind.MOONCAKE else None,
    )
    text = trace_workload_yaml(origin, f"{data.parent.name}/{data.name}")
    write_whole(workload, text.encode())
    for line in trace_summary(str(file), found, taken, seed=seed):
        typer.echo(line)
    typer.echo(f"wrote {workload} and {data}")
    typer.echo(f"try it on the mock agent: agent-profiler run {workload}")


def _imported(
    stream: BinaryIO,
    kind: ImportKind,
    data: Path,
    file: Path,
    *,
    size: int | None,
    seed: int,
    told: Callable[[Problem], None] | None,
) -> tuple[RequestSurvey, RequestTally]:
    """Write the requests that are taken; return what there is, and what was taken of it.

    All of them take one pass; which stretch to take is known after one, and takes another.
    """
    with ExitStack() as shown:
        advanced = progress(shown, os.fstat(stream.fileno()).st_size)
        if size is None:
            found = RequestSurvey()
            rows = surveyed(stream, kind, found, advanced=advanced, told=told)
            write_parts(data, _rows(_begun(rows, found, file, kind)))
            return found, found.whole
        found = survey_requests(stream, kind, size=size, seed=seed, advanced=advanced, told=told)
    stretch = Stretch()
    rows = stretch.requests(stream, kind, skip=found.skip, take=found.take)
    write_parts(data, _rows(_begun(rows, found, file, kind)))
    return found, stretch.taken


def _begun(
    chosen: Iterator[Batch], found: RequestSurvey, file: Path, kind: ImportKind
) -> Iterator[Batch]:
    """Return the same requests. Raises UsageError where there is none: nothing is written then."""
    first = next(chosen, None)
    if first is None:
        raise nothing_taken(found.skipped, file, kind)
    return chain((first,), chosen)


def _rows(chosen: Iterator[Batch]) -> Iterator[bytes]:
    yield HEADER
    first_ns: int | None = None
    for batch in chosen:
        first_ns = batch.at_ns[0] if first_ns is None else first_ns
        offsets_ns = [at_ns - first_ns for at_ns in batch.at_ns]
        yield lines_of(offsets_ns, batch.inputs, batch.outputs, batch.blocks)
