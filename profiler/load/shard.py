"""One shard of a run: everything that one process does, from its spec to its closed journal.

A run in one process is the only shard of itself. A spec can be pickled, so that other processes and
other machines can run shards; what it needs beside the spec comes with a `Companion`.
"""

from __future__ import annotations

import os
import platform
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio

from profiler import __version__
from profiler.clock import ClockAnchor, monotonic_ns
from profiler.endpoints.http import TransportKind, caller_for, transport_for
from profiler.endpoints.select import endpoint_for
from profiler.load.driver import Driver
from profiler.load.event_loop import has_uvloop
from profiler.load.open_files import ensure_open_files
from profiler.load.plan import (
    WHOLE,
    ClosedLoop,
    LoadPlan,
    Share,
    is_idle,
    load_plan,
    most_connections,
    shared,
)
from profiler.load.recorder import Recorder
from profiler.load.texts import TextLog
from profiler.measure.journal import JournalWriter
from profiler.measure.reached import NOTHING_REACHED
from profiler.measure.records import End, EndReason, Resumed, Run
from profiler.measure.syncing import Fsync
from profiler.measure.tokens import TokenCounter, encoding_name_for_model
from profiler.steady import steady
from profiler.workload.sessions import SessionSampler, resumed_salt

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from profiler.load.meter import Meter
    from profiler.measure.reached import Reached
    from profiler.measure.records import Interaction, Record
    from profiler.workload.model import Load, Workload

