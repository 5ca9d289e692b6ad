"""`agent-profiler baseline set|show|list`: named profiles to compare with, to be committed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from profiler.cli.completing import baselines
from profiler.cli.files import RESULTS, write_whole
from profiler.cli.help_text import Command
from profiler.cli.report import refuse_empty
from profiler.errors import UsageError

BASELINES = RESULTS / "baselines"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_NameArgument = Annotated[
    str, typer.Argument(help="What it is called.", metavar="NAME", autocompletion=baselines)
]

app = typer.Typer(help="Keep named profiles to compare with, under results/baselines/.")


@app.command(name="set", cls=Command, no_args_is_help=True)
def set_(
    name: _NameArgument,
    profile: Annotated[
        Path, typer.Argument(help="A profile.json, or the directory of a run.", metavar="PROFILE")
    ],
) -> None:
    """Keep a profile as the baseline NAME, in place of the one that is there.

    Commit the file: its keys are sorted and its rows on lines of their own, so that a diff reads.
    """
    from profiler.profile.model import dump_profile, load_profile

    path = _path(name)
    found = load_profile(profile)
    refuse_empty(found, profile)
    write_whole(path, dump_profile(found))
    typer.echo(str(path))


@app.command(name="show", cls=Command, no_args_is_help=True)
def show(name: _NameArgument) -> None:
    """Show the profile that is kept as NAME."""
    from rich.console import Console

    from profiler.profile.model import load_profile
    from profiler.report.terminal import print_profile

    path = _path(name)
    if not path.exists():
        raise _missing(name)
    print_profile(Console(), load_profile(path), [path])


@app.command(name="list", cls=Command)
def list_() -> None:
    """List what is kept: name, workload, when it ran, how many interactions."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from profiler.profile.model import load_profile
    from profiler.report.quantities import printable, whole

    kept = names()
    if not kept:
        typer.echo("no baselines; `agent-profiler baseline set NAME PROFILE` keeps one")
        return
    table = Table.grid(padding=(0, 2))
    for name in kept:
        found = load_profile(_path(name))
        cells = (
            *(name, printable(found.run.workload), found.run.started_at[:19]),
            f"{whole(found.sample.interactions)} interactions",
        )
        table.add_row(*map(Text, cells))
    Console().print(table)


def find_profile(given: str) -> Path:
    """Return the file or directory that is given, or the baseline of that name.

    What is on the disk comes first. Raises `UsageError` where there is neither.
    """
    path = Path(given)
    if path.exists() or _NAME.fullmatch(given) is None or path.suffix == ".json":
        return path
    kept = _path(given)
    if kept.exists():
        return kept
    raise _missing(given)


def _missing(name: str) -> UsageError:
    from profiler.workload.near import did_you_mean

    what = f"there is no profile and no baseline '{name}'"
    kept = names()
    fix = (
        did_you_mean(name, kept)
        if kept
        else "Give a profile.json, or keep one: `agent-profiler baseline set NAME PROFILE`"
    )
    return UsageError(what, where=str(BASELINES), fix=fix)


def names() -> list[str]:
    """Return the names of the baselines that are kept."""
    return sorted(path.stem for path in BASELINES.glob("*.json")) if BASELINES.is_dir() else []


def _path(name: str) -> Path:
    if _NAME.fullmatch(name) is None:
        what = f"{name!r} cannot be the name of a baseline"
        raise UsageError(what, fix="Use letters, digits, '.', '-' and '_'")
    return BASELINES / f"{name}.json"
