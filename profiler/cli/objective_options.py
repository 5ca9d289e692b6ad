"""The options of `run` that are about objectives: --find-capacity and its like, --goodput."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from profiler.errors import UsageError
from profiler.workload.units import duration_s, rate_per_s

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from profiler.workload.model import Workload


def refuse_without_search(objective: str | None) -> None:
    """Refuse an objective that nothing would use. Raises `UsageError`."""
    if objective is not None:
        raise UsageError(
            "an objective has no use in an ordinary run",
            where="--objective",
            fix="Add --find-capacity, or use --goodput",
        )


def check_goodput(goodput: str | None) -> None:
    """Parse --goodput before anything is sent. Raises `UsageError`."""
    if goodput is not None:
        from profiler.profile.objectives import parse_goodput

        parse_goodput(goodput)


def refuse_with_search(*, limits: bool, events: bool, faults: bool) -> None:
    """Raise `UsageError` for what is asked for beside --find-capacity and does not go with it."""
    if limits:
        raise UsageError(
            "a search has no spend limit",
            where="--max-cost, --max-tokens",
            fix="Leave it out, and bound the search by --max-rate, --max-steps and --requests",
        )
    if events:
        raise UsageError(
            "a search has no events",
            where="--json",
            fix="Leave it out: capacity.json is written after every step",
        )
    if faults:
        raise UsageError(
            "a search has no faults",
            where="--mock-faults",
            fix="Leave it out: what it finds is to be the agent's own capacity",
        )


def search(
    workload: Workload,
    argv: tuple[str, ...],
    *,
    objective: str | None,
    goodput: str | None,
    mock_speed: float,
    out: Path | None,
    quiet: bool,
    requests: int | None,
    start_rate: str,
    max_rate: str,
    resolution: float,
    max_steps: int,
    settle: str,
    excluded: Mapping[str, Any],
) -> int:
    """Find the capacity; `excluded` are options that cannot go with it, None where not given.

    Returns the exit code. Raises `UsageError`, and what `find_capacity` raises.
    """
    from profiler.cli.capacity import CapacityOptions, find_capacity

    for name, value in excluded.items():
        if value is not None:
            raise UsageError(
                "the search chooses how much is sent",
                where=f"--{name}",
                fix="Leave it out with --find-capacity",
            )
    if objective is None:
        raise UsageError(
            "--find-capacity has nothing to look for",
            where="--objective",
            fix="Give one, like --objective 'latency.p95<2s, error_rate<1%'",
        )
    return find_capacity(
        CapacityOptions(
            workload=workload,
            argv=argv,
            objective=objective,
            goodput=goodput,
            mock_speed=mock_speed,
            out=out,
            quiet=quiet,
            requests=requests,
            start_rate_per_s=_read(rate_per_s, start_rate, "--start-rate", "5/s or 300/min"),
            max_rate_per_s=_read(rate_per_s, max_rate, "--max-rate", "5/s or 300/min"),
            resolution=resolution,
            most_steps=max_steps,
            settle_s=_read(duration_s, settle, "--settle", "2s or 500ms"),
        )
    )


def _read(reader: Callable[[Any], float], text: str, option: str, like: str) -> float:
    try:
        return reader(text)
    except ValueError as exc:
        raise UsageError(str(exc), where=option, fix=f"Write it like {like}") from exc
