"""`agent-profiler report PATH`: a profile, plan or comparison for a terminal, Markdown or HTML."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from profiler.cli.files import PROFILE_NAME, write_whole
from profiler.errors import UsageError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from profiler.comparison.model import Comparison
    from profiler.planner.plan import Plan
    from profiler.profile.model import WorkloadProfile
    from profiler.profile.timeline import RunTimeline
    from profiler.report.page.model import Page

    Reported = WorkloadProfile | Plan | Comparison

PLAN_NAME, COMPARISON_NAME = "plan.json", "comparison.json"
_FIX = "Give a profile.json, plan.json or comparison.json, or its directory"


def command(
    path: Annotated[
        Path,
        typer.Argument(
            help="A profile.json, plan.json or comparison.json, or its directory.",
            metavar="PATH",
        ),
    ],
    html: Annotated[
        bool,
        typer.Option("--html", help="One HTML file with charts, which opens offline."),
    ] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Markdown, on standard output unless -o is given.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Where to write; HTML goes beside PATH if not given (profile.html).",
        ),
    ] = None,
) -> None:
    """Show a profile, plan or comparison again: in the terminal, as Markdown, or as an HTML file.

    The HTML of a run's directory also shows what only the journal knows: latency and errors over
    time, and how the parts of the prompt grow from turn to turn.
    """
    if html and markdown:
        raise UsageError("--html and --markdown were both given", fix="Ask for one at a time")
    if out is not None and not (html or markdown):
        raise UsageError("-o needs a form to write", where=str(out), fix="Add --html or --markdown")
    file = file_of(path)
    found = _load(file)
    if html:
        from profiler.report.page.render import page_html

        target = out if out is not None else file.with_suffix(".html")
        write_whole(target, page_html(_page(found, file)).encode())
        typer.echo(str(target))
    elif markdown:
        text = _markdown(found)
        if out is None:
            typer.echo(text, nl=False)
        else:
            write_whole(out, text.encode())
            typer.echo(str(out))
    else:
        from rich.console import Console

        Console().print(_terminal(found))


def refuse_empty(profile: WorkloadProfile, where: Path) -> None:
    """Raise `UsageError` for a profile of no measured interaction: nothing was found out."""
    if not profile.sample.interactions:
        raise UsageError(
            "the run has no measured interaction", where=str(where), fix="Give another run"
        )


def file_of(path: Path) -> Path:
    """Return the file to report on: PATH itself, or what there is to report in that directory."""
    if not path.is_dir():
        return path
    for name in (PROFILE_NAME, PLAN_NAME, COMPARISON_NAME):
        if (path / name).exists():
            return path / name
    raise UsageError(
        "the directory holds no profile, plan or comparison", where=str(path), fix=_FIX
    )


def _load(file: Path) -> Reported:
    """Read a profile, plan or comparison, by what the file says it is.

    Raises `UsageError` for anything else, `ProfileError` or `PlanError` for a damaged one.
    """
    import orjson

    from profiler.profile.model import PROFILE_KIND, load_profile

    try:
        plain = orjson.loads(file.read_bytes())
    except OSError as exc:
        raise UsageError(
            f"cannot read the file: {exc.strerror}", where=str(file), fix=_FIX
        ) from exc
    except orjson.JSONDecodeError as exc:
        where = f"{file}:{exc.lineno}:{exc.colno}"
        what = f"the file is cut off or damaged, or no JSON: {exc.msg}"
        raise UsageError(what, where=where, fix=_FIX) from exc
    kind = plain.get("kind") if isinstance(plain, dict) else None
    if kind is None:
        raise UsageError("this is none of our files: it has no kind", where=str(file), fix=_FIX)
    if kind == PROFILE_KIND:
        profile = load_profile(file)
        refuse_empty(profile, file)
        return profile
    if kind == "plan":
        from profiler.planner.plan import load_plan

        return load_plan(file)
    if kind == "comparison":
        from profiler.comparison.model import load_comparison

        return load_comparison(file)
    raise UsageError(
        f"there is no report of this kind of file: {kind!r}", where=str(file), fix=_FIX
    )


def _page(found: Reported, file: Path) -> Page:
    from profiler.comparison.model import Comparison
    from profiler.profile.model import WorkloadProfile

    if isinstance(found, WorkloadProfile):
        from profiler.report.page.profile_page import profile_page

        return profile_page(found, _timeline(found, file.parent))
    if isinstance(found, Comparison):
        from profiler.report.page.comparison_page import comparison_page

        return comparison_page(found)
    from profiler.report.page.plan_page import plan_page

    return plan_page(found)


def _timeline(profile: WorkloadProfile, run_dir: Path) -> RunTimeline | None:
    """Read the journals beside a profile, a shard's each; None where there are none of its run."""
    from profiler.measure import JOURNAL_NAME
    from profiler.profile.shards import shard_dirs
    from profiler.profile.timeline import run_timeline

    here = [run_dir] if (run_dir / JOURNAL_NAME).exists() else []
    return run_timeline(profile, [*here, *shard_dirs(run_dir)])


def _markdown(found: Reported) -> str:
    from profiler.comparison.model import Comparison
    from profiler.profile.model import WorkloadProfile

    if isinstance(found, WorkloadProfile):
        from profiler.report.markdown import profile_markdown

        return profile_markdown(found)
    if isinstance(found, Comparison):
        from profiler.report.comparison_markdown import comparison_markdown

        return comparison_markdown(found)
    from profiler.report.plan_markdown import plan_markdown

    return plan_markdown(found)


def _terminal(found: Reported) -> RenderableType:
    from profiler.comparison.model import Comparison
    from profiler.profile.model import WorkloadProfile

    if isinstance(found, WorkloadProfile):
        from profiler.report.terminal import profile_table

        return profile_table(found)
    if isinstance(found, Comparison):
        from profiler.report.comparison import comparison_report

        return comparison_report(found)
    from profiler.report.plan_terminal import plan_report

    return plan_report(found)
