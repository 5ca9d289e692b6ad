"""`agent-profiler plan PROFILE --demand FILE`: capacity and cost from a measured profile."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from profiler.cli.files import write_whole
from profiler.errors import PlanError

if TYPE_CHECKING:
    from profiler.planner.plan import Plan

PLANS = Path("plans")
PLAN_NAME, MARKDOWN_NAME = "plan.json", "plan.md"
MONITORING = "monitoring"
SAMPLE_NAME = "demand.yaml"


def command(
    profile: Annotated[
        Path | None,
        typer.Argument(help="A profile.json, or the directory of a run.", metavar="PROFILE"),
    ] = None,
    demand: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="What the agent is to carry: a demand file (YAML)."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where to write; plans/NAME of the demand if not given."),
    ] = None,
    old: Annotated[
        Path | None,
        typer.Option(
            "--diff", metavar="OLD_PLAN", help="Say what changed since an older plan, and why."
        ),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            metavar="DATE", help="Prices of this day, like 2026-11-01; today if not given."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the simulations and the draws.", min=0)] = 1,
    draws: Annotated[
        int, typer.Option(help="Draws behind the ranges; 0 leaves the ranges out.", min=0, max=5000)
    ] = 200,
    accept_untrusted: Annotated[
        bool,
        typer.Option(
            "--accept-untrusted",
            help="Plan from a profile that says not to be trusted, all the same.",
        ),
    ] = False,
    sample: Annotated[
        bool,
        typer.Option("--sample", help="Print a commented demand file to start from, and end."),
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print only the path, after what --diff found.")
    ] = False,
) -> None:
    """Plan capacity and cost from a measured profile and a demand, for each growth factor.

    Writes plan.json, plan.md, and monitoring/ (alerts, dashboard, collector, autoscaling). Nothing
    is looked up on the network: prices are those that ship, or your own in the demand file.
    `--sample > demand.yaml` gives a demand to start from.
    """
    if sample:
        from profiler.planner.samples import sample_demand

        typer.echo(sample_demand(), nl=False)
        return
    if profile is None:
        raise PlanError(
            "no profile is given", fix="Give the directory of a run, or its profile.json"
        )
    if demand is None:
        fix = "Add --demand FILE; `agent-profiler plan --sample > demand.yaml` writes one to edit"
        raise PlanError("no demand is given", fix=fix)
    from profiler.planner.build import build_plan
    from profiler.planner.demand_file import load_demand
    from profiler.planner.monitoring.files import monitoring_files
    from profiler.planner.plan import dump_plan, load_plan
    from profiler.profile.model import load_profile
    from profiler.report.plan_markdown import plan_markdown

    asked = load_demand(demand)
    before = None if old is None else load_plan(old)
    measured = load_profile(profile)
    plan = build_plan(
        measured,
        asked,
        at=day_of(at),
        seed=seed,
        draws=draws,
        accept_untrusted=accept_untrusted,
    )
    folder = out if out is not None else PLANS / asked.demand.name
    write_whole(folder / PLAN_NAME, dump_plan(plan))
    again = (
        f"agent-profiler plan {profile} --demand {demand} --at {plan.inputs.prices.at} "
        f"--seed {seed} --draws {draws}{' --accept-untrusted' if accept_untrusted else ''}"
    )
    write_whole(folder / MARKDOWN_NAME, plan_markdown(plan, command=again).encode())
    for name, content in monitoring_files(plan, measured).items():
        write_whole(folder / MONITORING / name, content)
    if not quiet:
        _show(plan, folder)
    if before is not None and old is not None:
        from profiler.planner.diff import diff
        from profiler.report.plan_diff import plan_diff_text

        if not quiet:
            typer.echo()
        typer.echo(plan_diff_text(diff(before, plan), str(old)))
    if quiet:
        typer.echo(str(folder / PLAN_NAME))


def _show(plan: Plan, folder: Path) -> None:
    from rich.console import Console

    from profiler.report.plan_terminal import plan_report
    from profiler.report.terminal import print_report

    files = [folder / PLAN_NAME, folder / MARKDOWN_NAME, folder / MONITORING / "README.md"]
    print_report(Console(), plan_report(plan), files)


def day_of(text: str | None) -> date:
    """Return the day of an option, today where it is not given. Raises PlanError."""
    if text is None:
        return datetime.now().astimezone().date()
    try:
        return date.fromisoformat(text)
    except ValueError as exc:
        what = f"{text!r} is no date"
        raise PlanError(what, where="--at", fix="Write it like 2026-11-01") from exc