_UNHURRIED_S = 5.0
"""A timeout so long that half a second in which the event loop stands still breaks none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardSpec:
    """What one process is to do. `argv` and `target_note` go into the journal, without secrets.

    `judges_target` is false where a conductor says when the target is of no use. A pickled spec
    holds the secrets of its workload. `tags`: taggable texts carry a marker. `observers` are those
    that watch beside client and response. `texts` is where what was said goes, without what
    `redact` matches; None: nowhere.
    """

    workload: Workload
    url: str
    run_id: str
    argv: tuple[str, ...]
    journal: Path
    share: Share = WHOLE
    until_stable: bool = False
    goodput: str | None = None
    judges_target: bool = True
    target_note: tuple[tuple[str, Any], ...] = ()
    tags: bool = False
    observers: tuple[str, ...] = ()
    fsync: Fsync = Fsync.INTERVAL
    meter: Meter | None = None
    texts: Path | None = None
    redact: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumption:
    """What a run that ended early is gone on with: its journal, open, and how far it came."""

    journal: JournalWriter
    reached: Reached

    @property
    def is_done(self) -> bool:
        """Whether the run came to its intended end: nothing is left to send."""
        return self.reached.is_done


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardEnd:
    """How a shard ended; `answered` says whether the target ever did."""

    reason: EndReason
    detail: str | None
    answered: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnd:
    """How a run ended, over all its shards. `lost` says, for each that gave no result, why."""

    reason: EndReason
    detail: str | None
    answered: bool
    lost: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """What is told of each interaction, and asked whether the numbers are stable.

    `before_instant` is called a little before requests of a trace are due.
    """

    on_start: Callable[[str, str, str], None] = lambda *_: None
    on_interaction: Callable[[Interaction, tuple[Record, ...]], None] = lambda *_: None
    is_stable: Callable[[], bool] = lambda: True
    before_instant: Callable[[], None] = lambda: None


@asynccontextmanager
async def alone(_driver: Driver) -> AsyncIterator[None]:
    """Be the companion of a driver that needs none."""
    yield


def run_shard(
    spec: ShardSpec,
    companion: Callable[[Driver], AbstractAsyncContextManager[Any]] = alone,
    hooks: Hooks | None = None,
    resumption: Resumption | None = None,
) -> ShardEnd:
    """Drive the shard's part of the load and write its journal. Blocks until it has ended.

    With a `resumption` (`load.resume`) it goes on with that journal, and closes it.

    `companion` is entered on the event loop before the driver starts and left when it has ended:
    progress, signals, a conductor. Raises `JournalError` if the journal cannot be created and
    `WorkloadError` for a target that cannot be spoken to.
    """
    journal = (
        JournalWriter(spec.journal, fsync=spec.fsync) if resumption is None else resumption.journal
    )
    reached = NOTHING_REACHED if resumption is None else resumption.reached
    try:
        return _run(spec, journal, companion, hooks if hooks is not None else Hooks(), reached)
    finally:
        journal.close()


def _run(
    spec: ShardSpec,
    journal: JournalWriter,
    companion: Callable[[Driver], AbstractAsyncContextManager[Any]],
    hooks: Hooks,
    reached: Reached,
) -> ShardEnd:
    workload = spec.workload
    workload.target.remember_secrets()  # a worker was told them by its spec alone
    encoding, _ = encoding_name_for_model(workload.target.model)
    counter = TokenCounter(encoding)
    plan = plan_of(spec)
    ensure_open_files(most_connections(plan))
    transport = transport_for(spec.url, http2=workload.target.http2)
    salt = spec.run_id
    if reached is NOTHING_REACHED:
        journal.append([run_record(spec, plan, encoding, transport)])
    elif not reached.is_done:
        journal.append([resumed_record(reached, workload.load)])
        # An agent that remembers sessions must not meet one that was cut off a second time.
        salt = resumed_salt(spec.run_id, reached.resumes + 1)
    recorder = Recorder(journal, counter)
    if not _may_load_meanwhile(spec.workload):
        recorder.prepare()
    caller = caller_for(
        transport,
        timeout_s=workload.target.timeout_s,
        secrets=workload.target.secrets(),
        http2=workload.target.http2,
        max_body_bytes=workload.target.max_answer_bytes,
        run=spec.run_id,
    )
    texts = (
        None
        if spec.texts is None
        else TextLog(spec.texts, patterns=spec.redact, resume=reached is not NOTHING_REACHED)
    )
    sampler = partial(SessionSampler, workload, seed=workload.load.seed, salt=salt, tags=spec.tags)
    driver = Driver(
        plan,
        endpoint=endpoint_for(workload.target, spec.url),
        caller=caller,
        recorder=recorder,
        measured=sampler(stream="measure"),
        warmup=sampler(stream="warmup"),
        is_stable=hooks.is_stable,
        before_instant=hooks.before_instant,
        on_start=hooks.on_start,
        on_interaction=_metered(spec, hooks),
        on_texts=None if texts is None else texts.put,
        # Of several shards, the conductor says when it is enough.
        spent_out=spec.meter.over if spec.meter is not None and spec.judges_target else None,
        reached=reached,
    )

    async def main() -> tuple[EndReason, str | None]:
        async with aclosing(caller), companion(driver):
            if reached.end is not None and reached.is_done:  # others of its run are not
                return reached.end.reason, reached.end.detail
            if is_idle(plan):
                return EndReason.COMPLETED, None
            return await driver.run()

    with steady():
        recorder.start()
        try:
            reason, detail = anyio.run(main, backend_options={"use_uvloop": has_uvloop()})
        finally:
            recorder.close()
            if texts is not None:
                texts.close()
    # The end comes after all that was still to be counted.
    if recorder.failure is None and not reached.is_done:
        recorder.put(End(at_ns=monotonic_ns(), reason=reason, detail=detail))
    if recorder.failure is not None:
        reason, detail = EndReason.JOURNAL_FAILED, str(recorder.failure)
    return ShardEnd(reason=reason, detail=detail, answered=driver.budget.answered)


def _metered(spec: ShardSpec, hooks: Hooks) -> Callable[[Interaction, tuple[Record, ...]], None]:
    """Return the hook that also adds up what is spent; under a conductor, its shard does."""
    meter = spec.meter
    if meter is None or not spec.judges_target:
        return hooks.on_interaction

    def ended(interaction: Interaction, inside: tuple[Record, ...]) -> None:
        meter.take(interaction, inside)
        hooks.on_interaction(interaction, inside)

    return ended


def _may_load_meanwhile(workload: Workload) -> bool:
    """Say whether the encoding may be loaded while the warm-up runs, which it holds up for a bit.

    Not where that could make interactions fail that are in time.
    """
    return workload.load.warmup > 0 and workload.target.timeout_s >= _UNHURRIED_S


def plan_of(spec: ShardSpec) -> LoadPlan:
    """Return the part of the run's load that the shard is to drive."""
    plan = shared(load_plan(spec.workload, until_stable=spec.until_stable), spec.share)
    return replace(plan, limits=replace(plan.limits, judges_target=spec.judges_target))


