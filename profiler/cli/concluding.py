"""What is made of a run that has ended: its profile, what is printed, how the command ends."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from profiler.cli.files import PROFILE_NAME
from profiler.cli.profile import files, holds_journal, write_profile
from profiler.cli.step_summary import add_step_summary
from profiler.errors import InconclusiveError, JournalError, TargetUnusableError
from profiler.load.meter import ENDS
from profiler.measure import JOURNAL_NAME, SHARDS_NAME
from profiler.measure.records import EndReason

if TYPE_CHECKING:
    from pathlib import Path

    from profiler.cli.run_options import RunOptions
    from profiler.load.shard import RunEnd
    from profiler.profile.model import WorkloadProfile
    from profiler.workload.model import Workload

EXIT_OK, EXIT_INTERRUPTED = 0, 130
_REMEDIES = {
    EndReason.MAX_COST: "raise --max-cost for more",
    EndReason.MAX_TOKENS: "raise --max-tokens for more",
    EndReason.UNMETERED: "have them observed (--gateway, --otlp), or leave the limit out",
}


def conclude(options: RunOptions, ended: RunEnd, url: str, run_dir: Path) -> int:
    """Profile what there is, print it, and return the exit code or raise what the run ended of."""
    workload = options.workload
    if ended.reason is EndReason.JOURNAL_FAILED:
        raise JournalError(ended.detail or "the journal could not be written")
    if ended.reason is EndReason.ERROR_LIMIT and not ended.answered:
        raise _unusable(workload, url, run_dir, ended.detail)
    if ended.lost and not holds_journal(run_dir):
        raise InconclusiveError("; ".join(ended.lost), fix="No journal came back: run again")
    profile = write_profile(run_dir, keep_built=True)
    show_profile(profile, options, run_dir)
    add_step_summary(profile)
    if ended.reason is EndReason.ERROR_LIMIT:
        raise _unusable(workload, url, run_dir, ended.detail)
    if ended.reason is EndReason.INTERRUPTED:
        return EXIT_INTERRUPTED
    if ended.reason in ENDS:
        raise InconclusiveError(
            f"the run ended early: {ended.detail or ended.reason.value}",
            fix=f"{run_dir / PROFILE_NAME} has what is there; {_REMEDIES[ended.reason]}",
        )
    if ended.lost:
        raise InconclusiveError(
            "; ".join(ended.lost), fix=f"{run_dir / PROFILE_NAME} has what is there, marked partial"
        )
    _judge(profile, options, ended.reason)
    return EXIT_OK


def show_profile(profile: WorkloadProfile, options: RunOptions, run_dir: Path) -> None:
    """Print the profile, as the options say: for people, only its path, or an event."""
    from rich.console import Console

    from profiler.report.terminal import print_profile

    if options.events is not None:
        options.events.say_profile(run_dir / PROFILE_NAME, profile)
        return
    if options.quiet:
        print(run_dir / PROFILE_NAME)  # noqa: T201 - the command line's only output when quiet
        return
    console = Console()
    print_profile(console, profile, files(run_dir))
    again = f"Again: {shlex.join(options.argv)}"
    console.print(again, style="dim", highlight=False, markup=False, soft_wrap=True)


def _unusable(
    workload: Workload, url: str, run_dir: Path, detail: str | None
) -> TargetUnusableError:
    shown = url if workload.target.url is None else workload.redacted_target()["url"]
    journal = run_dir / JOURNAL_NAME
    kept = (
        f"journal is {journal}" if journal.exists() else f"journals are in {run_dir / SHARDS_NAME}"
    )
    return TargetUnusableError(
        f"the target is unusable: {detail}",
        where=str(shown),
        fix=f"See that the agent runs there and answers; the {kept}",
    )


def _judge(profile: WorkloadProfile, options: RunOptions, reason: EndReason) -> None:
    if profile.trust.verdict == "driver_limited":
        raise InconclusiveError(
            f"the harness was the bottleneck: {'; '.join(profile.trust.reasons)}",
            fix="Lower the rate or the number of users, or give this machine less else to do",
        )
    if options.until_stable and reason is EndReason.MAX_REQUESTS:
        raise InconclusiveError(
            f"the numbers were not stable after {profile.sample.interactions:,} interactions",
            fix="Raise --max-requests, or accept the intervals that the profile gives",
        )
