"""Goes on with a run that ended early: opens its journal again and sees how far it came."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from profiler.errors import JournalError, JournalInUseError, WorkloadError
from profiler.load.shard import Resumption
from profiler.measure import JOURNAL_NAME, SHARDS_NAME
from profiler.measure.journal import (
    JournalWriter,
    find_resumes,
    read_as_written,
    read_journal,
)
from profiler.measure.reached import reached_by
from profiler.measure.records import Interaction, LlmCall, Observer, Run
from profiler.measure.syncing import Fsync
from profiler.measure.writing import nothing_sent

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from profiler.load.meter import Meter
    from profiler.load.plan import LoadPlan
    from profiler.measure.reached import Reached
    from profiler.measure.records import Record, Resumed
    from profiler.workload.model import Workload

ORPHANS_WITHIN_S = 10.0
"""How long workers may take to end whose conductor was killed: they notice at once."""

_POLL_S = 0.05


def shard_journals(run_dir: Path) -> dict[int, Path]:
    """Return the journals of the shards that began, by their index; none: it was not split.

    One without a whole first line, of a shard that was killed as it began, is left out.
    """
    found = (run_dir / SHARDS_NAME).glob(f"[0-9]*/{JOURNAL_NAME}")
    begun = {int(path.parent.name) - 1: path for path in found if _has_begun(path)}
    return dict(sorted(begun.items()))


def _has_begun(journal: Path) -> bool:
    with journal.open("rb") as stream:
        return stream.readline().endswith(b"\n")


def manifest_of(run_dir: Path) -> Run:
    """Return the first line of the run's journal; of a run that was split, that of a shard.

    Raises `JournalError` where there is none.
    """
    journal = next(iter(shard_journals(run_dir).values()), run_dir / JOURNAL_NAME)
    is_split = (run_dir / SHARDS_NAME).exists()
    if is_split and not journal.exists():
        raise nothing_sent(run_dir / SHARDS_NAME)
    if run_dir.is_dir() and not journal.exists():
        raise JournalError(
            "there is no journal: this is no run, or one that was killed before it sent anything",
            where=str(run_dir),
            fix="Give the directory of a run, or run the workload again, with another --out",
        )
    first = next(read_as_written(journal, frozenset()), None)
    if not isinstance(first, Run):
        raise nothing_sent(journal)
    return first


def last_resumed(run_dir: Path) -> Resumed | None:
    """Return what the run's journal, or that of any shard, last says of being resumed."""
    journals = [*shard_journals(run_dir).values(), run_dir / JOURNAL_NAME]
    found = [resumed for journal in journals for resumed in find_resumes(journal)]
    return max(found, key=lambda resumed: resumed.resumed_wall_ns, default=None)


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
    it is damaged.
    """
    writer = JournalWriter(journal, fsync=fsync, resume=True)
    try:
        reached = reached_by(
            read_as_written(journal), index=plan.share.index, count=plan.share.count
        )
    except BaseException:
        writer.close()
        raise
    return Resumption(journal=writer, reached=reached)


def shards_reached(run_dir: Path, shards: int) -> tuple[Reached | None, ...]:
    """Return how far each of a run's shards came; None for one that never began.

    Waits for workers that outlived their conductor, and removes what those left that never began.
    Raises `JournalError` where a worker goes on writing, or a journal is damaged.
    """
    began = shard_journals(run_dir)
    deadline_s = time.monotonic() + ORPHANS_WITHIN_S
    found: list[Reached | None] = []
    for index in range(shards):
        journal = began.get(index)
        if journal is None:
            (run_dir / SHARDS_NAME / str(index + 1) / JOURNAL_NAME).unlink(missing_ok=True)
            found.append(None)
            continue
        _wait_until_free(journal, deadline_s)
        found.append(reached_by(read_as_written(journal), index=index, count=shards))
    return tuple(found)


def _wait_until_free(journal: Path, deadline_s: float) -> None:
    """Return once nobody writes the journal. Raises `JournalInUseError` past the deadline."""
    while True:
        try:
            JournalWriter(journal, fsync=Fsync.NEVER, resume=True).close()
        except JournalInUseError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(_POLL_S)
        else:
            return


def taken_up(journal: Path, reached: Reached, *, fsync: Fsync, meter: Meter | None) -> Resumption:
    """Open the journal of a shard that came so far; put on the account what it had spent."""
    if meter is not None:
        take_spent(meter, journal)
    return Resumption(journal=JournalWriter(journal, fsync=fsync, resume=True), reached=reached)


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


def ended_before(
    journal: Path, unfinished: Collection[str]
) -> Iterator[tuple[Interaction, tuple[Record, ...]]]:
    """Yield the interactions that a resumed run keeps, each with what its answer told of calls.

    Not those of sessions that are `unfinished`, which begin anew.
    """
    interaction: Interaction | None = None
    inside: list[Record] = []
    for record in read_journal(journal, frozenset({"interaction", "llm_call"})):
        if isinstance(record, Interaction):
            if interaction is not None:
                yield interaction, tuple(inside)
            interaction, inside = None if record.session in unfinished else record, []
        elif isinstance(record, LlmCall) and record.observer is Observer.RESPONSE:
            inside.append(record)  # they are written right after their interaction
    if interaction is not None:
        yield interaction, tuple(inside)
