"""`agent-profiler workload WORKLOAD`: what a workload sends, shown before it is sent."""

# No `from __future__ import annotations`, as in `run`: so many options.

import os
from contextlib import ExitStack
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from profiler.cli.completing import workloads
from profiler.errors import UsageError
from profiler.workload.importers.kinds import ImportKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from profiler.profile.model import WorkloadProfile
    from profiler.report.outlook import Estimate
    from profiler.workload.importers.production import Production
    from profiler.workload.likeness import Likeness
    from profiler.workload.model import Workload
    from profiler.workload.outlook import Outlook

_LOAD, _ESTIMATE = "Load (overrides the workload file)", "Estimates"
_AGAINST = "Compare with production"


def command(
    workload: Annotated[
        str,
        typer.Argument(
            help="A workload file, or the name of a shipped one: airline, support, smoke.",
            metavar="WORKLOAD",
            autocompletion=workloads,
        ),
    ],
    against: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Compare with production data, of any kind that can be imported.",
            rich_help_panel=_AGAINST,
        ),
    ] = None,
    kind: Annotated[
        ImportKind | None,
        typer.Option(
            help="The format of that file, if not what its beginning looks like.",
            rich_help_panel=_AGAINST,
        ),
    ] = None,
    latency: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION",
            help="What every answer takes, like 2s, for the run's duration.",
            rich_help_panel=_ESTIMATE,
        ),
    ] = None,
    profile: Annotated[
        Path | None,
        typer.Option(
            metavar="PROFILE",
            help="An earlier run's profile.json or directory: latency, and tokens for the spend.",
            rich_help_panel=_ESTIMATE,
        ),
    ] = None,
    price_input: Annotated[
        float | None,
        typer.Option(
            metavar="USD",
            help="Of a million input tokens, not the list price; needs --price-output, --profile.",
            min=0.0,
            rich_help_panel=_ESTIMATE,
        ),
    ] = None,
    price_output: Annotated[
        float | None,
        typer.Option(
            metavar="USD",
            help="Of a million output tokens, not the list price; needs --price-input, --profile.",
            min=0.0,
            rich_help_panel=_ESTIMATE,
        ),
    ] = None,
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
    max_in_flight: Annotated[
        int | None,
        typer.Option(
            help="Open loop: drop arrivals that find so many under way.", rich_help_panel=_LOAD
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Show what a workload sends, how long it takes and what it may cost, without sending it.

    Sessions are drawn as `run` draws them. What an agent adds (system prompt, tool calls, answers)
    is not known before a run, and not shown. With --against, turns per session, user tokens, think
    time and arrivals are compared with recorded production data, and what differs is named.
    """
    from profiler.load.outlook import outlook
    from profiler.measure.tokens import DEFAULT_ENCODING, TokenCounter
    from profiler.workload.load import load_workload
    from profiler.workload.shipped import find_workload

    overrides: dict[str, Any] = {
        "users": users,
        "rate": rate,
        "requests": requests,
        "sessions": sessions,
        "duration": duration,
        "warmup": warmup,
        "seed": seed,
        "max_in_flight": max_in_flight,
    }
    if kind is not None and against is None:
        fix = "Add --against FILE, or remove it"
        raise UsageError("there is no file of that kind", where=f"--kind {kind}", fix=fix)
    loaded = load_workload(find_workload(workload), overrides=overrides, environ=os.environ)
    earlier = _profile(profile)
    latency_s = _latency_s(latency, earlier, profile)
    prices = (price_input, price_output)
    _check_prices(prices, earlier)
    count = TokenCounter(DEFAULT_ENCODING).count_text
    seen = outlook(loaded, count, latency_s=latency_s)
    estimate = _estimate(loaded, seen, earlier, profile, prices, is_own=latency is not None)
    compared = None
    if against is not None:
        compared = _compared(loaded, seen, against, kind, count)
    _print(loaded, seen, estimate, compared, against, DEFAULT_ENCODING, as_json=as_json)


def _profile(path: Path | None) -> "WorkloadProfile | None":
    if path is None:
        return None
    from profiler.profile.model import load_profile

    return load_profile(path)


def _latency_s(
    latency: str | None, earlier: "WorkloadProfile | None", profile: Path | None
) -> float | None:
    """Return what every answer takes: as given, or the mean of a profile."""
    from profiler.workload.units import duration_s

    if latency is not None:
        try:
            seconds = duration_s(latency)
        except ValueError as exc:
            raise UsageError(str(exc), where="--latency", fix="Write it like 2s or 500ms") from exc
        if seconds > _LONGEST_S:
            fix = "Give a day or less"
            raise UsageError(f"'{latency}' is too long", where="--latency", fix=fix)
        return seconds
    if earlier is None:
        return None
    found = earlier.interaction.get("latency")
    if found is None:
        fix = "No interaction of that run succeeded: give --latency, or another profile"
        raise UsageError("the profile has no latency", where=f"--profile {profile}", fix=fix)
    return found.mean


_LONGEST_S = 86_400.0


def _check_prices(
    prices: tuple[float | None, float | None], earlier: "WorkloadProfile | None"
) -> None:
    if any(price is not None and not isfinite(price) for price in prices):
        fix = "Give USD per million tokens"
        raise UsageError("a price is no number", where="--price-input, --price-output", fix=fix)
    given = [price is not None for price in prices]
    if not any(given):
        return
    if not all(given):
        name = "--price-output" if given[0] else "--price-input"
        raise UsageError("input and output tokens have prices of their own", fix=f"Add {name}")
    if earlier is None:
        what = "prices alone do not tell the spend: the tokens are those of the agent's LLM calls"
        raise UsageError(what, where="--price-input", fix="Add --profile of an earlier run")


def _estimate(
    workload: "Workload",
    seen: "Outlook",
    earlier: "WorkloadProfile | None",
    path: Path | None,
    prices: tuple[float | None, float | None],
    *,
    is_own: bool,
) -> "Estimate":
    from datetime import UTC, datetime

    from profiler.errors import PlanError
    from profiler.planner.expected_spend import listed_spend
    from profiler.profile.spend import Prices, spend_of
    from profiler.report.outlook import Estimate

    if earlier is None:
        return Estimate()
    found = spend = listed = no_price = None
    interactions = seen.expected.warmup + seen.expected.interactions
    if prices[0] is not None and prices[1] is not None:
        found = Prices(input_usd=prices[0], output_usd=prices[1])
        spend = spend_of(earlier, interactions, found)
    else:
        try:
            listed = listed_spend(earlier, interactions, at=datetime.now(UTC).date())
        except PlanError as exc:
            no_price = exc.what
    return Estimate(
        profile=str(path),
        is_latency_given=is_own,
        is_other_workload=earlier.run.digests.get("workload") != workload.digest(),
        prices=found,
        spend=spend,
        listed=listed,
        no_price=no_price,
    )


def _compared(
    workload: "Workload",
    seen: "Outlook",
    file: Path,
    kind: ImportKind | None,
    count: "Callable[[str], int]",
) -> "Likeness":
    """Compare with production data, of the kind that it looks like where none is named."""
    from profiler.cli.import_files import looks_like, nothing_taken
    from profiler.workload.likeness import likeness

    kind = kind or looks_like(file) or ImportKind.OPENAI_MESSAGES
    production = _production(file, kind, count, seed=workload.load.seed)
    if not production.sessions:
        raise nothing_taken(production.skipped, file, kind)
    return likeness(workload, seen, production)


def _production(
    file: Path, kind: ImportKind, count: "Callable[[str], int]", *, seed: int
) -> "Production":
    """Read production data of any kind. Raises UsageError."""
    from profiler.cli.import_ import gathered_sessions
    from profiler.cli.import_files import open_source, progress
    from profiler.cli.import_gathering import GATHERED
    from profiler.workload.importers.production import read_production
    from profiler.workload.importers.survey import Survey

    with ExitStack() as closing:
        stream = closing.enter_context(open_source(file))
        found = Survey()
        if kind in GATHERED:
            stream = gathered_sessions(stream, kind, found, closing, seed=seed)
        advanced = progress(closing, os.fstat(stream.fileno()).st_size)
        return read_production(stream, kind, count, found=found, advanced=advanced)


def _print(
    workload: "Workload",
    seen: "Outlook",
    estimate: "Estimate",
    compared: "Likeness | None",
    source: Path | None,
    encoding: str,
    *,
    as_json: bool,
) -> None:
    if as_json:
        import orjson

        from profiler.report.outlook_json import likeness_json, outlook_json

        data = outlook_json(workload, seen, estimate, encoding=encoding)
        data["against"] = None if compared is None else likeness_json(str(source), compared)
        typer.echo(orjson.dumps(data, option=orjson.OPT_INDENT_2).decode())
        return
    from rich.console import Console

    from profiler.report.likeness import likeness_report
    from profiler.report.outlook import outlook_report

    console = Console(highlight=False)
    console.print(outlook_report(workload, seen, estimate, encoding=encoding))
    if compared is not None:
        console.print()
        console.print(likeness_report(str(source), compared, seen))
