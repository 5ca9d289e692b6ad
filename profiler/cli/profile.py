"""`agent-profiler profile RUN_DIR`: compute the profile from a journal, again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from profiler.cli.files import MARKDOWN_NAME, PROFILE_NAME, write_whole
from profiler.measure import JOURNAL_NAME


def command(
    run_dir: Annotated[
        Path, typer.Argument(help="The directory of a run, as `run` printed it.", metavar="RUN_DIR")
    ],
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only the path.")] = False,
) -> None:
    """Compute the profile of a run from its journal.

    The same journal gives the same profile.json, byte for byte. A run that was killed gives a
    profile of every interaction that had ended, marked partial.
    """
    from profiler.profile.build import build_profile
    from profiler.profile.model import dump_profile
    from profiler.report.markdown import profile_markdown

    journal = run_dir / JOURNAL_NAME if run_dir.is_dir() else run_dir
    profile = build_profile(journal)
    target = journal.parent / PROFILE_NAME
    write_whole(target, dump_profile(profile))
    write_whole(journal.parent / MARKDOWN_NAME, profile_markdown(profile).encode())
    if quiet:
        typer.echo(str(target))
        return
    from rich.console import Console

    from profiler.report.terminal import print_profile

    print_profile(Console(), profile, files(journal.parent))


def files(run_dir: Path) -> list[Path]:
    """Return the files of a run that exist, in the order in which a person wants them."""
    names = (PROFILE_NAME, MARKDOWN_NAME, JOURNAL_NAME)
    return [run_dir / name for name in names if (run_dir / name).exists()]
