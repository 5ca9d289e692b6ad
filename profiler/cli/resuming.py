"""`run --resume`: opens what the run left, for it to go on with, or shows that it had ended."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from profiler.cli.concluding import EXIT_OK, show_profile
from profiler.cli.profile import write_profile
from profiler.errors import UsageError
from profiler.load.plan import load_plan, shared
from profiler.load.resume import check_same, manifest_of, resumption_of, take_spent
from profiler.measure import JOURNAL_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from profiler.cli.run_options import RunOptions
    from profiler.load.shard import Resumption


@contextmanager
def resumed(options: RunOptions, run_dir: Path) -> Iterator[Resumption]:
    """Yield what the run goes on with: its journal, held open against other writers."""
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
    plan = shared(load_plan(workload, until_stable=options.until_stable), options.split.share)
    resumption = resumption_of(run_dir / JOURNAL_NAME, plan, fsync=options.fsync)
    if options.meter is not None:
        take_spent(options.meter, run_dir / JOURNAL_NAME)
    try:
        yield resumption
    finally:
        resumption.journal.close()


def done_before(options: RunOptions, run_dir: Path) -> int:
    """Show the profile of a run that needs no resuming."""
    if not options.quiet and options.events is None:
        from rich.console import Console

        said = "The run has ended already: nothing was sent."
        Console(stderr=True).print(said, highlight=False)
    show_profile(write_profile(run_dir, keep_built=True), options, run_dir)
    return EXIT_OK
