"""What all imports do with files: where they read, where they write, how far they are."""

from __future__ import annotations

import gc
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from profiler.errors import UsageError
from profiler.workload.importers.kinds import ImportKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import ExitStack
    from pathlib import Path
    from typing import BinaryIO

    from profiler.workload.importers.streaming import Problem
    from profiler.workload.importers.survey import Findings

_PROGRESS_FROM_BYTES = 50 * 2**20
_BUFFER_BYTES = 2**20  # lines of 200 kB are usual, and pieced together from buffers


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Let the garbage collector run a hundred times less often.

    Records of a file are trees, freed without it; it would look through each again and again.
    """
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(100 * before[0], *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


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


_UNPACK = "Unpack it first"
_MARKS = {
    b"\x1f\x8b": ("a gzip file", f"{_UNPACK}: gunzip -k FILE"),
    b"\x28\xb5\x2f\xfd": ("a Zstandard file", f"{_UNPACK}: unzstd FILE"),
    b"\xfd7zXZ\x00": ("an xz file", f"{_UNPACK}: unxz -k FILE"),
    b"BZh": ("a bzip2 file", f"{_UNPACK}: bunzip2 -k FILE"),
    b"PK\x03\x04": ("a zip file", f"{_UNPACK}: unzip FILE"),
    b"PAR1": ("a Parquet file", "Export JSON Lines instead"),
    b"\xff\xfe": ("text in UTF-16", "Convert it: iconv -f UTF-16 -t UTF-8 FILE > NEW_FILE"),
    b"\xfe\xff": ("text in UTF-16", "Convert it: iconv -f UTF-16 -t UTF-8 FILE > NEW_FILE"),
}
"""How files begin that no import reads: what they are, and what to do."""
_LONGEST_MARK = max(map(len, _MARKS))


def open_source(file: Path) -> BinaryIO:
    """Open a file that can be read twice. Raises UsageError."""
    try:
        if file.exists() and not file.is_file():
            fix = "Name a file: it is read twice, so a pipe will not do"
            raise UsageError("that is no file", where=str(file), fix=fix)
        stream = file.open("rb", buffering=_BUFFER_BYTES)
        first = stream.read(_LONGEST_MARK)
        stream.seek(0)
    except OSError as exc:
        what = f"cannot read the file: {exc.strerror}"
        raise UsageError(what, where=str(file), fix="Check the path") from exc
    for mark, (what, fix) in _MARKS.items():
        if first.startswith(mark):
            stream.close()
            raise UsageError(f"that is {what}, not text in UTF-8", where=str(file), fix=fix)
    return stream


def skipped_log(
    skipped: Path, file: Path, others: tuple[Path, Path], closing: ExitStack, *, force: bool
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
    closing.callback(log.close)
    return log.write


def looks_like(file: Path) -> ImportKind | None:
    """Return the kind of a file as its beginning tells; None: it does not, or cannot be read."""
    from profiler.workload.importers.likely import BEGINNING_BYTES, likely_kind

    try:
        with file.open("rb") as stream:
            return likely_kind(stream.read(BEGINNING_BYTES))
    except OSError:
        return None


def nothing_taken(
    skipped: Findings, file: Path, kind: ImportKind, *, unit: str = "line"
) -> UsageError:
    """Return what to raise where no session of a file can be taken as this kind."""
    if not skipped.total:
        fix = "Check that the export wrote something"
        return UsageError("there is no session in the file", where=str(file), fix=fix)
    what, often = skipped.counts.most_common(1)[0]
    lines = skipped.first_lines[what]
    units = "entries" if unit == "entry" else "lines"
    fix = "Check the KIND (--kind of `workload`): " + ", ".join(ImportKind)
    if (likely := looks_like(file)) not in {None, kind}:
        fix = f"It looks like {likely}: give that as the KIND (--kind of `workload`), not {kind}"
    return UsageError(
        f"none of {skipped.total:,} {units} can be taken, {often:,} of them for this: {what}",
        where=f"{file}:{lines[0]}" if lines else str(file),
        fix=fix,
    )


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
