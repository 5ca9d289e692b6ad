"""One run from its first byte to its profile: puts the parts together for `agent-profiler run`."""

from __future__ import annotations

import os
import platform
import shlex
import signal
import sys
from contextlib import ExitStack, aclosing, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import anyio

from profiler import __version__
from profiler.cli.event_loop import has_uvloop
from profiler.cli.files import (
    MARKDOWN_NAME,
    MOCK_LOG_NAME,
    PROFILE_NAME,
    TRUTH_NAME,
    new_run_dir,
    write_whole,
)
from profiler.cli.mock_process import mock_agent
from profiler.cli.profile import files
from profiler.cli.progress import Progress
from profiler.clock import ClockAnchor, monotonic_ns, seconds_to_ns
from profiler.endpoints.http import HttpCaller
from profiler.endpoints.select import endpoint_for
from profiler.errors import InconclusiveError, JournalError, TargetUnusableError
from profiler.load.budget import Limits
from profiler.load.driver import (
    ArrivalsOf,
    ClosedLoop,
    Driver,
    LoadPlan,
    OpenLoop,
    default_max_requests,
)
from profiler.load.recorder import Recorder
from profiler.measure import JOURNAL_NAME
from profiler.measure.journal import JournalWriter
from profiler.measure.records import End, EndReason, Interaction, LlmCall, Outcome, Phase, Run
from profiler.measure.tokens import TokenCounter, encoding_name_for_model
from profiler.workload.sessions import SessionSampler

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from profiler.measure.records import Record
    from profiler.profile.model import WorkloadProfile
    from profiler.profile.stability import RunningStability
    from profiler.workload.model import Workload

EXIT_OK, EXIT_INTERRUPTED = 0, 130
_SWITCH_INTERVAL_S = 0.0005
"""How long the recorder's thread may keep the interpreter from the event loop (default 5 ms)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What a run is to do. `argv` is the command that reproduces it, without secrets."""

    workload: Workload
    workload_path: Path
    argv: tuple[str, ...]
    until_stable: bool
    mock_speed: float
    out: Path | None
    quiet: bool


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
        if value is not None:
            argv += [f"--{name.replace('_', '-')}", str(value)]
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
    workload = options.workload
    run_dir = new_run_dir(options.out, workload.name)
    journal = JournalWriter(run_dir / JOURNAL_NAME)
    try:
        with ExitStack() as stack:
            url = workload.target.url
            if url is None:
                announced = stack.enter_context(_mock(options, run_dir))
                url = _mock_url(workload, announced)
            ended = _drive(options, url, run_dir, journal)
    finally:
        journal.close()
    if ended.reason is EndReason.JOURNAL_FAILED:
        raise JournalError(ended.detail or "the journal could not be written")
    if ended.reason is EndReason.ERROR_LIMIT and not ended.answered:
        raise _unusable(workload, url, run_dir, ended.detail)
    profile = _profile(run_dir)
    _print(profile, options, run_dir)
    if ended.reason is EndReason.ERROR_LIMIT:
        raise _unusable(workload, url, run_dir, ended.detail)
    if ended.reason is EndReason.INTERRUPTED:
        return EXIT_INTERRUPTED
    _judge(profile, options, ended.reason)
    return EXIT_OK


def _mock(options: RunOptions, run_dir: Path) -> Any:
    recordings = [
        scenario.conversations.path
        for scenario in options.workload.scenarios
        if scenario.conversations is not None
    ]
    return mock_agent(
        recordings=list(dict.fromkeys(recordings)),
        truth=run_dir / TRUTH_NAME,
        log=run_dir / MOCK_LOG_NAME,
        seed=options.workload.load.seed,
        speed=options.mock_speed,
    )


def _mock_url(workload: Workload, announced: Mapping[str, Any]) -> str:
    path = "/chat" if workload.target.protocol == "http-json" else "/v1/chat/completions"
    return f"{announced['agent']}{path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ended:
    """Why the driver ended, and whether the target ever answered."""

    reason: EndReason
    detail: str | None
    answered: bool


def _drive(options: RunOptions, url: str, run_dir: Path, journal: JournalWriter) -> _Ended:
    workload = options.workload
    encoding, _ = encoding_name_for_model(workload.target.model)
    counter = TokenCounter(encoding)
    counter.count_text("warm")  # loads the encoding now: half a second that no user should see
    run_id = run_dir.name if options.out is None else f"{run_dir.name}-{uuid4().hex[:8]}"
    journal.append([_run_record(options, run_id, encoding, url)])
    recorder = Recorder(journal, counter.count_text)
    stability = _stability() if options.until_stable else None
    seed = workload.load.seed
    caller = HttpCaller(timeout_s=workload.target.timeout_s, secrets=workload.target.secrets())
    driver = Driver(
        load_plan(workload, until_stable=options.until_stable),
        endpoint=endpoint_for(workload.target, url),
        caller=caller,
        recorder=recorder,
        measured=SessionSampler(workload, seed=seed, stream="measure", salt=run_id),
        warmup=SessionSampler(workload, seed=seed, stream="warmup", salt=run_id),
        is_stable=(lambda: not stability.unstable()) if stability is not None else (lambda: True),
        on_interaction=_feeder(stability),
    )
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    recorder.start()
    try:
        reason, detail = anyio.run(
            _until_done, driver, caller, options, backend_options={"use_uvloop": has_uvloop()}
        )
        if recorder.failure is None:
            recorder.put(End(at_ns=monotonic_ns(), reason=reason, detail=detail))
    finally:
        recorder.close()
    if recorder.failure is not None:
        reason, detail = EndReason.JOURNAL_FAILED, str(recorder.failure)
    return _Ended(reason=reason, detail=detail, answered=driver.budget.answered)


