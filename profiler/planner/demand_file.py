"""From a demand file to a `Demand`: a mistake is one line with file, line, key and remedy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from profiler.clock import NS_PER_S
from profiler.errors import PlanError
from profiler.planner.demand import ArrivalTrace, Demand
from profiler.planner.ranges import certain
from profiler.workload.arrivals import read_arrivals
from profiler.workload.dispersion import Windows
from profiler.workload.document import read_document
from profiler.workload.mistakes import first_mistake

if TYPE_CHECKING:
    from pathlib import Path

GUIDE = "docs/planning.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class DemandFile:
    """A demand, with what the file says (`data`, plain values) and where it stands."""

    path: Path
    data: dict[str, Any]
    demand: Demand


def load_demand(path: Path) -> DemandFile:
    """Read a demand file. Raises PlanError."""
    document = read_document(path, what="demand", error=PlanError)
    if not isinstance(document.data, dict):
        fix = f"Start with 'users:' and 'traffic:': {GUIDE} shows how"
        raise PlanError("a demand is a mapping of keys", where=f"{path}:1", fix=fix)
    try:
        return demand_of(document.data, path)
    except ValidationError as exc:
        mistake = first_mistake(document, exc, guide=GUIDE)
        raise PlanError(mistake.with_key, where=mistake.where, fix=mistake.fix) from exc


def demand_of(data: dict[str, Any], path: Path) -> DemandFile:
    """Return a demand of what a file at `path` says, or said when a plan was made of it.

    Files that it names are looked for beside it. Raises pydantic's ValidationError, and errors for
    a trace of arrivals as `burstiness_of` does.
    """
    demand = Demand.model_validate(data)
    if isinstance(trace := demand.traffic.burstiness, ArrivalTrace):
        index = burstiness_of(path.parent / trace.trace)
        traffic = demand.traffic.model_copy(update={"burstiness": certain(index)})
        demand = demand.model_copy(update={"traffic": traffic})
    return DemandFile(path=path, data=data, demand=demand)


def burstiness_of(trace: Path) -> float:
    """Return the index of dispersion per minute of recorded arrivals, 1 at the least.

    Arrivals more even than Poisson (an index below 1) are planned for as Poisson: a plan that
    counts on evenness is hit by the first day without. Raises WorkloadError for a trace that cannot
    be read, PlanError for one that is too short.
    """
    arrivals = read_arrivals(trace)
    windows = Windows(60 * NS_PER_S)
    for offset_s in arrivals.offsets_s:
        windows.add(round(offset_s * NS_PER_S))
    found = windows.dispersion
    if found.index is None:
        what = f"the trace has no burstiness per minute: {found.lacking}"
        raise PlanError(what, where=str(trace), fix="Give a longer trace, or a number")
    return max(1.0, found.index)
