"""The command line: one module a command; the only place that prints and exits.

Heavy imports happen inside commands, so that `--help` answers at once.
"""

from __future__ import annotations

import errno
import gc
import io
import os
import signal
import sys
from typing import Annotated, NoReturn

import typer
from typer.exceptions import TyperException

from profiler import __version__
from profiler.cli import (
    baseline,
    compare,
    doctor,
    export,
    gateway,
    import_,
    init,
    merge,
    mock,
    plan,
    profile,
    report,
    review,
    run,
    schema,
    workload,
)
from profiler.cli.help_text import Command
from profiler.cli.optional_values import with_values
from profiler.errors import AgentProfilerError
from profiler.redaction import hidden, hide_in_tracebacks

EXIT_INTERNAL, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130
DEBUG_VARIABLE = "AGENT_PROFILER_DEBUG"

app = typer.Typer(
    name="agent-profiler",
    help="Measure what one interaction with an AI agent costs, then plan for it.",
    epilog="Start with: agent-profiler run airline    (needs nothing: it starts a mock agent)",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(name="run", cls=Command, no_args_is_help=True)(run.command)
app.command(name="profile", cls=Command, no_args_is_help=True)(profile.command)
app.command(name="report", cls=Command, no_args_is_help=True)(report.command)
app.command(name="plan", cls=Command, no_args_is_help=True)(plan.command)
app.command(name="review", cls=Command, no_args_is_help=True)(review.command)
app.command(name="compare", cls=Command, no_args_is_help=True)(compare.command)
app.command(name="merge", cls=Command, no_args_is_help=True)(merge.command)
app.command(name="export", cls=Command, no_args_is_help=True)(export.command)
app.command(name="gateway", cls=Command, no_args_is_help=True)(gateway.command)
app.command(name="workload", cls=Command, no_args_is_help=True)(workload.command)
app.command(name="import", cls=Command, no_args_is_help=True)(import_.command)
app.command(name="init", cls=Command)(init.command)
app.command(name="schema", cls=Command, no_args_is_help=True)(schema.command)
app.command(name="doctor", cls=Command)(doctor.command)
app.add_typer(baseline.app, name="baseline", no_args_is_help=True)
app.add_typer(mock.app, name="mock", no_args_is_help=True)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"agent-profiler {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    context: typer.Context,
    _version_flag: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Measure what one interaction with an AI agent costs, then plan for it."""
    # Off since the process started: what importing makes stays, and looking through it for garbage
    # again and again takes a sixth of the time. `run` has more to import, and does this itself.
    if context.invoked_subcommand != "run":
        gc.enable()


def main() -> NoReturn:
    """Run the command line and exit with the code that DESIGN gives each way to end."""
    # Models are ours alone: looking for plugins reads the metadata of all that is installed.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that has not all our characters shows `?` in their place.
            stream.reconfigure(errors="replace")
    hide_in_tracebacks()
    try:
        result = app(args=with_values(sys.argv[1:]), standalone_mode=False)
    except BaseException as exc:  # noqa: BLE001 - the one place that turns errors into exit codes
        sys.exit(_code_of(_innermost(exc)))
    sys.exit(result if isinstance(result, int) else 0)


def _innermost(exc: BaseException) -> BaseException:
    """Return what a task group wrapped, where it is one exception."""
    while isinstance(exc, BaseExceptionGroup) and len(exc.exceptions) == 1:
        exc = exc.exceptions[0]
    return exc


def _code_of(exc: BaseException) -> int:
    """Say what went wrong, in one line, and return the exit code."""
    match exc:
        case AgentProfilerError():
            _say(str(exc))
            return exc.exit_code
        case TyperException():
            _say_usage(exc)
            return EXIT_USAGE
        case typer.Abort() | KeyboardInterrupt():
            return EXIT_INTERRUPTED
        case BrokenPipeError():
            # The reader of our output went away (`| head`): nothing is left to say to it.
            _say_no_more()
            return 128 + signal.SIGPIPE
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            # What is a file of ours says so itself: this is what output was sent to, or a cache.
            _say_no_more()
            _say(f"cannot write: {exc.strerror}. Free some space on the disk")
            return EXIT_USAGE
        case Exception() if not os.environ.get(DEBUG_VARIABLE):
            what = f"{type(exc).__name__}: {exc}"
            _say(f"internal error: {what}. Set {DEBUG_VARIABLE}=1 for the traceback and report it")
            return EXIT_INTERNAL
        case _:
            raise exc


def _say_no_more() -> None:
    """Have what is still to be flushed go nowhere: at exit it would fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say_usage(exc: TyperException) -> None:
    context = getattr(exc, "ctx", None)
    path = "agent-profiler" if context is None else context.command_path
    message = exc.format_message()
    if message:  # without one, the help was asked for by giving no arguments, and was shown
        _say(f"{message.rstrip('.')}. See `{path} --help`")


def _say(message: str) -> None:
    typer.echo(f"error: {hidden(' '.join(message.split()))}", err=True)
