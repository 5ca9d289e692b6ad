"""One run from its first byte to its profile: puts the parts together for `agent-profiler run`."""

from __future__ import annotations

import shlex
import signal
from contextlib import ExitStack, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import anyio

from profiler.cli.crew import crew_of
from profiler.cli.exporting import NOWHERE, Exporting, check_alone
from profiler.cli.files import (
    LLM_TRUTH_NAME,
    MOCK_LLM_LOG_NAME,
    MOCK_LOG_NAME,
    PROFILE_NAME,
    TEXTS_NAME,
    TRUTH_NAME,
    forget_unbegun,
    new_run_dir,
)
from profiler.cli.observing import NOTHING, Observing, check_fits
from profiler.cli.profile import files, holds_journal, write_profile
from profiler.cli.progress import Form, form_of, shown
from profiler.cli.split import NOT_SPLIT, Split
from profiler.cli.standing import DriverStanding
from profiler.cli.step_summary import add_step_summary
from profiler.clock import NS_PER_S, ClockAnchor, monotonic_ns
from profiler.errors import InconclusiveError, JournalError, TargetUnusableError, UsageError
from profiler.load.meter import ENDS
from profiler.load.plan import WHOLE, load_plan, shared
from profiler.load.resume import check_same, manifest_of, resumption_of, take_spent
from profiler.load.shard import Hooks, RunEnd, ShardSpec, run_shard
from profiler.load.so_far import SoFar
from profiler.load.tally import row_of
from profiler.measure import JOURNAL_NAME, SHARDS_NAME
from profiler.measure.records import EndReason, Interaction
from profiler.measure.syncing import Fsync

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping
    from pathlib import Path

    from profiler.cli.crew import Crew
    from profiler.cli.events import Events
    from profiler.cli.exporting import Exporter
    from profiler.cli.watching import Ended, Watching
    from profiler.load.driver import Driver
    from profiler.load.meter import Meter
    from profiler.load.shard import Resumption
    from profiler.measure.records import Record
    from profiler.profile.model import WorkloadProfile
    from profiler.profile.stability import RunningStability
    from profiler.workload.model import Workload

