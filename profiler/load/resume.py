"""Goes on with a run that ended early: opens its journal again and sees how far it came."""

from __future__ import annotations

from typing import TYPE_CHECKING

from profiler.errors import JournalError, UsageError, WorkloadError
from profiler.load.plan import OpenLoop
from profiler.load.schedule import Trace
from profiler.load.shard import Resumption
from profiler.measure import JOURNAL_NAME, SHARDS_NAME
from profiler.measure.journal import JournalWriter, read_as_written
from profiler.measure.reached import reached_by
from profiler.measure.records import Interaction, LlmCall, Observer, Run

if TYPE_CHECKING:
    from pathlib import Path

    from profiler.load.meter import Meter
    from profiler.load.plan import LoadPlan
    from profiler.measure.syncing import Fsync
    from profiler.workload.model import Workload


def manifest_of(run_dir: Path) -> Run:
    """Return the first line of the run's journal.

    Raises `UsageError` for a run that was split, `JournalError` where there is no journal.
    """
    if (run_dir / SHARDS_NAME).exists():
        raise UsageError(
            "a run that was split over workers cannot be resumed",
            where=str(run_dir),
            fix=f"`agent-profiler profile {run_dir}` computes what there is; run it again for more",
        )
    first = next(read_as_written(run_dir / JOURNAL_NAME, frozenset()), None)
    if not isinstance(first, Run):
        raise JournalError(
            "the journal has no whole first line: nothing was sent",
            where=str(run_dir / JOURNAL_NAME),
            fix="Remove the directory and run the workload again",
        )
    return first


def check_same(run: Run, workload: Workload, where: Path) -> None:
    """Raise `WorkloadError` where the workload is not the one that the run was begun with."""
    digests = {"workload": workload.digest(), **workload.data_digests()}
    changed = sorted(
        name
        for name in run.digests.keys() | digests.keys()
        if run.digests.get(name) != digests.get(name)
    )
    if changed:
        raise WorkloadError(
            f"the workload has changed since the run began ({', '.join(changed)})",
            where=str(where),
            fix="Restore it, or start a new run: half of each would be neither",
        )


def resumption_of(journal: Path, plan: LoadPlan, *, fsync: Fsync) -> Resumption:
    """Open a journal to go on with, and return it with how far its run came.

    `plan` is what the run was to do. Raises `JournalError` where another process is writing it or
    it is damaged, and `UsageError` for a load that cannot be taken up in its middle.
    """
    if plan.limits.until_stable:
        raise UsageError(
            "a run with --until-stable cannot be resumed", where=str(journal), fix=_AGAIN
        )
    if isinstance(plan.loop, OpenLoop) and isinstance(plan.loop.arrivals, Trace):
        raise UsageError(
            "a run that replays a trace's arrivals cannot be resumed",
            where=str(journal),
            fix=_AGAIN,
        )
    writer = JournalWriter(journal, fsync=fsync, resume=True)
    try:
        reached = reached_by(
            read_as_written(journal), index=plan.share.index, count=plan.share.count
        )
    except BaseException:
        writer.close()
        raise
    return Resumption(journal=writer, reached=reached)


_AGAIN = "Run it again: what it asks for hangs on all of it"


def take_spent(meter: Meter, journal: Path) -> None:
    """Put on the account what the run had spent before it was interrupted."""
    kinds = frozenset({"interaction", "llm_call"})
    told = set()  # interactions whose answers told of their calls one by one
    for record in read_as_written(journal, kinds):
        if isinstance(record, LlmCall) and record.observer is Observer.RESPONSE:
            told.add(record.trace_id)
    for record in read_as_written(journal, kinds):
        match record:
            case LlmCall():
                meter.see(record)
            case Interaction(usage=usage) if usage is not None and record.trace_id not in told:
                meter.take(record, ())
            case _:
                pass
