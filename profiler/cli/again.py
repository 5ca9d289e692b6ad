"""`run --resume RUN_DIR`: the options of the run, read from its journal, with which it goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from profiler.cli.optional_values import with_values
from profiler.errors import UsageError
from profiler.load.resume import manifest_of

if TYPE_CHECKING:
    from pathlib import Path

    import typer

AGAIN = "run (resumed)"
"""The name of the context in which the run's own options are read."""

_HERE = frozenset({"resume", "workload", "quiet", "json", "fsync", "yes"})
_WITH_SECRETS = {"url": "--url", "upstream": "--upstream", "otlp_export": "--otlp-export"}
"""What may hold a secret, which no journal has, and so may be given again."""

_SPLIT = {"workers": "--workers", "cluster": "--cluster", "find_capacity": "--find-capacity"}


def options_again(context: typer.Context, run_dir: Path) -> dict[str, Any]:
    """Return the arguments of the `run` command with which the run in `run_dir` was begun.

    What the resuming command says of the output stays. Raises `UsageError` where it says anything
    else: a run has one set of options.
    """
    given = {
        name
        for name in context.params
        if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"
    }
    wrong = sorted(given - _HERE - _WITH_SECRETS.keys())
    if wrong:
        raise UsageError(
            f"--{wrong[0].replace('_', '-')} does not go with --resume",
            where=str(run_dir),
            fix="Leave it out: a run goes on with the options that it was begun with",
        )
    run = manifest_of(run_dir)
    begun_with = with_values(run.argv[1:])[1:]
    again = context.command.make_context(AGAIN, list(begun_with))
    options: dict[str, Any] = dict(again.params)
    for name, option in _SPLIT.items():
        if options[name]:
            raise UsageError(
                f"a run with {option} cannot be resumed",
                where=str(run_dir),
                fix=f"`agent-profiler profile {run_dir}` computes what there is",
            )
    if options["state"]:
        raise UsageError(
            "a run with --state cannot be resumed: nobody watched the store meanwhile",
            where=str(run_dir),
            fix=f"`agent-profiler profile {run_dir}` computes what there is",
        )
    for name in given & (_HERE | _WITH_SECRETS.keys()):
        if name in _WITH_SECRETS and options[name] is None:
            raise UsageError(
                f"the run was begun without {_WITH_SECRETS[name]}",
                where=str(run_dir),
                fix="Leave it out: a run goes on with the options that it was begun with",
            )
        options[name] = context.params[name]
    return {**options, "context": again, "resume": run_dir}
