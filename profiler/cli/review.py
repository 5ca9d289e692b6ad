"""`agent-profiler review PLAN --actual ...`: a plan against what was measured since."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from profiler.cli.files import write_whole
from profiler.errors import GateFailedError, PlanError

if TYPE_CHECKING:
    from datetime import date

    from profiler.planner.demand_file import DemandFile
    from profiler.planner.plan import Plan
    from profiler.planner.reviewing import Measurement

REVIEW_NAME, MARKDOWN_NAME = "review.json", "review.md"
_ACTUAL = "Write --actual profile=RUN_DIR or --actual prometheus=http://127.0.0.1:9090"
_DAY_S = 86_400.0


def command(
    plan: Annotated[
        Path | None,
        typer.Argument(help="A plan.json, or the directory of a plan.", metavar="PLAN"),
    ] = None,
    actual: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE",
            help="What was measured since: profile=RUN_DIR, or prometheus=http://host:9090.",
        ),
    ] = None,
    since: Annotated[
        str, typer.Option(metavar="TIME", help="How far to look back in Prometheus, like 90d.")
    ] = "90d",
    demand: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The demand of today; that of the plan if not given."),
    ] = None,
    tolerance: Annotated[
        list[str] | None,
        typer.Option(
            metavar="INPUT=SHARE",
            help="How far an input may be off, like interaction.tool_time=30%; may be repeated.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where to write; the plan's directory if not given."),
    ] = None,
    at: Annotated[
        str | None, typer.Option(metavar="DATE", help="Prices of this day; today if not given.")
    ] = None,
    accept_untrusted: Annotated[
        bool,
        typer.Option("--accept-untrusted", help="Take a profile that says not to be trusted."),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only the path.")] = False,
) -> None:
    """Hold a plan against measured reality: what drifted, what that costs, what to do.

    Writes review.json and review.md. Exit code 3 means: act now.
    """
    if plan is None:
        raise PlanError("no plan is given", fix="Give the directory of a plan, or its plan.json")
    if actual is None:
        raise PlanError("nothing to compare with is given", fix=_ACTUAL)
    from profiler.cli.plan import day_of
    from profiler.planner.plan import load_plan
    from profiler.planner.price_book import load_price_book
    from profiler.planner.review import dump_review
    from profiler.planner.reviewing import review_plan
    from profiler.report.review_markdown import review_lines, review_markdown

    planned = load_plan(plan)
    folder = out if out is not None else (plan if plan.is_dir() else plan.parent)
    today = day_of(at)
    asked = _demand(planned, demand, plan)
    prices = asked.demand.infrastructure.prices
    review = review_plan(
        planned,
        asked.demand,
        load_price_book(None if prices is None else asked.path.parent / prices),
        _measurement(actual, planned, asked, since, today, accept_untrusted=accept_untrusted),
        at=today,
        tolerances=dict(_tolerance(text) for text in tolerance or ()),
    )
    write_whole(folder / REVIEW_NAME, dump_review(review))
    write_whole(folder / MARKDOWN_NAME, review_markdown(review).encode())
    if not quiet:
        typer.echo("\n".join(review_lines(review)))
        typer.echo(str(folder / MARKDOWN_NAME))
    typer.echo(str(folder / REVIEW_NAME))
    if review.verdict == "act_now":
        raise GateFailedError(f"act now: {review.reasons[0]}", fix=f"See {folder / MARKDOWN_NAME}")


def _demand(plan: Plan, given: Path | None, where: Path) -> DemandFile:
    """Return the demand given, or the plan's own as it was read."""
    from pydantic import ValidationError

    from profiler.planner.demand import ArrivalTrace, Demand
    from profiler.planner.demand_file import DemandFile, load_demand
    from profiler.planner.ranges import certain

    if given is not None:
        return load_demand(given)
    data = plan.inputs.demand
    try:
        demand = Demand.model_validate(data)
    except ValidationError as exc:
        what = "the plan's demand is not one that this version reads"
        raise PlanError(what, where=str(where), fix="Give it with --demand FILE") from exc
    for file in (demand.infrastructure.prices, demand.stack.catalogue):
        if file is not None:
            what = f"the plan's demand names a file of its own, {file}"
            raise PlanError(
                what, where=str(where), fix="Say where it is: --demand FILE, that demand"
            )
    if isinstance(demand.traffic.burstiness, ArrivalTrace) and plan.baseline is not None:
        known = {"burstiness": certain(plan.baseline.burstiness)}
        traffic = demand.traffic.model_copy(update=known)
        demand = demand.model_copy(update={"traffic": traffic})
    return DemandFile(path=where, data=data, demand=demand)


