"""A gateway alone from its first byte to its summary: puts the parts of that command together."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

import anyio

from profiler import __version__
from profiler.admission import checked_token
from profiler.cli.files import TRAFFIC_NAME, forget_unbegun, new_run_dir
from profiler.cli.live import Passed, follow
from profiler.cli.observing import with_variable
from profiler.cli.profile import files, write_traffic
from profiler.clock import ClockAnchor, monotonic_ns
from profiler.errors import JournalError
from profiler.load.event_loop import has_uvloop
from profiler.load.shard import this_host
from profiler.measure import JOURNAL_NAME
from profiler.measure.journal import JournalWriter
from profiler.measure.records import End, EndReason, Observer, Run
from profiler.measure.tokens import TokenCounter
from profiler.observers.gateway.gateway import running_gateway
from profiler.observers.gateway.upstream import Upstream
from profiler.profile.traffic import TRAFFIC_MODE
from profiler.report.quantities import plural
from profiler.serving import stop_event
from profiler.steady import steady

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rich.console import Console

    from profiler.cli.observing import Address
    from profiler.measure.records import Record
    from profiler.observers.gateway.gateway import Gateway

ENCODING = "o200k_base"
GRACE_S = 8
"""What calls under way get to end in: a container is killed 10 s after its SIGTERM."""

EXIT_OK = 0
_NAME = "gateway"
_NOTES_EVERY_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureOptions:
    """What to record, and where. `shown_upstream` and `argv` are without secrets."""

    upstream: str
    shown_upstream: str
    listen: Address
    token: str | None
    duration_s: float | None
    argv: tuple[str, ...]
    out: Path | None
    quiet: bool


class Sink:
    """Writes what the gateway records. `failure` is set when that cannot be written any more."""

    def __init__(self, journal: JournalWriter, take: Callable[[Record], None]) -> None:
        self._journal = journal
        self._take = take
        self.on_failure: Callable[[], None] = lambda: None
        self.failure: JournalError | None = None

    def put(self, *records: Record) -> None:
        """Append records, unless that has failed before."""
        if self.failure is not None:
            return
        try:
            self._journal.append(records)
        except JournalError as exc:
            self.failure = exc
            self.on_failure()
            return
        for record in records:
            self._take(record)


def execute(options: CaptureOptions) -> int:
    """Record until a signal or the end of the duration, sum up, print. Returns the exit code.

    Raises `UsageError` for what cannot be started (nothing is left behind then), and `JournalError`
    where the journal cannot be written: what was written before is kept.
    """
    from rich.console import Console

    Upstream.of(options.upstream)
    if options.token is not None:
        checked_token(options.token, "gateway")
    console = Console(stderr=True, quiet=options.quiet, style="dim", highlight=False)
    with ExitStack() as stack:
        run_dir = new_run_dir(options.out, _NAME)
        stack.callback(forget_unbegun, run_dir)
        journal = JournalWriter(run_dir / JOURNAL_NAME)
        stack.callback(journal.close)
        passed = Passed()
        sink = Sink(journal, passed.take)
        sink.put(_run_record(options, run_dir))
        if sink.failure is None:
            reason = _record(options, sink, passed, console, run_dir)
            sink.put(End(at_ns=monotonic_ns(), reason=reason))
        if sink.failure is not None:
            raise sink.failure
    _sum_up(run_dir, quiet=options.quiet)
    return EXIT_OK


def _run_record(options: CaptureOptions, run_dir: Path) -> Run:
    anchor = ClockAnchor.now()
    return Run(
        run_id=run_dir.name if options.out is None else f"{run_dir.name}-{uuid4().hex[:8]}",
        tool_version=__version__,
        argv=options.argv,
        started_wall_ns=anchor.wall_ns,
        started_monotonic_ns=anchor.monotonic_ns,
        workload=_NAME,
        digests={},
        seeds={},
        host=this_host(),
        target={"upstream": options.shown_upstream},
        load={"mode": TRAFFIC_MODE},
        encoding=ENCODING,
        observers=(Observer.GATEWAY.value,),
    )


def _record(
    options: CaptureOptions, sink: Sink, passed: Passed, console: Console, run_dir: Path
) -> EndReason:
    """Run the gateway; it has drained when this returns."""
    counter = TokenCounter(ENCODING)
    counter.prepare()  # later it would hold up the traffic for half a second

    async def serve() -> EndReason:
        async with stop_event(signals=True, stdin_eof=False) as stop:
            sink.on_failure = stop.set
            async with running_gateway(
                upstream=options.upstream,
                record=sink.put,
                in_flight=None,
                counter=counter,
                host=options.listen.host,
                port=options.listen.port,
                token=options.token,
                grace_s=GRACE_S,
            ) as gateway:
                _say_how(console, gateway, options.token, run_dir)
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(_note, gateway)
                    if not options.quiet:
                        tasks.start_soon(follow, console, lambda: passed.line(gateway.under_way))
                    with anyio.move_on_after(options.duration_s) as waiting:
                        await stop.wait()
                    tasks.cancel_scope.cancel()
                _say_end(console, gateway)
        return EndReason.DURATION if waiting.cancelled_caught else EndReason.COMPLETED

    with steady():  # neither the thread that counts nor the collector may hold up the traffic
        return anyio.run(serve, backend_options={"use_uvloop": has_uvloop()})


async def _note(gateway: Gateway) -> None:
    """Write down now and then what limits the gateway: it may be killed any time."""
    while True:
        await anyio.sleep(_NOTES_EVERY_S)
        gateway.record_notes()


def _say_how(console: Console, gateway: Gateway, token: str | None, run_dir: Path) -> None:
    for line in (
        "Start the agent with one of",
        f"  OPENAI_BASE_URL={with_variable(gateway.openai_base_url, token)}",
        f"  ANTHROPIC_BASE_URL={with_variable(gateway.anthropic_base_url, token)}",
        f"Recording to {run_dir / JOURNAL_NAME}; Ctrl-C ends it.",
    ):
        console.print(line, markup=False, soft_wrap=True)


def _say_end(console: Console, gateway: Gateway) -> None:
    if gateway.under_way:
        said = f"waiting up to {GRACE_S} s for {plural(gateway.under_way, 'request')} under way"
        console.print(said, markup=False, soft_wrap=True)


def _sum_up(run_dir: Path, *, quiet: bool) -> None:
    traffic = write_traffic(run_dir)
    if quiet:
        print(run_dir / TRAFFIC_NAME)  # noqa: T201 - the command line's only output when quiet
        return
    from rich.console import Console

    from profiler.report.terminal import print_report
    from profiler.report.traffic import traffic_report

    print_report(Console(), traffic_report(traffic), files(run_dir))
