"""`run --resume`: opens what the run left, for it to go on with, or shows that it had ended."""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from profiler.cli.concluding import EXIT_OK, show_profile
from profiler.cli.files import PROFILE_NAME
from profiler.cli.profile import write_profile
from profiler.errors import JournalError, JournalInUseError, UsageError
from profiler.load.plan import load_plan, shared
from profiler.load.resume import (
    check_same,
    manifest_of,
    resumption_of,
    shards_reached,
    take_spent,
)
from profiler.measure import JOURNAL_NAME, SHARDS_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from profiler.cli.run_options import RunOptions
    from profiler.load.shard import Resumption
    from profiler.measure.reached import Reached

_NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP})


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitResumption:
    """What a run over several shards goes on with: how far each came; None: it never began."""

    reached: tuple[Reached | None, ...]

    @property
    def is_done(self) -> bool:
        """Whether every shard came to its intended end: nothing is left to send."""
        return all(reached is not None and reached.is_done for reached in self.reached)


@contextmanager
def resumed(
    options: RunOptions, run_dir: Path, shards: int
) -> Iterator[Resumption | SplitResumption]:
    """Yield what the run goes on with, held against other writers.

    Raises `UsageError` where the run is not the one that the options say.
    """
    workload = options.workload
    run = manifest_of(run_dir)
    check_same(run, workload, options.workload_path)
    url = workload.redacted_target()["url"]
    if url != run.target.get("url"):
        raise UsageError(
            f"the run was begun against {run.target.get('url')}, and this is {url}",
            where=str(run_dir),
            fix="Give the same --url, with its secrets, which no journal has",
        )
    if shards > 1:
        with _held(run_dir / SHARDS_NAME):
            yield _split(run_dir, shards)
        return
    plan = shared(load_plan(workload, until_stable=options.until_stable), options.split.share)
    resumption = resumption_of(run_dir / JOURNAL_NAME, plan, fsync=options.fsync)
    try:
        if options.meter is not None:
            take_spent(options.meter, run_dir / JOURNAL_NAME)
        yield resumption
    finally:
        resumption.journal.close()


def _split(run_dir: Path, shards: int) -> SplitResumption:
    found = SplitResumption(reached=shards_reached(run_dir, shards))
    for index, reached in enumerate(found.reached):
        if reached is None or not reached.is_done:  # what was made of it is not of all of it
            (run_dir / SHARDS_NAME / str(index + 1) / PROFILE_NAME).unlink(missing_ok=True)
    return found


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Lock the directory of the shards: two that go on with them would each send what is left."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as exc:
        raise JournalError(
            f"cannot open the run's shards: {exc.strerror}",
            where=str(folder),
            fix="Give the directory of a run, as `agent-profiler run` printed it",
        ) from exc
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise JournalInUseError(
                "another process goes on with this run",
                where=str(folder.parent),
                fix="Wait until it has ended, or end it",
            ) from exc
        except OSError as exc:
            if exc.errno not in _NO_LOCKS:
                raise
        yield
    finally:
        os.close(descriptor)


def done_before(options: RunOptions, run_dir: Path) -> int:
    """Show the profile of a run that needs no resuming."""
    if not options.quiet and options.events is None:
        from rich.console import Console

        said = "The run has ended already: nothing was sent."
        Console(stderr=True).print(said, highlight=False)
    show_profile(write_profile(run_dir, keep_built=True), options, run_dir)
    return EXIT_OK
