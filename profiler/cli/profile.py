"""`agent-profiler profile RUN_DIR`: compute the profile from a journal, again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from profiler.cli.files import (
    MARKDOWN_NAME,
    PROFILE_NAME,
    TRAFFIC_MARKDOWN_NAME,
    TRAFFIC_NAME,
    write_whole,
)
from profiler.measure import JOURNAL_NAME, SHARDS_NAME

if TYPE_CHECKING:
    from rich.console import RenderableType

    from profiler.profile.model import WorkloadProfile
    from profiler.profile.traffic import Traffic


def command(
    run_dir: Annotated[
        Path, typer.Argument(help="The directory of a run, as `run` printed it.", metavar="RUN_DIR")
    ],
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only the path.")] = False,
) -> None:
    """Compute the profile of a run from its journal.

    The same journal gives the same profile.json, byte for byte. A run that was killed gives a
    profile of every interaction that had ended, marked partial. Of a run with several workers, the
    profile of each shard is computed and all are merged. Of the journal of a gateway alone,
    traffic.json is computed.
    """
    folder = run_dir if run_dir.is_dir() else run_dir.parent
    report: RenderableType
    if holds_traffic(run_dir):
        from profiler.report.traffic import traffic_report

        report, name = traffic_report(write_traffic(run_dir)), TRAFFIC_NAME
    else:
        from profiler.report.terminal import profile_table

        report, name = profile_table(write_profile(run_dir)), PROFILE_NAME
    if quiet:
        typer.echo(str(folder / name))
        return
    from rich.console import Console

    from profiler.report.terminal import print_report

    print_report(Console(), report, files(folder))


def write_profile(run: Path, *, keep_built: bool = False) -> WorkloadProfile:
    """Compute the profile of a run's directory, or of a journal, and write it beside the journal.

    Of a run that was split, also that of each shard; `keep_built` trusts those that are there, the
    workers having just written them. Raises `JournalError` and `ProfileError`.
    """
    from profiler.profile.build import build_profile
    from profiler.profile.model import dump_profile, load_profile
    from profiler.profile.shards import profile_of_shards, shard_dirs
    from profiler.report.markdown import profile_markdown

    if run.is_dir() and (folders := shard_dirs(run)):
        run_dir = run
        there = [folder for folder in folders if keep_built and (folder / PROFILE_NAME).exists()]
        built = {folder: load_profile(folder / PROFILE_NAME) for folder in there}
        profile, shards = profile_of_shards(run, built)
        for folder in shards.keys() - built.keys():
            write_whole(folder / PROFILE_NAME, dump_profile(shards[folder]))
    else:
        run_dir = run if run.is_dir() else run.parent
        profile = build_profile(run)
    write_whole(run_dir / PROFILE_NAME, dump_profile(profile))
    write_whole(run_dir / MARKDOWN_NAME, profile_markdown(profile).encode())
    return profile


def holds_traffic(run: Path) -> bool:
    """Say whether the journal of a directory, or a journal, is that of a gateway alone.

    False where there is none. Raises `JournalError` for what is no journal.
    """
    from profiler.measure.journal import read_journal
    from profiler.measure.records import Run
    from profiler.profile.traffic import is_traffic

    file = run / JOURNAL_NAME if run.is_dir() else run
    if not file.exists():
        return False
    first = next(read_journal(file))
    return isinstance(first, Run) and is_traffic(first)


def write_traffic(run: Path) -> Traffic:
    """Compute the traffic of a gateway's directory, or of its journal, and write it beside that.

    Raises `JournalError` and `ProfileError`.
    """
    from profiler.profile.traffic import dump_traffic
    from profiler.profile.traffic_fold import build_traffic
    from profiler.report.traffic import traffic_markdown

    run_dir = run if run.is_dir() else run.parent
    traffic = build_traffic(run)
    write_whole(run_dir / TRAFFIC_NAME, dump_traffic(traffic))
    write_whole(run_dir / TRAFFIC_MARKDOWN_NAME, traffic_markdown(traffic).encode())
    return traffic


def holds_journal(run_dir: Path) -> bool:
    """Say whether there is anything to compute a profile of."""
    from profiler.profile.shards import shard_dirs

    return (run_dir / JOURNAL_NAME).exists() or bool(shard_dirs(run_dir))


def files(run_dir: Path) -> list[Path]:
    """Return the files of a run that exist, in the order in which a person wants them."""
    kinds = (PROFILE_NAME, MARKDOWN_NAME, TRAFFIC_NAME, TRAFFIC_MARKDOWN_NAME)
    names = (*kinds, JOURNAL_NAME, SHARDS_NAME)
    return [run_dir / name for name in names if (run_dir / name).exists()]
