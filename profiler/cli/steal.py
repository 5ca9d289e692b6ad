"""How much of this machine's processor time its host gave to others: what `top` calls `st`.

A virtual machine that is not run when it should be sends late, and no setting of ours helps.
Source: /proc/stat, proc(5): user, nice, system, idle, iowait, irq, softirq, steal, in ticks since
the machine started.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from profiler.cli.finding import Finding
from profiler.report.quantities import percent

_FIELDS = 8
_NOTABLE = 0.01
"""Of 12 seconds on two cores a quarter of one: the 99th percentile is among what it delayed."""


class ProcessorTime(NamedTuple):
    """Ticks since the machine started: of all cores, and those of them that its host took."""

    all: int
    stolen: int


def processor_time(path: Path = Path("/proc/stat")) -> ProcessorTime | None:
    """Return what the system says now; None where it does not, as on systems other than Linux."""
    try:
        with path.open("rb") as lines:
            name, *cells = lines.readline().split()
        ticks = [int(cell) for cell in cells[:_FIELDS]]
    except (OSError, ValueError):
        return None
    if name != b"cpu" or len(ticks) < _FIELDS:
        return None
    return ProcessorTime(all=sum(ticks), stolen=ticks[-1])


def steal_finding(before: ProcessorTime | None, after: ProcessorTime | None) -> Finding:
    """Say which share of the time between the two was taken."""
    if before is None or after is None or after.all <= before.all:
        return Finding(name="steal", found="not known on this system", is_well=True)
    share = (after.stolen - before.stolen) / (after.all - before.all)
    is_notable = share >= _NOTABLE
    return Finding(
        name="steal",
        found=f"{percent(share)} of the processors' time went to others on the same host meanwhile",
        is_well=True,
        is_notable=is_notable,
        advice=_ADVICE if is_notable else None,
        figures={"steal_share": share},
    )


_ADVICE = (
    "What was sent late above may be the host's doing: measure on a machine of its own, or when "
    "its neighbours are quiet"
)