def _measurement(
    actual: str,
    plan: Plan,
    asked: DemandFile,
    since: str,
    today: date,
    *,
    accept_untrusted: bool,
) -> Measurement:
    kind, divided, rest = actual.partition("=")
    if not divided or not rest or kind not in {"profile", "prometheus"}:
        raise PlanError(f"{actual!r} is no source", where="--actual", fix=_ACTUAL)
    if kind == "profile":
        return _of_profile(Path(rest), plan, asked, today, accept_untrusted=accept_untrusted)
    from profiler.cli.review_production import gather
    from profiler.observers.prometheus import Prometheus

    with Prometheus(rest) as server:
        return gather(server, plan, since_s=_since_s(since))


def _of_profile(
    path: Path, plan: Plan, asked: DemandFile, today: date, *, accept_untrusted: bool
) -> Measurement:
    from profiler.planner.build import build_plan
    from profiler.planner.measured import measure
    from profiler.planner.price_book import load_price_book
    from profiler.planner.reviewing import Measurement, is_same_workload, of_profile
    from profiler.planner.sides import side_of
    from profiler.profile.model import load_profile

    profile = load_profile(path)
    again = build_plan(
        profile,
        _same_start(asked, plan),
        at=today,
        seed=plan.inputs.seed,
        draws=plan.inputs.draws,
        accept_untrusted=accept_untrusted,
    )
    found, missing = of_profile(profile, plan)
    prices = asked.demand.infrastructure.prices
    book = load_price_book(None if prices is None else asked.path.parent / prices)
    return Measurement(
        source=f"profile {profile.run.id}",
        actual=found,
        missing=missing,
        same_sessions=is_same_workload(plan, profile),
        side=side_of(measure(profile), asked.demand, book, today),
        plan=again,
    )


def _same_start(asked: DemandFile, plan: Plan) -> DemandFile:
    """Let the rollout start when the plan had it start, not today."""
    from dataclasses import replace
    from datetime import date

    if plan.rollout is None or asked.demand.rollout.start is not None:
        return asked
    start = {"start": date.fromisoformat(plan.rollout.start)}
    rollout = asked.demand.rollout.model_copy(update=start)
    return replace(asked, demand=asked.demand.model_copy(update={"rollout": rollout}))


def _since_s(text: str) -> float:
    from profiler.workload.units import duration_s

    days = text.removesuffix("d")
    try:
        seconds = float(days) * _DAY_S if days != text else duration_s(text)
    except ValueError as exc:
        fix = "Write it like 90d, 12h or 30m"
        raise PlanError(f"{text!r} is no time", where="--since", fix=fix) from exc
    if seconds <= 0:
        raise PlanError("no time to look back on", where="--since", fix="Write it like 90d")
    return seconds


def _tolerance(text: str) -> tuple[str, float]:
    name, divided, share = text.partition("=")
    is_percent = share.endswith("%")
    try:
        value = float(share.removesuffix("%")) / (100 if is_percent else 1)
    except ValueError:
        value = -1.0
    if not divided or value < 0:
        fix = "Write it like interaction.tool_time=30%"
        raise PlanError(f"{text!r} is no tolerance", where="--tolerance", fix=fix)
    return name, value
