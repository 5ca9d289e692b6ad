"""`agent-profiler run WORKLOAD --find-capacity`: the highest rate that meets the objectives."""

from __future__ import annotations

import shlex
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from time import sleep
from typing import TYPE_CHECKING
from uuid import uuid4

from profiler import __version__
from profiler.cli.capacity_step import Setting, StepRuns, forget_last, run_part, step_of
from profiler.cli.files import MOCK_LOG_NAME, TRUTH_NAME, new_run_dir, write_whole
from profiler.cli.mock_process import mock_agent, mock_path
from profiler.errors import (
    GateFailedError,
    InconclusiveError,
    JournalError,
    TargetUnusableError,
    UsageError,
)
from profiler.load.search import Search, SearchEnd, SearchLimits, Step, StepVerdict
from profiler.measure.records import EndReason
from profiler.profile.capacity import (
    CAPACITY_SCHEMA_VERSION,
    CapacityCurve,
    CapacityResult,
    CapacityStep,
    dump_curve,
)
from profiler.profile.judging import fewest_to_decide, implied_rates
from profiler.profile.objectives import (
    GOODPUT,
    objectives_text,
    parse_goodput,
    parse_objectives,
)
from profiler.report.capacity import answer_of, curve_markdown, curve_report, step_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rich.console import Console

    from profiler.profile.objectives import Objective
    from profiler.workload.model import Workload

CAPACITY_NAME, CAPACITY_MARKDOWN_NAME = "capacity.json", "capacity.md"
EXIT_OK, EXIT_INTERRUPTED = 0, 130

DEFAULT_REQUESTS = 200
IMPLIED_SHARE = "1%"
"""The most errors, or dropped arrivals, where the user said nothing of them."""

LOWEST_OF_START = 8
"""How far below the start a rate is looked for that meets the objectives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityOptions:
    """What to find and how. `argv` is the command that reproduces it, without secrets.

    `requests` are the interactions of one step, more where the objectives or `least_step_s` need
    more; None: 200. Rates are interactions per second, `resolution` is a share of the rate.
    """

    workload: Workload
    argv: tuple[str, ...]
    objective: str
    goodput: str | None = None
    mock_speed: float = 1.0
    out: Path | None = None
    quiet: bool = False
    requests: int | None = None
    start_rate_per_s: float = 1.0
    max_rate_per_s: float = 1000.0
    resolution: float = 0.05
    most_steps: int = 20
    settle_s: float = 2.0
    least_step_s: float = 5.0


def find_capacity(options: CapacityOptions) -> int:
    """Search, write capacity.json and capacity.md after every step, print the answer.

    Returns 0 where the limit was found, 130 where it was interrupted. Raises, after printing what
    there is: `GateFailedError` (3) where even the lowest rate misses; `InconclusiveError` (4) where
    it cannot be told, the harness was the limit, no rate up to the highest missed, or the steps
    were used up; `TargetUnusableError` (5) where the target never answered in a step. `UsageError`
    before the first request, `JournalError` where a journal cannot be written.
    """
    asked, implied = _objectives(options)
    limits = _limits(options, (*asked, *implied))
    root = new_run_dir(options.out, f"{options.workload.name}-capacity")
    if (root / CAPACITY_NAME).exists():
        fix = "Give another --out: what was measured is never overwritten"
        raise UsageError("the directory already holds a search", where=str(root), fix=fix)
    with _target_url(options, root) as url:
        setting = Setting(
            workload=options.workload,
            url=url,
            argv=options.argv,
            root=root,
            run_id=root.name if options.out is None else f"{root.name}-{uuid4().hex[:8]}",
            mock_speed=options.mock_speed if options.workload.target.url is None else None,
            quiet=options.quiet,
            goodput=options.goodput,
            asked=asked,
            implied=implied,
        )
        finder = _Finder(options, setting, Search(limits))
        finder.run()
    finder.print()
    return finder.exit_code()


def _objectives(options: CapacityOptions) -> tuple[tuple[Objective, ...], tuple[Objective, ...]]:
    asked = parse_objectives(options.objective)
    if options.goodput is not None:
        parse_goodput(options.goodput)
    elif any(objective.metric == GOODPUT for objective in asked):
        fix = "Add --goodput 'latency<2s'"
        raise UsageError("what makes an interaction good is not said", where="--objective", fix=fix)
    drops = options.workload.load.max_in_flight is not None
    names = implied_rates(asked, drops=drops)
    text = ", ".join(f"{name}<{IMPLIED_SHARE}" for name in names)
    return asked, parse_objectives(text) if names else ()


def _limits(options: CapacityOptions, objectives: tuple[Objective, ...]) -> SearchLimits:
    requests = DEFAULT_REQUESTS if options.requests is None else options.requests
    return SearchLimits(
        start_per_s=options.start_rate_per_s,
        lowest_per_s=options.start_rate_per_s / LOWEST_OF_START,
        highest_per_s=options.max_rate_per_s,
        resolution=options.resolution,
        most_steps=options.most_steps,
        requests=max(requests, fewest_to_decide(objectives)),
        least_step_s=options.least_step_s,
    )


@contextmanager
def _target_url(options: CapacityOptions, root: Path) -> Iterator[str]:
    """Give the target's address: without one in the workload, that of one mock for all steps."""
    workload = options.workload
    if workload.target.url is not None:
        yield workload.target.url
        return
    recorded = [s.conversations.path for s in workload.scenarios if s.conversations is not None]
    with mock_agent(
        recordings=list(dict.fromkeys(recorded)),
        truth=root / TRUTH_NAME,
        log=root / MOCK_LOG_NAME,
        seed=workload.load.seed,
        speed=options.mock_speed,
    ) as announced:
        yield f"{announced['agent']}{mock_path(workload.target.protocol)}"


