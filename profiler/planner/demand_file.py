"""From a demand file to a `Demand`: a mistake is one line with file, line, key and remedy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from profiler.errors import PlanError
from profiler.planner.demand import Demand
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
        demand = Demand.model_validate(document.data)
    except ValidationError as exc:
        mistake = first_mistake(document, exc, guide=GUIDE)
        raise PlanError(mistake.with_key, where=mistake.where, fix=mistake.fix) from exc
    return DemandFile(path=path, data=document.data, demand=demand)
