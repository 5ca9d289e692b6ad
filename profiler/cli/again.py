"""`run --resume RUN_DIR`: the options of the run, read from its journal, with which it goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from profiler.cli.optional_values import with_values
from profiler.errors import UsageError
from profiler.load.resume import last_resumed, manifest_of
from profiler.measure import SHARDS_NAME

if TYPE_CHECKING:
    from pathlib import Path

    import typer

    from profiler.measure.records import Run

AGAIN = "run (resumed)"
"""The name of the context in which the run's own options are read."""

_HERE = frozenset({"resume", "workload", "quiet", "json", "fsync", "yes"})
_LIMITS = frozenset({"max_cost", "max_tokens", "price_input", "price_output"})
"""What may be spent is the user's to say, each time; what is sent is the run's."""

_WITH_SECRETS = {"url": "--url", "upstream": "--upstream", "otlp_export": "--otlp-export"}
"""What may hold a secret, which no journal has, and so may be given again."""

_MAY_BE_GIVEN = _HERE | _LIMITS | _WITH_SECRETS.keys()
_REFUSED = {
    "cluster": "a run with --cluster cannot be resumed: journals that were cut off did not come "
    "back from its workers",
    "find_capacity": "a run with --find-capacity cannot be resumed: what it offers next hangs on "
    "the step that was cut off",
    "state": "a run with --state cannot be resumed: nobody watched the store meanwhile",
}


def options_again(context: typer.Context, run_dir: Path) -> dict[str, Any]:
    """Return the arguments of the `run` command with which the run in `run_dir` was begun.

    What the resuming command says of the output and of limits stays. Raises `UsageError` where it
    says anything else: a run has one set of options.
    """
    given = {
        name
        for name in context.params
        if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"
    }
    wrong = sorted(given - _MAY_BE_GIVEN)
    if wrong:
        raise UsageError(
            f"--{wrong[0].replace('_', '-')} does not go with --resume",
            where=str(run_dir),
            fix="Leave it out: a run goes on with the options that it was begun with",
        )
    run = manifest_of(run_dir)
    begun_with = with_values(run.argv[1:])[1:]
    again = context.command.make_context(AGAIN, list(begun_with))
    options: dict[str, Any] = {**again.params, **_limits_since(run_dir)}
    for name, what in _REFUSED.items():
        if options[name]:
            raise UsageError(
                what,
                where=str(run_dir),
                fix=f"`agent-profiler profile {run_dir}` computes what there is",
            )
    options |= _parts(run, run_dir, options)
    for name in given & _MAY_BE_GIVEN:
        if name in _WITH_SECRETS and options[name] is None:
            raise UsageError(
                f"the run was begun without {_WITH_SECRETS[name]}",
                where=str(run_dir),
                fix="Leave it out: a run goes on with the options that it was begun with",
            )
        options[name] = context.params[name]
    return {**options, "context": again, "resume": run_dir}


def _limits_since(run_dir: Path) -> dict[str, str]:
    """Return the limits with which the run was last resumed, where it had any."""
    last = last_resumed(run_dir)
    if last is None:
        return {}
    limits: dict[str, str] = {}
    if last.max_cost_usd is not None:
        limits["max_cost"] = f"{last.max_cost_usd}USD"
    if last.max_tokens is not None:
        limits["max_tokens"] = str(last.max_tokens)
    return limits


def _parts(run: Run, run_dir: Path, options: dict[str, Any]) -> dict[str, str]:
    """Return into how many parts the run was split, or which one it is: `auto` says neither.

    Raises `UsageError` for one part of a run that one process conducted.
    """
    index, count = run.manifest.get("shard", 0), run.manifest.get("shards", 1)
    if options["workers"] is not None:
        if count > 1 and not (run_dir / SHARDS_NAME).exists():
            raise UsageError(
                f"this is part {index + 1} of a run over {count} workers",
                where=str(run_dir),
                fix="Give the directory of the whole run: two levels up, where it was not moved",
            )
        return {"workers": str(count)}
    return {} if options["shard"] is None else {"shard": f"{index + 1}/{count}"}
