"""`agent-profiler gateway`: the recording gateway alone, for an agent under real traffic."""

# No `from __future__ import annotations`: typer would compile the annotations twice.

import os
from pathlib import Path
from typing import Annotated

import typer

DEFAULT_LISTEN = "127.0.0.1:8787"


def command(
    upstream: Annotated[
        str,
        typer.Option(
            help="The provider's base URL, like https://api.openai.com/v1.", metavar="URL"
        ),
    ],
    listen: Annotated[
        str,
        typer.Option(
            help="Where to listen. Beyond this machine it takes AGENT_PROFILER_GATEWAY_TOKEN.",
            metavar="HOST:PORT",
        ),
    ] = DEFAULT_LISTEN,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Directory (default: results/gateway-<date>-<time>)."),
    ] = None,
    duration: Annotated[
        str | None, typer.Option(help="End after so long, like 1h; else at Ctrl-C or SIGTERM.")
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print only the path of traffic.json.")
    ] = False,
) -> int:
    """Record an agent's LLM traffic as it passes, until Ctrl-C, and sum it up.

    The agent is whatever it is, under its real load: point its OPENAI_BASE_URL or
    ANTHROPIC_BASE_URL here. Nothing is sent but what it sends.
    """
    from profiler.cli.capture import CaptureOptions, execute
    from profiler.cli.observing import (
        address_of,
        check_upstream,
        seconds_of,
        token_for,
    )
    from profiler.redaction import login_secrets, remember, without_user

    remember(*login_secrets(upstream))
    check_upstream(upstream)
    address = address_of(listen, "--listen")
    argv = ["agent-profiler", "gateway", "--upstream", without_user(upstream)]
    argv += ["--listen", str(address)]
    if duration is not None:
        argv += ["--duration", duration]
    return execute(
        CaptureOptions(
            upstream=upstream,
            shown_upstream=without_user(upstream),
            listen=address,
            token=token_for(address, "--listen", os.environ),
            duration_s=None if duration is None else seconds_of(duration, "--duration", like="1h"),
            argv=tuple(argv),
            out=out,
            quiet=quiet,
        )
    )
