"""One step of a search for the capacity: its runs, their profiles, and what they show together.

Every run is a run like any other: a directory with its journal and its profile. A step that was
extended has several; its profile is theirs merged.
"""

from __future__ import annotations

import signal
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio

from profiler.cli.files import PROFILE_NAME, new_run_dir, write_whole
from profiler.cli.profile import write_profile
from profiler.cli.progress import form_of, shown
from profiler.cli.standing import DriverStanding
from profiler.load.shard import Hooks, ShardEnd, ShardSpec, run_shard
from profiler.load.so_far import SoFar
from profiler.measure import JOURNAL_NAME
from profiler.measure.journal import read_journal
from profiler.measure.records import EndReason
from profiler.profile.capacity import CapacityStep
from profiler.profile.drift import drift_in
from profiler.profile.judging import judge
from profiler.profile.merge import merge_profiles
from profiler.profile.model import dump_profile
from profiler.profile.step_verdict import curve_numbers, judged_of, step_verdict
from profiler.report.markdown import profile_markdown
from profiler.workload.arrivals import POISSON, RateSpec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from profiler.load.driver import Driver
    from profiler.load.search import Step
    from profiler.profile.drift import Drift
    from profiler.profile.model import WorkloadProfile
    from profiler.profile.objectives import Objective
    from profiler.workload.model import Workload

STEPS = "steps"
MERGED_NAME, MERGED_MARKDOWN_NAME = "merged.json", "merged.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What is the same for all steps. `root` is the directory of the whole search."""

    workload: Workload
    url: str
    argv: tuple[str, ...]
    root: Path
    run_id: str
    mock_speed: float | None
    quiet: bool
    goodput: str | None
    asked: tuple[Objective, ...]
    implied: tuple[Objective, ...]


@dataclass(slots=True)
class StepRuns:
    """The runs of one rate so far."""

    profiles: list[WorkloadProfile] = field(default_factory=list)
    directories: list[str] = field(default_factory=list)
    drift: Drift | None = None


def at_rate(
    workload: Workload, *, rate_per_s: float, requests: int, seed: int, warmup: int
) -> Workload:
    """Return the workload as an open loop of so many single interactions a second.

    Arrivals are of interactions whatever the file says, so that the rate is there from the first
    second (arriving sessions bring their later turns only after think time): each goes on with a
    session whose user has thought long enough, or begins one. Their shape is the file's, Poisson
    for a closed loop and for a trace.
    """
    load = workload.load
    keeps_shape = load.is_open and load.arrivals.trace is None
    changes = {
        "users": None,
        "rate": RateSpec.model_validate(rate_per_s),
        "arrivals": load.arrivals if keeps_shape else POISSON,
        "arrivals_of": "interactions",
        "speed": 1.0,
        "requests": requests,
        "sessions": None,
        "duration_s": None,
        "max_requests": None,
        "seed": seed,
        "warmup": warmup,
        "ramp_up_s": None,
        "backoff": False,  # rejections are what is looked for
    }
    return workload.model_copy(update={"load": load.model_copy(update=changes)})


def run_part(setting: Setting, step: Step, runs: StepRuns, *, run_number: int) -> ShardEnd:
    """Make the run that a step asks for, and add it to the step's runs if it came to an end.

    `run_number` counts all runs of the search, from 0: each has sessions of its own, so that no
    cache of the agent's makes later steps look better. The first of all is warmed up.
    """
    directory = _directory(setting.root, step)
    run_dir = new_run_dir(directory, setting.workload.name)
    workload = at_rate(
        setting.workload,
        rate_per_s=step.rate_per_s,
        requests=step.requests,
        seed=setting.workload.load.seed + run_number,
        warmup=setting.workload.load.warmup if run_number == 0 else 0,
    )
    name = run_dir.relative_to(setting.root)
    so_far = SoFar()
    ended = run_shard(
        _spec(setting, workload, run_dir),
        lambda driver: _watched(driver, workload, setting, so_far),
        Hooks(on_interaction=so_far.take),
    )
    runs.directories.append(str(name))
    if ended.reason is EndReason.JOURNAL_FAILED or not ended.answered:
        return ended
    profile = write_profile(run_dir)
    if ended.reason is not EndReason.INTERRUPTED:
        runs.drift = drift_in(read_journal(run_dir / JOURNAL_NAME))
        runs.profiles.append(profile)
    return ended


def _directory(root: Path, step: Step) -> Path:
    directory = root / STEPS / f"{step.number:02}-{step.rate_per_s:g}"
    if step.part == step.attempt == 1:
        return directory
    return directory / f"part-{step.part}{'-again' if step.attempt > 1 else ''}"


def _spec(setting: Setting, workload: Workload, run_dir: Path) -> ShardSpec:
    mock = {"speed": setting.mock_speed, "address": setting.url}
    return ShardSpec(
        workload=workload,
        url=setting.url,
        run_id=f"{setting.run_id}/{run_dir.relative_to(setting.root)}",
        argv=setting.argv,
        journal=run_dir / JOURNAL_NAME,
        goodput=setting.goodput,
        target_note=() if setting.mock_speed is None else (("mock", mock),),
    )


@asynccontextmanager
async def _watched(
    driver: Driver, workload: Workload, setting: Setting, so_far: SoFar
) -> AsyncIterator[None]:
    """Show progress, and stop the driver on Ctrl-C."""
    progress = shown(DriverStanding(driver, workload, so_far), form_of(quiet=setting.quiet))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_stop_on_signal, driver)
        async with progress:
            yield
        tasks.cancel_scope.cancel()


async def _stop_on_signal(driver: Driver) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            driver.stop(EndReason.INTERRUPTED)


def step_of(setting: Setting, step: Step, runs: StepRuns) -> CapacityStep:
    """Judge a rate by all of its runs together, writing their merged profile.

    Raises `ProfileError` for runs that cannot be merged.
    """
    profile, name = _together(setting.root, step, runs)
    verdicts = [judge(objective, profile) for objective in (*setting.asked, *setting.implied)]
    verdict, reasons = step_verdict(profile, verdicts, runs.drift)
    drift = runs.drift
    return CapacityStep(
        number=step.number,
        rate_per_s=step.rate_per_s,
        achieved_per_s=profile.load.achieved_rate,
        interactions=profile.sample.interactions,
        sessions=profile.sample.sessions,
        failed=profile.sample.failed,
        dropped=profile.load.dropped,
        duration_s=profile.load.duration_s,
        numbers=curve_numbers(profile),
        latency_growth_per_s=None if drift is None else drift.slope,
        latency_growth_ci95=None if drift is None else drift.slope_ci95,
        judged=tuple(
            judged_of(found, implied=place >= len(setting.asked))
            for place, found in enumerate(verdicts)
        ),
        verdict=verdict,
        reasons=reasons,
        runs=tuple(runs.directories),
        profile=name,
    )


def _together(root: Path, step: Step, runs: StepRuns) -> tuple[WorkloadProfile, str]:
    if len(runs.profiles) == 1:
        return runs.profiles[0], f"{runs.directories[-1]}/{PROFILE_NAME}"
    merged = merge_profiles(runs.profiles)
    directory = _directory(root, step).parent if step.part > 1 else _directory(root, step)
    write_whole(directory / MERGED_NAME, dump_profile(merged))
    write_whole(directory / MERGED_MARKDOWN_NAME, profile_markdown(merged).encode())
    return merged, str((directory / MERGED_NAME).relative_to(root))


def forget_last(runs: StepRuns) -> None:
    """Leave out the last run, in which the harness was the limit: it is made again."""
    runs.profiles.pop()