EXIT_OK, EXIT_INTERRUPTED = 0, 130
_REMEDIES = {
    EndReason.MAX_COST: "raise --max-cost for more",
    EndReason.MAX_TOKENS: "raise --max-tokens for more",
    EndReason.UNMETERED: "have them observed (--gateway, --otlp), or leave the limit out",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What a run is to do. `argv` is the command that reproduces it, without secrets.

    `events`: standard output is for programs, and everything is said there. `resume` is the
    directory of the run to go on with.
    """

    workload: Workload
    workload_path: Path
    argv: tuple[str, ...]
    until_stable: bool
    mock_speed: float
    out: Path | None
    quiet: bool
    split: Split = NOT_SPLIT
    goodput: str | None = None
    observing: Observing = NOTHING
    exporting: Exporting = NOWHERE
    events: Events | None = None
    resume: Path | None = None
    fsync: Fsync = Fsync.INTERVAL
    mock_faults: Path | None = None
    meter: Meter | None = None
    save_text: bool = False
    redact: tuple[str, ...] = ()

    @property
    def form(self) -> Form:
        """How its progress is shown."""
        return form_of(quiet=self.quiet, events=self.events)


def reproducing_argv(
    workload_name: str,
    workload: Workload,
    overrides: Mapping[str, Any],
    *,
    until_stable: bool,
    mock_speed: float,
) -> tuple[str, ...]:
    """Return the command line that sends the same sessions again; the seed is always in it."""
    argv = ["agent-profiler", "run", workload_name]
    shown = {**overrides, "seed": workload.load.seed}
    if overrides.get("url") is not None:
        shown["url"] = workload.redacted_target()["url"]
    for name, value in shown.items():
        option = f"--{name.replace('_', '-')}"
        if value is True:
            argv.append(option)
        elif value is not None:
            argv += [option, str(value)]
    if until_stable:
        argv.append("--until-stable")
    if workload.target.url is None and mock_speed != 1:
        argv += ["--mock-speed", f"{mock_speed:g}"]
    return tuple(argv)


def execute(options: RunOptions) -> int:
    """Run, profile, print. Returns the exit code of a run that has a profile.

    Raises `TargetUnusableError` and `InconclusiveError` (after printing), `JournalError` and
    `UsageError`.
    """
    if options.events is not None:
        return options.events.around(partial(_execute, options))
    return _execute(options)


def _execute(options: RunOptions) -> int:
    workload, split, observing = options.workload, options.split, options.observing
    alone = split == replace(NOT_SPLIT, start_wall_ns=split.start_wall_ns)
    check_fits(observing, workload, alone=alone)
    check_alone(options.exporting, alone=alone)
    _check_faults(options)
    if workload.target.url is None:
        from profiler.cli.mock_process import mock_path

        mock_path(workload.target.protocol)  # raises before anything is made
    with ExitStack() as stack, ExitStack() as mocks:
        crew = stack.enter_context(crew_of(split, workload, until_stable=options.until_stable))
        _note_fewer(options, crew)
        run_dir, resumption = _place(options, stack)
        if resumption is not None and resumption.is_done:
            return _done_before(options, run_dir)
        if options.events is not None:
            options.events.say(
                "started", run_dir=str(run_dir), workload=workload.name, argv=options.argv
            )
        url, upstream = workload.target.url, observing.upstream
        if url is None and observing.gateway is not None and upstream is None:
            upstream = mocks.enter_context(_mock_llm(options, run_dir))["llm"]
        if url is None:
            announced = mocks.enter_context(_mock(options, run_dir))
            url = _mock_url(workload, announced)
        ended = _run(options, url, run_dir, crew, upstream, resumption)
    return _conclude(options, ended, url, run_dir)


def _conclude(options: RunOptions, ended: RunEnd, url: str, run_dir: Path) -> int:
    """Profile what there is, print it, and return the exit code or raise what the run ended of."""
    workload = options.workload
    if ended.reason is EndReason.JOURNAL_FAILED:
        raise JournalError(ended.detail or "the journal could not be written")
    if ended.reason is EndReason.ERROR_LIMIT and not ended.answered:
        raise _unusable(workload, url, run_dir, ended.detail)
    if ended.lost and not holds_journal(run_dir):
        raise InconclusiveError("; ".join(ended.lost), fix="No journal came back: run again")
    profile = write_profile(run_dir, keep_built=True)
    _print(profile, options, run_dir)
    add_step_summary(profile)
    if ended.reason is EndReason.ERROR_LIMIT:
        raise _unusable(workload, url, run_dir, ended.detail)
    if ended.reason is EndReason.INTERRUPTED:
        return EXIT_INTERRUPTED
    if ended.reason in ENDS:
        raise InconclusiveError(
            f"the run ended early: {ended.detail or ended.reason.value}",
            fix=f"{run_dir / PROFILE_NAME} has what is there; {_REMEDIES[ended.reason]}",
        )
    if ended.lost:
        raise InconclusiveError(
            "; ".join(ended.lost), fix=f"{run_dir / PROFILE_NAME} has what is there, marked partial"
        )
    _judge(profile, options, ended.reason)
    return EXIT_OK


def _place(options: RunOptions, stack: ExitStack) -> tuple[Path, Resumption | None]:
    """Return the run's directory, and what it goes on with where it is resumed."""
    if options.resume is not None:
        return options.resume, stack.enter_context(_resumed(options, options.resume))
    run_dir = new_run_dir(options.out, _dir_name(options))
    stack.callback(forget_unbegun, run_dir)  # when the mocks have stopped
    return run_dir, None


@contextmanager
def _resumed(options: RunOptions, run_dir: Path) -> Iterator[Resumption]:
    """Yield what the run goes on with: its journal, held open against other writers."""
    workload = options.workload
    run = manifest_of(run_dir)
    check_same(run, workload, options.workload_path)
    url = workload.redacted_target()["url"]
    if url != run.target.get("url"):
        raise UsageError(
            f"the run was begun against {run.target.get('url')}, and this is {url}",
            where=str(run_dir),
            fix="Give the same --url, with its secrets, which no journal has",
        )
    plan = shared(load_plan(workload, until_stable=options.until_stable), options.split.share)
    resumption = resumption_of(run_dir / JOURNAL_NAME, plan, fsync=options.fsync)
    if options.meter is not None:
        take_spent(options.meter, run_dir / JOURNAL_NAME)
    try:
        yield resumption
    finally:
        resumption.journal.close()


def _done_before(options: RunOptions, run_dir: Path) -> int:
    """Show the profile of a run that needs no resuming."""
    if not options.quiet and options.events is None:
        from rich.console import Console

        said = "The run has ended already: nothing was sent."
        Console(stderr=True).print(said, highlight=False)
    _print(write_profile(run_dir, keep_built=True), options, run_dir)
    return EXIT_OK


def _free_name(path: Path) -> Path:
    """Return the path, numbered where it is taken: a resumed run's mocks write files anew."""
    number, free = 2, path
    while free.exists():
        number, free = number + 1, path.with_stem(f"{path.stem}-{number}")
    return free


def _check_faults(options: RunOptions) -> None:
    """Raise `UsageError` for a fault plan that no mock would follow, or that cannot be read."""
    if options.mock_faults is None:
        return
    from profiler.mock.fault_plan import load_faults

    load_faults(options.mock_faults)
    if options.workload.target.url is not None:
        raise UsageError(
            "only the mock agent injects faults",
            where="--mock-faults",
            fix="Leave it out, or leave out --url and the target's url",
        )


def _mock(options: RunOptions, run_dir: Path) -> Any:
    """Start the mock agent; with a gateway, its LLM calls go there."""
    from profiler.cli.mock_process import mock_agent

    return mock_agent(
        recordings=_recordings(options.workload),
        truth=_free_name(run_dir / TRUTH_NAME),
        log=run_dir / MOCK_LOG_NAME,
        seed=options.workload.load.seed,
        speed=options.mock_speed,
        llm_url=options.observing.mock_llm_url,
        faults=options.mock_faults,
    )


def _mock_llm(options: RunOptions, run_dir: Path) -> Any:
    from profiler.cli.mock_process import mock_llm

    return mock_llm(
        recordings=_recordings(options.workload),
        truth=_free_name(run_dir / LLM_TRUTH_NAME),
        log=run_dir / MOCK_LLM_LOG_NAME,
        seed=options.workload.load.seed,
        speed=options.mock_speed,
        faults=options.mock_faults,
    )


def _recordings(workload: Workload) -> list[Path]:
    paths = [
        scenario.conversations.path
        for scenario in workload.scenarios
        if scenario.conversations is not None
    ]
    return list(dict.fromkeys(paths))


def _mock_url(workload: Workload, announced: Mapping[str, Any]) -> str:
    from profiler.cli.mock_process import mock_path

    return f"{announced['agent']}{mock_path(workload.target.protocol)}"


def _dir_name(options: RunOptions) -> str:
    share = options.split.share
    name = options.workload.name
    return name if share == WHOLE else f"{name}-shard-{share.index + 1}-of-{share.count}"


def _note_fewer(options: RunOptions, crew: Crew | None) -> None:
    """Say so where there is less to split than there are workers."""
    asked = options.split.workers
    shards = 1 if crew is None else crew.shards
    if asked is None or asked <= shards or options.quiet:
        return
    from rich.console import Console

    said = f"{shards} of {asked} workers: there are no more users or quota to split"
    Console(stderr=True).print(said, style="dim", highlight=False)


def _run(
    options: RunOptions,
    url: str,
    run_dir: Path,
    crew: Crew | None,
    upstream: str | None,
    resumption: Resumption | None = None,
) -> RunEnd:
    run_id = run_dir.name if options.out is None else f"{run_dir.name}-{uuid4().hex[:8]}"
    if options.resume is not None:
        run_id = manifest_of(options.resume).run_id
    mock = {"speed": options.mock_speed, "address": url}
    spec = ShardSpec(
        workload=options.workload,
        url=url,
        run_id=run_id,
        argv=options.argv,
        journal=run_dir / JOURNAL_NAME,
        share=options.split.share,
        until_stable=options.until_stable,
        goodput=options.goodput,
        target_note=(("mock", mock),) if options.workload.target.url is None else (),
        tags=options.observing.tags,
        observers=options.observing.names,
        fsync=options.fsync,
        meter=options.meter,
        texts=run_dir / TEXTS_NAME if options.save_text else None,
        redact=options.redact,
    )
    if crew is not None:
        from profiler.cli.shards import run_shards

        start_wall_ns = options.split.start_wall_ns
        show = partial(shown, form=options.form, events=options.events)
        return run_shards(spec, crew, run_dir, start_wall_ns=start_wall_ns, show=show)
    stability = _stability() if options.until_stable else None
    so_far = SoFar(is_observed=bool(options.observing.names))
    feed = _feeder(stability, so_far if options.form is not Form.NOTHING else None)
    exporter = _exporter(options)
    if exporter is not None:
        feed = _both(exporter.ended, feed)
    hooks = Hooks(
        on_interaction=feed,
        is_stable=(lambda: True) if stability is None else lambda: not stability.unstable(),
    )
    watching = _watching(options, upstream, feed, _seen_by(so_far, options.meter), exporter)
    if watching is not None:
        hooks = replace(hooks, on_start=watching.began, on_interaction=watching.ended)
    end = run_shard(
        spec,
        lambda driver: _watched(driver, options, so_far, watching, exporter),
        hooks,
        resumption,
    )
    return RunEnd(reason=end.reason, detail=end.detail, answered=end.answered)


def _exporter(options: RunOptions) -> Exporter | None:
    """Return what shows the run's metrics to others, None where nobody is to see them."""
    if not options.exporting.is_on:
        return None
    from profiler.cli.exporting import Exporter

    return Exporter(options.exporting, options.observing, say=_sayer(options))


def _sayer(options: RunOptions) -> Callable[[str], None]:
    from rich.console import Console

    return Console(stderr=True, quiet=options.quiet, style="dim", highlight=False).print


def _both(first: Ended, second: Ended) -> Ended:
    def ended(interaction: Interaction, inside: tuple[Record, ...]) -> None:
        first(interaction, inside)
        second(interaction, inside)

    return ended


def _seen_by(so_far: SoFar, meter: Meter | None) -> Callable[[Record], None]:
    """Return who is told of what observers record."""
    if meter is None:
        return so_far.see

    def see(record: Record) -> None:
        so_far.see(record)
        meter.see(record)

    return see


def _watching(
    options: RunOptions,
    upstream: str | None,
    then: Ended,
    saw: Callable[[Record], None],
    exporter: Exporter | None,
) -> Watching | None:
    """Return what runs the observers, None for a run that is watched from outside only."""
    if not options.observing.names:
        return None
    from profiler.cli.watching import Watching

    say = _sayer(options)
    also = (lambda *_: None) if exporter is None else exporter.take
    return Watching(options.observing, upstream=upstream, then=then, saw=saw, say=say, also=also)


@asynccontextmanager
async def _watched(
    driver: Driver,
    options: RunOptions,
    so_far: SoFar,
    watching: Watching | None,
    exporter: Exporter | None,
) -> AsyncIterator[None]:
    """Start what watches, wait for the start, show progress, and stop the driver on Ctrl-C."""
    around = nullcontext() if watching is None else watching.around(driver)
    exported = nullcontext() if exporter is None else exporter.around()
    tell = DriverStanding(driver, options.workload, so_far, until_stable=options.until_stable)
    progress = shown(tell, options.form, options.events)
    async with anyio.create_task_group() as tasks:
        waiting = anyio.CancelScope()
        tasks.start_soon(_stop_on_signal, driver, waiting, watching)
        async with exported, around, progress:
            with waiting:
                await _sleep_until(options.split.start_wall_ns)
            yield
        tasks.cancel_scope.cancel()


async def _stop_on_signal(
    driver: Driver, waiting: anyio.CancelScope, watching: Watching | None
) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            driver.stop(EndReason.INTERRUPTED)
            waiting.cancel()
            if watching is not None:
                watching.hurry()


async def _sleep_until(wall_ns: int | None) -> None:
    if wall_ns is not None:
        left_ns = ClockAnchor.now().monotonic_at(wall_ns) - monotonic_ns()
        await anyio.sleep(max(0, left_ns) / NS_PER_S)


def _stability() -> RunningStability:
    from profiler.profile.stability import RunningStability

    return RunningStability()


def _feeder(stability: RunningStability | None, so_far: SoFar | None) -> Ended:
    if stability is None:
        return so_far.take if so_far is not None else lambda *_: None

    def feed(interaction: Interaction, inside: tuple[Record, ...]) -> None:
        if so_far is not None:
            so_far.take(interaction, inside)
        row = row_of(interaction, inside)
        if row is not None:
            _, latency_s, llm_calls, input_tokens = row
            stability.add(
                session=interaction.session,
                latency_s=latency_s,
                llm_calls=llm_calls,
                input_tokens=input_tokens,
            )

    return feed


def _print(profile: WorkloadProfile, options: RunOptions, run_dir: Path) -> None:
    from rich.console import Console

    from profiler.report.terminal import print_profile

    if options.events is not None:
        options.events.say_profile(run_dir / PROFILE_NAME, profile)
        return
    if options.quiet:
        print(run_dir / PROFILE_NAME)  # noqa: T201 - the command line's only output when quiet
        return
    console = Console()
    print_profile(console, profile, files(run_dir))
    again = f"Again: {shlex.join(options.argv)}"
    console.print(again, style="dim", highlight=False, markup=False, soft_wrap=True)


def _unusable(
    workload: Workload, url: str, run_dir: Path, detail: str | None
) -> TargetUnusableError:
    shown = url if workload.target.url is None else workload.redacted_target()["url"]
    journal = run_dir / JOURNAL_NAME
    kept = (
        f"journal is {journal}" if journal.exists() else f"journals are in {run_dir / SHARDS_NAME}"
    )
    return TargetUnusableError(
        f"the target is unusable: {detail}",
        where=str(shown),
        fix=f"See that the agent runs there and answers; the {kept}",
    )


def _judge(profile: WorkloadProfile, options: RunOptions, reason: EndReason) -> None:
    if profile.trust.verdict == "driver_limited":
        raise InconclusiveError(
            f"the harness was the bottleneck: {'; '.join(profile.trust.reasons)}",
            fix="Lower the rate or the number of users, or give this machine less else to do",
        )
    if options.until_stable and reason is EndReason.MAX_REQUESTS:
        raise InconclusiveError(
            f"the numbers were not stable after {profile.sample.interactions:,} interactions",
            fix="Raise --max-requests, or accept the intervals that the profile gives",
        )
