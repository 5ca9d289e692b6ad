"""Where a run puts its files, and how they are written whole or not at all."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from profiler.errors import UsageError
from profiler.measure import JOURNAL_NAME, SHARDS_NAME

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

RESULTS = Path("results")
PROFILE_NAME = "profile.json"
MARKDOWN_NAME = "profile.md"
TRAFFIC_NAME = "traffic.json"
TRAFFIC_MARKDOWN_NAME = "traffic.md"
TEXTS_NAME = "texts.jsonl"
TRUTH_NAME = "mock_truth.jsonl"
MOCK_LOG_NAME = "mock.log"
LLM_TRUTH_NAME = "mock_llm_truth.jsonl"
MOCK_LLM_LOG_NAME = "mock_llm.log"
LEAST_FREE_BYTES = 50 * 1024 * 1024


def new_run_dir(out: Path | None, workload_name: str) -> Path:
    """Create the directory of a run: `out`, or `results/<workload>-<date>-<time>`.

    Raises `UsageError` where it cannot be written, holds a run already, or the disk is nearly full.
    """
    import tempfile  # not for those who only want a name from here

    run_dir = out if out is not None else _unused(workload_name)
    if (run_dir / JOURNAL_NAME).exists() or (run_dir / SHARDS_NAME).exists():
        raise UsageError(
            "the directory already holds a run",
            where=str(run_dir),
            fix="Give another --out: a journal is never overwritten",
        )
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=run_dir):
            pass
        free_bytes = shutil.disk_usage(run_dir).free
    except OSError as exc:
        raise UsageError(
            f"cannot write there: {exc.strerror}",
            where=str(run_dir),
            fix="Give --out a directory that is writable",
        ) from exc
    if free_bytes < LEAST_FREE_BYTES:
        raise UsageError(
            f"only {free_bytes // 1024**2} MiB are free",
            where=str(run_dir),
            fix="Free some space, or give --out a directory on another disk",
        )
    return run_dir


def forget_unbegun(run_dir: Path) -> None:
    """Remove what a run left that ended before anything was sent: it would only be in the way.

    Nothing is removed once the journal has more than its first line, and no file but the run's own.
    """
    journal = run_dir / JOURNAL_NAME
    if not journal.exists():
        return
    with journal.open("rb") as lines:
        if sum(1 for _ in zip(range(2), lines, strict=False)) > 1:
            return
    for name in (
        JOURNAL_NAME,
        TRUTH_NAME,
        MOCK_LOG_NAME,
        LLM_TRUTH_NAME,
        MOCK_LLM_LOG_NAME,
        TEXTS_NAME,
    ):
        (run_dir / name).unlink(missing_ok=True)
    with suppress(OSError):  # there is something else in it
        run_dir.rmdir()
        if run_dir.parent == RESULTS:
            RESULTS.rmdir()


def _unused(workload_name: str) -> Path:
    stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    safe = "".join(c if c.isalnum() or c in "-_." else "-" for c in workload_name)
    run_dir, number = RESULTS / f"{safe}-{stamp}", 2
    while run_dir.exists():
        run_dir, number = RESULTS / f"{safe}-{stamp}-{number}", number + 1
    return run_dir


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees the old one or the new one, never a half.

    Raises `UsageError` where the place cannot be written.
    """
    write_parts(path, (data,))


def write_parts(path: Path, parts: Iterable[bytes]) -> None:
    """Write a file as `write_whole` does, of parts that need not be in memory together.

    Whatever `parts` raises leaves the old file, too.
    """
    with written_by(path) as temporary, temporary.open("wb") as stream:
        stream.writelines(parts)
        stream.flush()
        os.fsync(stream.fileno())


@contextmanager
def written_by(path: Path) -> Iterator[Path]:
    """Yield where to write a file, which takes the place of `path` once the block has ended well.

    Whatever is raised leaves the old file. Raises `UsageError` where the place cannot be written.
    """
    if not path.name:  # `.` and `/`
        fix = "Give the name of a file to write"
        raise UsageError("that is a directory", where=str(path), fix=fix)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except OSError as exc:
        raise UsageError(
            f"cannot write the file: {exc.strerror}",
            where=str(path),
            fix="Give a place that is writable and has space",
        ) from exc
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
