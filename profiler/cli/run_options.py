"""What a run is to do, as the options of `run` say it, and the command that does it again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from profiler.cli.exporting import NOWHERE, Exporting
from profiler.cli.observing import NOTHING, Observing
from profiler.cli.progress import Form, form_of
from profiler.cli.split import NOT_SPLIT, Split
from profiler.measure.syncing import Fsync

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from profiler.cli.events import Events
    from profiler.load.meter import Meter
    from profiler.workload.model import Workload


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