def run_record(spec: ShardSpec, plan: LoadPlan, encoding: str, transport: TransportKind) -> Run:
    """Return the first line of the shard's journal: the manifest, without secrets.

    Users and rate are those of the shard's plan; quotas and limits those of the whole run.
    """
    workload, anchor = spec.workload, ClockAnchor.now()
    load = workload.load
    users = plan.loop.users if isinstance(plan.loop, ClosedLoop) else None
    parts = None if is_idle(plan) else plan.share.count
    return Run(
        run_id=spec.run_id,
        tool_version=__version__,
        argv=spec.argv,
        started_wall_ns=anchor.wall_ns,
        started_monotonic_ns=anchor.monotonic_ns,
        workload=workload.name,
        digests={"workload": workload.digest(), **workload.data_digests()},
        seeds={"sessions": load.seed},
        host=this_host(),
        target={**workload.redacted_target(), **dict(spec.target_note)},
        load={
            "mode": "open" if load.is_open else "closed",
            "users": users,
            "rate_per_s": _part_of_rate(load.rate_per_s, parts),
            "arrivals": load.arrivals.kind if load.is_open else None,
            "arrivals_of": load.arrivals_of if load.is_open else None,
            "max_in_flight": load.max_in_flight,
            "requests": load.requests,
            "sessions": load.sessions,
            "duration_s": load.duration_s,
            "warmup": load.warmup,
            "error_limit": load.error_limit,
            **_caution(load),
            "until_stable": spec.until_stable,
        },
        encoding=encoding,
        observers=tuple(sorted(("client", "response", *spec.observers))),
        manifest={
            "shard": spec.share.index,
            "shards": spec.share.count,
            "transport": transport.value,
            **({} if spec.goodput is None else {"goodput": spec.goodput}),
        },
    )


def resumed_record(reached: Reached, load: Load) -> Resumed:
    """Return the line with which a resumed run goes on in its journal."""
    anchor = ClockAnchor.now()
    return Resumed(
        number=reached.resumes + 1,
        tool_version=__version__,
        resumed_wall_ns=anchor.wall_ns,
        resumed_monotonic_ns=anchor.monotonic_ns,
        superseded=reached.unfinished,
        max_cost_usd=None if load.max_cost_usd is None else str(load.max_cost_usd),
        max_tokens=load.max_tokens,
    )


def _caution(load: Load) -> dict[str, Any]:
    """Return what limits a run for the target's sake and the spender's, as far as it is set."""
    said = {
        "ramp_up_s": load.ramp_up_s,
        "max_cost_usd": None if load.max_cost_usd is None else str(load.max_cost_usd),
        "max_tokens": load.max_tokens,
        "backoff": None if load.backoff else False,
    }
    return {name: value for name, value in said.items() if value is not None}


def this_host() -> dict[str, Any]:
    """Return what a journal says of the machine that wrote it."""
    return {
        "python": platform.python_version(),
        "system": platform.system(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
    }


def _part_of_rate(rate_per_s: float | None, parts: int | None) -> float | None:
    """Return a shard's part of a rate; an idle shard (no parts) offers nothing."""
    if rate_per_s is None:
        return None
    return 0.0 if parts is None else rate_per_s / parts
