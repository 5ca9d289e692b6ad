"""`agent-profiler merge PROFILE...`: combine the profiles of shards or runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from profiler.cli.files import MARKDOWN_NAME, write_whole
from profiler.errors import UsageError


def command(
    profiles: Annotated[
        list[Path],
        typer.Argument(help="Profiles, or the directories of runs.", metavar="PROFILE..."),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Where the merged profile.json goes.")
    ] = Path("merged.json"),
) -> None:
    """Combine profiles of the same workload and target without loss.

    Histograms and counts add up exactly; intervals are computed anew from merged statistics.
    """
    from profiler.profile.merge import merge_profiles
    from profiler.profile.model import dump_profile, load_profile
    from profiler.report.markdown import profile_markdown

    if len(profiles) < 2:  # noqa: PLR2004 - one profile is nothing to merge
        raise UsageError("one profile is nothing to merge", fix="Give two or more")
    target = out / "profile.json" if out.is_dir() else out
    merged = merge_profiles([load_profile(path) for path in profiles])
    write_whole(target, dump_profile(merged))
    markdown = target.with_name(MARKDOWN_NAME if out.is_dir() else f"{target.stem}.md")
    write_whole(markdown, profile_markdown(merged).encode())
    from rich.console import Console

    from profiler.report.terminal import print_profile

    print_profile(Console(), merged, [target, markdown])
