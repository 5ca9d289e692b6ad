"""`agent-profiler run WORKLOAD`: replay a workload against an agent and profile it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from profiler.cli.session import RunOptions

_TARGET, _LOAD, _OUTPUT = "Target", "Load (overrides the workload file)", "Output"


def command(
    workload: Annotated[
        str,
        typer.Argument(
            help="A workload file, or the name of a shipped one: airline, support, smoke.",
            metavar="WORKLOAD",
        ),
    ],
    url: Annotated[
        str | None,
        typer.Option(
            help="The agent's address. Without one here or in the file, the mock agent is started.",
            rich_help_panel=_TARGET,
        ),
    ] = None,
    mock_speed: Annotated[
        float,
        typer.Option(
            help="The mock agent runs so many times faster than life.",
            min=0.01,
            rich_help_panel=_TARGET,
        ),
    ] = 1.0,
    users: Annotated[
        int | None,
        typer.Option(help="Closed loop: so many users at a time.", rich_help_panel=_LOAD),
    ] = None,
    rate: Annotated[
        str | None,
        typer.Option(
            help="Open loop: arrivals at this rate, like 5/s or 120/min.", rich_help_panel=_LOAD
        ),
    ] = None,
    requests: Annotated[
        int | None,
        typer.Option("--requests", "-n", help="Measured interactions.", rich_help_panel=_LOAD),
    ] = None,
    sessions: Annotated[
        int | None,
        typer.Option(help="Whole sessions, in place of --requests.", rich_help_panel=_LOAD),
    ] = None,
    duration: Annotated[
        str | None,
        typer.Option(help="Start nothing after so long, like 90s or 5m.", rich_help_panel=_LOAD),
    ] = None,
    warmup: Annotated[
        int | None,
        typer.Option(help="Interactions before those that count.", rich_help_panel=_LOAD),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="The same seed sends the same sessions.", rich_help_panel=_LOAD),
    ] = None,
    until_stable: Annotated[
        bool,
        typer.Option(
            "--until-stable",
            help="Go on past --requests until the key numbers are stable.",
            rich_help_panel=_LOAD,
        ),
    ] = False,
    max_requests: Annotated[
        int | None,
        typer.Option(
            help="Where --until-stable gives up (default: ten times --requests).",
            rich_help_panel=_LOAD,
        ),
    ] = None,
    error_limit: Annotated[
        float | None,
        typer.Option(
            help="Stop when more than this share (0 to 1) of the interactions fails.",
            rich_help_panel=_LOAD,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="The run's directory (default: results/<workload>-<date>-<time>).",
            rich_help_panel=_OUTPUT,
        ),
    ] = None,
    quiet: Annotated[
        bool,
        typer.Option(
            "--quiet",
            "-q",
            help="Print only the path of the profile.",
            rich_help_panel=_OUTPUT,
        ),
    ] = False,
) -> int:
    """Replay a workload against an agent and write what one interaction costs.

    Writes journal.jsonl while it runs, then profile.json and profile.md, and prints the profile.
    Ctrl-C ends early and profiles what there is.

    Exit codes: 0 done, 2 wrong input, 4 the harness was the bottleneck or --until-stable gave up,
    5 the target was unusable, 130 interrupted.
    """
    from profiler.cli import session
    from profiler.workload.load import load_workload
    from profiler.workload.shipped import find_workload

    overrides: dict[str, Any] = {
        "url": url,
        "users": users,
        "rate": rate,
        "requests": requests,
        "sessions": sessions,
        "duration": duration,
        "warmup": warmup,
        "seed": seed,
        "max_requests": max_requests,
        "error_limit": error_limit,
    }
    path = find_workload(workload)
    loaded = load_workload(path, overrides=overrides, environ=os.environ)
    options: RunOptions = session.RunOptions(
        workload=loaded,
        workload_path=path,
        argv=session.reproducing_argv(
            workload, loaded, overrides, until_stable=until_stable, mock_speed=mock_speed
        ),
        until_stable=until_stable,
        mock_speed=mock_speed,
        out=out,
        quiet=quiet,
    )
    return session.execute(options)
