"""How many whole machines a need takes, and which machine does it cheapest."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from profiler.errors import PlanError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from decimal import Decimal

    from profiler.planner.price_book import Machine

_SLACK = 1e-9  # of a count: 3 x 0.1 cpus fit into 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """So many machines of one kind, those that are spare among them."""

    machine: str
    count: int
    spare: int
    usd_per_hour: Decimal
    """Of one."""
    source: str


def for_workers(
    workers: int,
    cpus: float,
    memory_bytes: float,
    machines: Mapping[str, Machine],
    *,
    reserved_share: float,
) -> Fleet:
    """Return the cheapest fleet of one kind of machine that carries so many workers.

    A worker lies whole on one machine; `reserved_share` of a machine's memory is the system's. One
    machine more than they need is there, so that one may fail at the peak; none for no workers.
    Raises PlanError where no machine takes a worker.
    """

    def needed(machine: Machine) -> int | None:
        by_cpu = math.floor(machine.cpus.likely / cpus + _SLACK)
        usable = machine.memory.likely * machine.usable_share.likely * (1 - reserved_share)
        each = min(by_cpu, math.floor(usable / memory_bytes + _SLACK))
        return math.ceil(workers / each) if each > 0 else None

    what = f"no machine of the price book takes a worker of {cpus:g} cpus and {memory_bytes:g} B"
    return _cheapest(machines, needed, spare=min(workers, 1), nothing=what)


def for_service(
    memory_bytes: float,
    cpus: float,
    machines: Mapping[str, Machine],
    *,
    reserved_share: float = 0.0,
    copies: int = 2,
) -> Fleet:
    """Return the cheapest nodes of one kind that hold so much and compute so much, `copies` times.

    Memory and cpus may be spread over nodes (shards); a copy of each node takes over when it
    fails. At least one node, whatever is needed.
    """

    def needed(machine: Machine) -> int:
        usable = machine.memory.likely * machine.usable_share.likely * (1 - reserved_share)
        shards = max(memory_bytes / usable, cpus / machine.cpus.likely)
        return max(1, math.ceil(shards - _SLACK)) * copies

    return _cheapest(machines, needed, spare=0, nothing="")


def for_one(
    cpus: float, machines: Mapping[str, Machine], *, service: str, copies: int = 2
) -> Fleet:
    """Return the cheapest node that computes so much alone, `copies` times: a database's writer.

    Raises PlanError where no node is large enough.
    """

    def needed(machine: Machine) -> int | None:
        return copies if machine.cpus.likely + _SLACK >= cpus else None

    what = f"no node of the price book has the {cpus:g} cpus that the {service} needs"
    return _cheapest(machines, needed, spare=0, nothing=what)


def _cheapest(
    machines: Mapping[str, Machine],
    needed: Callable[[Machine], int | None],
    *,
    spare: int,
    nothing: str,
) -> Fleet:
    counts = {name: needed(machine) for name, machine in machines.items()}
    fleets = [
        ((count + spare) * machines[name].usd, count + spare, name)
        for name, count in counts.items()
        if count is not None
    ]
    if not fleets:
        raise PlanError(nothing, fix="Add a larger one to a price book of your own")
    _, count, name = min(fleets)
    machine = machines[name]
    return Fleet(
        machine=name,
        count=count,
        spare=spare,
        usd_per_hour=machine.usd,
        source=f"{machine.source} ({machine.date})",
    )