class _Finder:
    """Does what the search asks, and writes down what is known after every step."""

    def __init__(self, options: CapacityOptions, setting: Setting, search: Search) -> None:
        from rich.console import Console

        self._options = options
        self._setting = setting
        self._search = search
        self._console: Console = Console(stderr=True)
        self._started_at = datetime.now(UTC).isoformat()
        self._steps: list[CapacityStep] = []
        self._made = 0
        self._detail: str | None = None

    def run(self) -> None:
        """Make step after step until the search has ended. Ctrl-C ends with what there is."""
        runs, number = StepRuns(), 1
        self._write()
        try:
            while (step := self._search.next()) is not None:
                if step.number != number:
                    runs, number = StepRuns(), step.number
                if self._made:
                    sleep(self._options.settle_s)
                self._run_part(step, runs)
                self._write()
        except KeyboardInterrupt:
            self._search.stop(SearchEnd.INTERRUPTED)
            self._write()

    def _run_part(self, step: Step, runs: StepRuns) -> None:
        ended = run_part(self._setting, step, runs, run_number=self._made)
        self._made += 1
        if ended.reason is EndReason.JOURNAL_FAILED:
            raise JournalError(ended.detail or "the journal could not be written")
        if ended.reason is EndReason.INTERRUPTED:
            self._search.stop(SearchEnd.INTERRUPTED)
            return
        if not ended.answered:
            self._detail = ended.detail
            self._search.stop(SearchEnd.TARGET_UNUSABLE)
            return
        found = step_of(self._setting, step, runs)
        if found.verdict == "driver_limited":
            forget_last(runs)
        self._steps = [known for known in self._steps if known.number != step.number]
        self._steps.append(found)
        self._search.record(step, StepVerdict(found.verdict))
        self._say(found)

    def _say(self, step: CapacityStep) -> None:
        if self._options.quiet:
            return
        text = step_line(step)
        following = self._search.next()
        if following is not None and following.number == step.number:
            text += ", tried again" if following.attempt > 1 else f", {following.requests} more"
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def curve(self) -> CapacityCurve:
        """Return what is known so far, as it is written down."""
        workload, setting, options = self._options.workload, self._setting, self._options
        target = workload.redacted_target()
        if setting.mock_speed is not None:
            target["mock"] = {"speed": setting.mock_speed, "address": setting.url}
        load = workload.load
        shape = "poisson" if not load.is_open or load.arrivals.trace else load.arrivals.kind
        return CapacityCurve(
            schema_version=CAPACITY_SCHEMA_VERSION,
            kind="capacity_curve",
            tool_version=__version__,
            started_at=self._started_at,
            argv=options.argv,
            workload=workload.name,
            digests={"workload": workload.digest(), **workload.data_digests()},
            target=target,
            objective=objectives_text(setting.asked),
            implied=objectives_text(setting.implied) or None,
            goodput=options.goodput,
            arrivals=shape,
            resolution=options.resolution,
            steps=tuple(self._steps),
            result=self._result(),
        )

    def _result(self) -> CapacityResult:
        known = self._search.result
        upper = known.upper_verdict
        result = CapacityResult(
            end=None if known.end is None else known.end.value,
            lower_per_s=known.lower_per_s,
            upper_per_s=known.upper_per_s,
            upper_verdict=None
            if upper is None
            else ("missed" if upper is StepVerdict.MISSED else "undecided"),
            missed_per_s=known.missed_per_s,
            answer="",
        )
        text = objectives_text(self._setting.asked)
        answer = answer_of(result, self._steps, text, self._options.resolution)
        return result.model_copy(update={"answer": answer})

    def _write(self) -> None:
        curve, root = self.curve(), self._setting.root
        write_whole(root / CAPACITY_NAME, dump_curve(curve))
        write_whole(root / CAPACITY_MARKDOWN_NAME, curve_markdown(curve).encode())

    def print(self) -> None:
        """Print the curve and where its files are; only the path when quiet."""
        from rich.console import Console

        path = self._setting.root / CAPACITY_NAME
        if self._options.quiet:
            print(path)  # noqa: T201 - the command line's only output when quiet
            return
        console = Console()
        console.print(curve_report(self.curve()))
        console.print()
        for name in (CAPACITY_NAME, CAPACITY_MARKDOWN_NAME):
            console.print(str(path.with_name(name)), highlight=False, markup=False, soft_wrap=True)
        again = f"Again: {shlex.join(self._options.argv)}"
        console.print(again, style="dim", highlight=False, markup=False, soft_wrap=True)

    def exit_code(self) -> int:
        """Return 0 or 130, or raise what DESIGN gives each other way to end."""
        end, answer = self._search.result.end, self._result().answer.rstrip(".")
        match end:
            case SearchEnd.FOUND:
                return EXIT_OK
            case SearchEnd.INTERRUPTED:
                return EXIT_INTERRUPTED
            case SearchEnd.NEVER_MET:
                fix = "Ask for less, or give a lower --start-rate"
                raise GateFailedError(answer, fix=fix)
            case SearchEnd.TARGET_UNUSABLE:
                raise TargetUnusableError(
                    f"the target is unusable: {self._detail}",
                    where=str(self._options.workload.redacted_target()["url"] or self._setting.url),
                    fix="See that the agent runs there and answers",
                )
            case _:
                raise InconclusiveError(answer, fix=_REMEDIES[end])


_REMEDIES: dict[SearchEnd | None, str] = {
    SearchEnd.NEVER_MISSED: "Raise --max-rate",
    SearchEnd.NEVER_DECIDED: "Give more --requests, or a lower --start-rate",
    SearchEnd.DRIVER_LIMITED: "Give this machine less else to do, or use a faster one",
    SearchEnd.MOST_STEPS: "Raise --max-steps, or accept a wider --resolution",
}
