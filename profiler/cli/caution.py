"""Asks before a run goes beyond this machine, lets it begin gently there, and shows dry runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from profiler.cli.files import PROFILE_NAME, TRUTH_NAME
from profiler.cli.intent import is_beyond, is_known
from profiler.errors import TargetUnusableError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from profiler.cli.intent import Intent
    from profiler.workload.model import Workload

GENTLE_S_PER_USER, GENTLE_MOST_S = 0.1, 10.0
"""Users of a target beyond this machine begin so long after each other, within so long in all."""


def gently(workload: Workload) -> Workload:
    """Return the workload with its users spread, where it goes beyond this machine.

    Not where the file or an option says how. One user is spread over nothing.
    """
    load, url = workload.load, workload.target.url
    users = load.users or 1
    if load.is_open or load.ramp_up_s is not None or users == 1 or url is None:
        return workload
    if not leads_away(url):
        return workload
    ramp_up_s = min(GENTLE_MOST_S, GENTLE_S_PER_USER * users)
    return workload.model_copy(update={"load": load.model_copy(update={"ramp_up_s": ramp_up_s})})


def leads_away(url: str) -> bool:
    """Tell whether requests for a URL leave this machine: by its host, or by way of a proxy."""
    from profiler.endpoints.http import proxy_for

    if is_beyond(url):
        return True
    proxy = proxy_for(url)
    return proxy is not None and is_beyond(proxy if "://" in proxy else f"http://{proxy}")


def ask(intent: Intent, *, yes: bool) -> None:
    """Return where the run may begin.

    A target beyond this machine is asked for on a terminal; without one, raises `UsageError` unless
    `yes`; `TargetUnusableError` for a name that nobody knows, which there is nothing to ask about.
    Raises `typer.Abort` where the answer is no.
    """
    url = intent.workload.target.url
    if url is None or yes or not leads_away(url):
        return
    import typer

    from profiler.cli.init_asking import is_terminal
    from profiler.endpoints.http import proxy_for

    if not is_known(url) and proxy_for(url) is None:
        raise TargetUnusableError(
            f"{intent.host}: no such host: its name does not resolve",
            fix="Check the target's url, or the network",
        )
    what = intent.host if is_beyond(url) else f"the proxy on the way to {intent.host}"
    if not is_terminal():
        raise UsageError(
            f"{what} is beyond this machine, and nobody is here to ask: {intent.sentence()}",
            fix="Add --yes if it is yours to load, or look first with --dry-run",
        )
    typer.echo(f"{what} is beyond this machine.", err=True)
    for name, text in intent.facts():
        typer.echo(f"  {name:<10} {text}", err=True)
    if not typer.confirm(f"Send it {intent.sentence()}?", default=False, err=True):
        typer.echo("Nothing was sent.", err=True)
        raise typer.Abort


def show(intent: Intent) -> None:
    """Print everything that the run would do; it does nothing."""
    import typer

    typer.echo(f"Dry run of {intent.workload.name}: nothing is sent or written")
    for name, text in intent.facts():
        typer.echo(f"  {name:<10} {text}")
    url = intent.workload.target.url
    if url is not None and leads_away(url):
        typer.echo("  asks       first, for this is beyond this machine: --yes answers")


def check_saving(
    *, save_text: bool, redact: Sequence[str], cluster: str | None, search: bool
) -> None:
    """Raise `UsageError` for options about texts that do not fit, or a pattern that is none."""
    if redact and not save_text:
        fix = "Add --save-text, or leave it out: without it, no text is kept"
        raise UsageError("--redact has no use without --save-text", fix=fix)
    if save_text and (cluster is not None or search):
        other = "--find-capacity" if search else "--cluster"
        raise UsageError(
            f"texts are not kept with {other}", where="--save-text", fix="Leave one out"
        )
    if redact:
        from profiler.workload.importers.redact import Redactor

        Redactor(redact, option="--redact")


def files_of(
    *, save_text: bool, search: bool, is_split: bool = False, is_mock: bool = False
) -> tuple[str, ...]:
    """Return the names of what is written."""
    if search:
        return ("capacity.json", "capacity.md", "steps/")
    texts = ("texts.jsonl (what was said, redacted)",) if save_text else ()
    truth = (TRUTH_NAME,) if is_mock else ()
    if is_split:
        each = ", ".join(("journal.jsonl", PROFILE_NAME, *texts))
        return (PROFILE_NAME, "profile.md", *truth, f"shards/ (each with {each})")
    return ("journal.jsonl", PROFILE_NAME, "profile.md", *truth, *texts)
