"""The profile of a run that was split: the shards' profiles merged, and what is missing said.

A pure function of the shards' journals, as the profile of a run in one process is of its journal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from profiler.errors import JournalError
from profiler.measure import JOURNAL_NAME, SHARDS_NAME
from profiler.measure.journal import read_journal
from profiler.measure.records import Run
from profiler.profile.build import build_profile
from profiler.profile.merge import merge_profiles

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from profiler.profile.model import WorkloadProfile


def shard_dir(run_dir: Path, index: int) -> Path:
    """Return the directory of shard `index`, counted from 0; the folders count from 1."""
    return run_dir / SHARDS_NAME / str(index + 1)


def shard_dirs(run_dir: Path) -> list[Path]:
    """Return the directories of the shards that left a journal, in order; none: it was not split.

    A journal without a whole first line, of a shard that was killed as it started, is left out.
    """
    folders = (run_dir / SHARDS_NAME).glob(f"[0-9]*/{JOURNAL_NAME}")
    found = [journal.parent for journal in folders if b"\n" in _first_line(journal)]
    return sorted(found, key=lambda folder: int(folder.name))


def _first_line(journal: Path) -> bytes:
    with journal.open("rb") as stream:
        return stream.readline()


def profile_of_shards(
    run_dir: Path, built: Mapping[Path, WorkloadProfile] | None = None
) -> tuple[WorkloadProfile, dict[Path, WorkloadProfile]]:
    """Return the profile of a split run, and that of each shard by its directory.

    `built` are shard profiles that were computed already. A reason for being partial that not every
    shard has says whose it is. Raises `JournalError` where no shard left a journal.
    """
    folders = shard_dirs(run_dir)
    if not folders:
        raise JournalError(
            "no shard of the run left a journal",
            where=str(run_dir / SHARDS_NAME),
            fix="Run the workload again",
        )
    known = {} if built is None else built
    profiles = {
        folder: known[folder] if folder in known else build_profile(folder) for folder in folders
    }
    merged = merge_profiles(list(profiles.values()))
    count = _shards_of(folders[0])
    reasons = _reasons(count, {int(f.name): p for f, p in profiles.items()})
    sample = merged.sample.model_copy(
        update={"partial": bool(reasons), "partial_reasons": tuple(reasons)}
    )
    # Shards are resumed together: as often as the one of which that is true most often.
    resumed = max((p.run.resumed or 0 for p in profiles.values()), default=0) or None
    run = merged.run.model_copy(update={"resumed": resumed})
    return merged.model_copy(update={"run": run, "sample": sample}), profiles


def _shards_of(folder: Path) -> int:
    """Return into how many shards the run was split, as one of them says."""
    run = next(iter(read_journal(folder)))
    shards = run.manifest.get("shards") if isinstance(run, Run) else None
    return shards if isinstance(shards, int) else 1


def _reasons(count: int, profiles: Mapping[int, WorkloadProfile]) -> list[str]:
    of_shard = {number: profile.sample.partial_reasons for number, profile in profiles.items()}
    missing = [number for number in range(1, count + 1) if number not in profiles]
    if not missing and len(set(of_shard.values())) == 1:
        return list(next(iter(of_shard.values())))
    named = [
        f"shard {number} of {count}: {reason}"
        for number, reasons in of_shard.items()
        for reason in reasons
    ]
    return named + [f"shard {number} of {count} left no journal" for number in missing]
