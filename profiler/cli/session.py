"""One run from its first byte to its profile: puts the parts together for `agent-profiler run`."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING
from uuid import uuid4

from profiler.cli.alone import run_alone
from profiler.cli.concluding import conclude
from profiler.cli.crew import crew_of
from profiler.cli.exporting import check_alone
from profiler.cli.files import TEXTS_NAME, forget_unbegun, new_run_dir
from profiler.cli.mocks import check_mocks, start_mocks
from profiler.cli.observing import check_fits
from profiler.cli.progress import shown
from profiler.cli.resuming import SplitResumption, done_before, resumed
from profiler.cli.split import NOT_SPLIT
from profiler.load.plan import WHOLE
from profiler.load.resume import manifest_of
from profiler.load.shard import ShardSpec
from profiler.measure import JOURNAL_NAME

if TYPE_CHECKING:
    from pathlib import Path

    from profiler.cli.crew import Crew
    from profiler.cli.mocks import Route
    from profiler.cli.run_options import RunOptions
    from profiler.load.shard import Resumption, RunEnd


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
    check_mocks(options)
    with ExitStack() as stack, ExitStack() as mocks:
        crew = stack.enter_context(crew_of(split, workload, until_stable=options.until_stable))
        _note_fewer(options, crew)
        run_dir, resumption = _place(options, crew, stack)
        if resumption is not None and resumption.is_done:
            return done_before(options, run_dir)
        if options.events is not None:
            options.events.say(
                "started", run_dir=str(run_dir), workload=workload.name, argv=options.argv
            )
        route = start_mocks(options, run_dir, mocks)
        ended = _run(options, route, run_dir, crew, resumption)
    return conclude(options, ended, route.url, run_dir)


def _place(
    options: RunOptions, crew: Crew | None, stack: ExitStack
) -> tuple[Path, Resumption | SplitResumption | None]:
    """Return the run's directory, and what it goes on with where it is resumed."""
    if options.resume is not None:
        shards = 1 if crew is None else crew.shards
        return options.resume, stack.enter_context(resumed(options, options.resume, shards))
    run_dir = new_run_dir(options.out, _dir_name(options))
    stack.callback(forget_unbegun, run_dir)  # when the mocks have stopped
    return run_dir, None


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
    route: Route,
    run_dir: Path,
    crew: Crew | None,
    resumption: Resumption | SplitResumption | None = None,
) -> RunEnd:
    run_id = run_dir.name if options.out is None else f"{run_dir.name}-{uuid4().hex[:8]}"
    if options.resume is not None:
        run_id = manifest_of(options.resume).run_id
    mock = {"speed": options.mock_speed, "address": route.url}
    spec = ShardSpec(
        workload=options.workload,
        url=route.url,
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
        reached = resumption.reached if isinstance(resumption, SplitResumption) else None
        return run_shards(
            spec, crew, run_dir, start_wall_ns=start_wall_ns, show=show, reached=reached
        )
    one = None if isinstance(resumption, SplitResumption) else resumption
    return run_alone(spec, options, route, one)