async def _until_done(
    driver: Driver, caller: HttpCaller, options: RunOptions
) -> tuple[EndReason, str | None]:
    progress = nullcontext() if options.quiet else Progress(driver, options.workload)
    async with aclosing(caller), anyio.create_task_group() as tasks:
        tasks.start_soon(_stop_on_signal, driver)
        async with progress:
            result = await driver.run()
        tasks.cancel_scope.cancel()
    return result


async def _stop_on_signal(driver: Driver) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            driver.stop(EndReason.INTERRUPTED)


def load_plan(workload: Workload, *, until_stable: bool) -> LoadPlan:
    """Turn the load section of a workload into what the driver does."""
    load = workload.load
    loop: ClosedLoop | OpenLoop
    if load.rate_per_s is not None:
        loop = OpenLoop(
            rate_per_s=load.rate_per_s,
            poisson=load.arrivals == "poisson",
            arrivals_of=ArrivalsOf(load.arrivals_of),
            seed=load.seed,
        )
    else:
        loop = ClosedLoop(users=load.users if load.users is not None else 1)
    ceiling = load.max_requests
    if until_stable and ceiling is None and load.requests is not None:
        ceiling = default_max_requests(load.requests)
    return LoadPlan(
        loop=loop,
        warmup=load.warmup,
        limits=Limits(
            requests=load.requests,
            sessions=load.sessions,
            max_requests=ceiling,
            until_stable=until_stable,
            error_limit=load.error_limit,
        ),
        duration_ns=None if load.duration_s is None else seconds_to_ns(load.duration_s),
    )


def _run_record(options: RunOptions, run_id: str, encoding: str, url: str) -> Run:
    workload, anchor = options.workload, ClockAnchor.now()
    target = workload.redacted_target()
    if workload.target.url is None:
        target |= {"url": None, "mock": {"speed": options.mock_speed, "address": url}}
    load = workload.load
    return Run(
        run_id=run_id,
        tool_version=__version__,
        argv=options.argv,
        started_wall_ns=anchor.wall_ns,
        started_monotonic_ns=anchor.monotonic_ns,
        workload=workload.name,
        digests={"workload": workload.digest(), **workload.data_digests()},
        seeds={"sessions": load.seed},
        host={
            "python": platform.python_version(),
            "system": platform.system(),
            "machine": platform.machine(),
            "cores": os.cpu_count(),
        },
        target=target,
        load={
            "mode": "open" if load.is_open else "closed",
            "users": load.users,
            "rate_per_s": load.rate_per_s,
            "arrivals": load.arrivals if load.is_open else None,
            "arrivals_of": load.arrivals_of if load.is_open else None,
            "requests": load.requests,
            "sessions": load.sessions,
            "duration_s": load.duration_s,
            "warmup": load.warmup,
            "error_limit": load.error_limit,
            "until_stable": options.until_stable,
        },
        encoding=encoding,
        observers=("client", "response"),
    )


def _stability() -> RunningStability:
    from profiler.profile.stability import RunningStability

    return RunningStability()


def _feeder(stability: RunningStability | None) -> Any:
    if stability is None:
        return lambda *_: None

    def feed(interaction: Interaction, inside: tuple[Record, ...]) -> None:
        if interaction.phase is not Phase.MEASURE:
            return
        calls = [record for record in inside if isinstance(record, LlmCall)]
        used = [call.usage.input_tokens for call in calls if call.usage is not None]
        tokens = [count for count in used if count is not None]
        is_ok = interaction.outcome is Outcome.OK
        stability.add(
            session=interaction.session,
            latency_s=(interaction.end_ns - interaction.send_ns) / 1e9 if is_ok else None,
            llm_calls=len(calls) if calls else None,
            input_tokens=sum(tokens) if tokens else None,
        )

    return feed


def _profile(run_dir: Path) -> WorkloadProfile:
    from profiler.profile.build import build_profile
    from profiler.profile.model import dump_profile
    from profiler.report.markdown import profile_markdown

    profile = build_profile(run_dir / JOURNAL_NAME)
    write_whole(run_dir / PROFILE_NAME, dump_profile(profile))
    write_whole(run_dir / MARKDOWN_NAME, profile_markdown(profile).encode())
    return profile


def _print(profile: WorkloadProfile, options: RunOptions, run_dir: Path) -> None:
    from rich.console import Console

    from profiler.report.terminal import print_profile

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
    return TargetUnusableError(
        f"the target is unusable: {detail}",
        where=str(shown),
        fix=f"See that the agent runs there and answers; the journal is {run_dir / JOURNAL_NAME}",
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
