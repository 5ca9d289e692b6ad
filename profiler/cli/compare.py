"""`agent-profiler compare BASELINE CANDIDATE`: what changed, whether it is real, and gates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from profiler.cli.baseline import find_profile
from profiler.cli.completing import baselines
from profiler.cli.files import write_whole
from profiler.cli.step_summary import add_step_summary
from profiler.errors import GateFailedError, InconclusiveError, UsageError

if TYPE_CHECKING:
    from profiler.comparison.model import Comparison, PlanMeaning
    from profiler.profile.model import WorkloadProfile


def command(
    profiles: Annotated[
        list[str],
        typer.Argument(
            help="Two profiles: files, directories of runs, or names of baselines. With --trend: "
            "all that there are.",
            metavar="BASELINE CANDIDATE",
            autocompletion=baselines,
        ),
    ],
    gates: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Judge by these gates (YAML), not the default ones."),
    ] = None,
    plan: Annotated[
        Path | None,
        typer.Option(
            metavar="PLAN_DIR", help="Say what it means in users and dollars for this plan."
        ),
    ] = None,
    json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write comparison.json there.")
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the report as Markdown.")
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the report as one HTML file with charts."),
    ] = None,
    junit: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the gates as JUnit XML.")
    ] = None,
    anyway: Annotated[
        bool,
        typer.Option(
            "--anyway", help="Compare runs of other workloads or protocols, or mock and real."
        ),
    ] = False,
    allow_inconclusive: Annotated[
        bool,
        typer.Option("--allow-inconclusive", help="Exit with 0 where no gate failed."),
    ] = False,
    trend: Annotated[
        bool,
        typer.Option("--trend", help="Show how numbers went over many runs, in order of start."),
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print nothing but the verdict.")
    ] = False,
) -> None:
    """Compare two profiles of one workload: what changed, and whether it is more than chance.

    Without --gates, it fails where an interaction's calls, tokens, errors or
    latency went up for real (latency not of the mock agent). Runs of one seed
    play the same sessions and are compared in pairs: much smaller changes show
    then.

    Exit codes: 0 every gate passed, 2 wrong input, 3 a gate failed, 4 no gate
    failed, but for some the sample is too small.
    """
    from profiler.profile.model import load_profile

    if trend:
        given = {"--gates": gates, "--plan": plan, "--json": json, "--junit": junit}
        _refuse(next((name for name, value in given.items() if value is not None), None))
        loaded = [load_profile(find_profile(name)) for name in profiles]
        _trend(loaded, markdown=markdown, html=html, anyway=anyway, quiet=quiet)
        return
    from profiler.report.quantities import plural

    if len(profiles) != 2:  # noqa: PLR2004 - a baseline and a candidate
        what = f"{plural(len(profiles), 'profile')} given, and two are compared"
        raise UsageError(what, fix="Give a baseline and a candidate, or add --trend")
    before, after = (load_profile(find_profile(name)) for name in profiles)
    found = _compare(before, after, gates=gates, plan=plan, anyway=anyway)
    _write(found, json=json, markdown=markdown, html=html, junit=junit)
    add_step_summary(found)
    _show(found, [path for path in (json, markdown, html, junit) if path], quiet=quiet)
    _end(found, allow_inconclusive=allow_inconclusive)


def _refuse(option: str | None) -> None:
    if option is not None:
        what = f"{option} is for a comparison of two, not for a trend"
        raise UsageError(what, fix=f"Leave out {option} or --trend")


def _compare(
    before: WorkloadProfile,
    after: WorkloadProfile,
    *,
    gates: Path | None,
    plan: Path | None,
    anyway: bool,
) -> Comparison:
    from profiler.comparison.compare import compare
    from profiler.comparison.compatible import check_comparable
    from profiler.comparison.gates import DEFAULT_GATES, load_gates
    from profiler.profile.model import named_distributions

    check_comparable(before, after, anyway=anyway)
    known = {name for profile in (before, after) for name, _ in named_distributions(profile)}
    asked = DEFAULT_GATES if gates is None else load_gates(gates, known)
    meaning = None if plan is None else _meaning(before, after, plan)
    return compare(before, after, gates=asked, meaning=meaning, anyway=anyway)


def _meaning(before: WorkloadProfile, after: WorkloadProfile, path: Path) -> PlanMeaning:
    from profiler.comparison.meaning import meaning_of
    from profiler.planner.plan import load_plan

    return meaning_of(before, after, load_plan(path), path if path.is_dir() else path.parent)


def _write(
    found: Comparison,
    *,
    json: Path | None,
    markdown: Path | None,
    html: Path | None,
    junit: Path | None,
) -> None:
    from profiler.comparison.model import dump_comparison
    from profiler.report.comparison_markdown import comparison_markdown
    from profiler.report.junit import junit_xml

    if json is not None:
        write_whole(json, dump_comparison(found))
    if markdown is not None:
        write_whole(markdown, comparison_markdown(found).encode())
    if html is not None:
        from profiler.report.page.comparison_page import comparison_page
        from profiler.report.page.render import page_html

        write_whole(html, page_html(comparison_page(found)).encode())
    if junit is not None:
        write_whole(junit, junit_xml(found))


def _show(found: Comparison, paths: list[Path], *, quiet: bool) -> None:
    if quiet:
        typer.echo(found.verdict)
        return
    from rich.console import Console

    from profiler.report.comparison import comparison_report
    from profiler.report.terminal import print_report

    print_report(Console(), comparison_report(found), paths)


def _end(found: Comparison, *, allow_inconclusive: bool) -> None:
    from profiler.report.comparison_words import gate_name

    named = ", ".join(gate_name(gate) for gate in found.gates if gate.verdict == found.verdict)
    if found.verdict == "fail":
        raise GateFailedError(f"failed: {named}", fix="The report says by how much")
    if found.verdict == "inconclusive" and not allow_inconclusive:
        fix = "Measure more interactions in both runs, or add --allow-inconclusive"
        raise InconclusiveError(f"inconclusive: {named}", fix=fix)


def _trend(
    profiles: list[WorkloadProfile],
    *,
    markdown: Path | None,
    html: Path | None,
    anyway: bool,
    quiet: bool,
) -> None:
    from rich.console import Console

    from profiler.comparison.trend import trend_of
    from profiler.report.terminal import print_report
    from profiler.report.trend import change_lines, trend_markdown, trend_report

    found = trend_of(profiles, anyway=anyway)
    if markdown is not None:
        write_whole(markdown, trend_markdown(found).encode())
    if html is not None:
        from profiler.report.page.render import page_html
        from profiler.report.page.trend_page import trend_page

        write_whole(html, page_html(trend_page(found)).encode())
    add_step_summary(found)
    if quiet:
        typer.echo("\n".join(change_lines(found)))
        return
    print_report(Console(), trend_report(found), [path for path in (markdown, html) if path])
