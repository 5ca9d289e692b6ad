"""Plans and comparisons from Python: pure functions of profiles, files or objects."""

from __future__ import annotations

from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio.to_thread

from profiler.api.reading import load_plan, load_profile
from profiler.errors import PlanError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from profiler.comparison.model import Comparison, PlanMeaning
    from profiler.planner.demand_file import DemandFile
    from profiler.planner.plan import Plan
    from profiler.profile.model import WorkloadProfile

_GIVEN = "demand"


def plan(
    profile: WorkloadProfile | str | Path,
    demand: str | Path | Mapping[str, Any],
    *,
    at: date | str | None = None,
    seed: int = 1,
    draws: int = 200,
    accept_untrusted: bool = False,
) -> Plan:
    """Return capacity and cost, for each growth factor, from a profile and a demand.

    `profile` may be its file or a run's directory; `demand` a demand file, or a mapping with its
    keys. Prices are those of the day `at` (today if None; "2026-11-01" will do). `seed` is of the
    simulations and of the `draws` behind the ranges (0: none). Raises `PlanError` for a demand that
    cannot be planned, and for a profile that is not to be trusted, unless `accept_untrusted`.
    """
    from profiler.planner.build import build_plan

    return build_plan(
        _profile(profile),
        _demand(demand),
        at=_day(at),
        seed=seed,
        draws=draws,
        accept_untrusted=accept_untrusted,
    )


def compare(
    baseline: WorkloadProfile | str | Path,
    candidate: WorkloadProfile | str | Path,
    *,
    gates: str | Path | None = None,
    plan: Plan | str | Path | None = None,
    anyway: bool = False,
) -> Comparison:
    """Return what changed between two profiles, whether it is real, and what the gates say.

    Either may be a file or a run's directory. `gates` is a gates file (the default ones if None).
    With a `plan`, the comparison says what the change means in users and dollars; files that its
    demand names are looked for beside a plan's file, else in the working directory. Raises
    `ProfileError` for runs of other workloads or protocols, or mock against real, unless `anyway`.
    A failed gate raises nothing: `comparison.verdict` is "pass", "fail" or "inconclusive".
    """
    from profiler.comparison.compare import compare as compared
    from profiler.comparison.gates import DEFAULT_GATES, load_gates
    from profiler.profile.model import named_distributions

    before, after = _profile(baseline), _profile(candidate)
    known = {name for side in (before, after) for name, _ in named_distributions(side)}
    return compared(
        before,
        after,
        gates=DEFAULT_GATES if gates is None else load_gates(Path(gates), known),
        meaning=None if plan is None else _meaning(before, after, plan),
        anyway=anyway,
    )


async def aplan(
    profile: WorkloadProfile | str | Path,
    demand: str | Path | Mapping[str, Any],
    *,
    at: date | str | None = None,
    seed: int = 1,
    draws: int = 200,
    accept_untrusted: bool = False,
) -> Plan:
    """Do what `plan` does, in a thread."""
    return await anyio.to_thread.run_sync(
        partial(
            plan,
            profile,
            demand,
            at=at,
            seed=seed,
            draws=draws,
            accept_untrusted=accept_untrusted,
        )
    )


async def acompare(
    baseline: WorkloadProfile | str | Path,
    candidate: WorkloadProfile | str | Path,
    *,
    gates: str | Path | None = None,
    plan: Plan | str | Path | None = None,
    anyway: bool = False,
) -> Comparison:
    """Do what `compare` does, in a thread."""
    return await anyio.to_thread.run_sync(
        partial(compare, baseline, candidate, gates=gates, plan=plan, anyway=anyway)
    )


def _profile(given: WorkloadProfile | str | Path) -> WorkloadProfile:
    return load_profile(given) if isinstance(given, (str, Path)) else given


def _meaning(
    before: WorkloadProfile, after: WorkloadProfile, given: Plan | str | Path
) -> PlanMeaning:
    from profiler.comparison.meaning import meaning_of

    if not isinstance(given, (str, Path)):
        return meaning_of(before, after, given, Path())
    path = Path(given)
    return meaning_of(before, after, load_plan(path), path if path.is_dir() else path.parent)


def _demand(given: str | Path | Mapping[str, Any]) -> DemandFile:
    from pydantic import ValidationError

    from profiler.planner.demand_file import demand_of, load_demand

    if isinstance(given, (str, Path)):
        return load_demand(Path(given))
    try:
        return demand_of(_plain(dict(given)), Path(_GIVEN))
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_context=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise PlanError(f"{first['msg']} (key {key})", where=_GIVEN) from exc


def _plain(given: Any) -> Any:
    """Return values as a demand file has them: a plan keeps them, and YAML readers make dates."""
    match given:
        case date():
            return given.isoformat()
        case dict():
            return {key: _plain(value) for key, value in given.items()}
        case list() | tuple():
            return [_plain(value) for value in given]
        case _:
            return given


def _day(given: date | str | None) -> date:
    if given is None:
        return datetime.now().astimezone().date()
    if isinstance(given, date):
        return given
    try:
        return date.fromisoformat(given)
    except ValueError as exc:
        what = f"{given!r} is no date"
        raise PlanError(what, where="at", fix="Write it like 2026-11-01") from exc
