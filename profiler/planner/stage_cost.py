"""What a stage costs a month: the plan's bill, with one server and one Redis where it has those."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING

from profiler.planner.cost_tree import priced, rounded
from profiler.planner.evaluate import evaluate
from profiler.planner.machines import for_service
from profiler.planner.prices import exactly
from profiler.planner.rollout_plan import StageCost

if TYPE_CHECKING:
    from profiler.planner.evaluate import Evaluation, Setting
    from profiler.planner.inputs import Numbers
    from profiler.planner.price_book import Machine
    from profiler.planner.stage_load import Loads
    from profiler.planner.stages import Stage

_REPLACED = ("workers", "queue", "cache")
_SLACK = 1e-9


def stage_cost(loads: Loads, stage: Stage, factor: float, workers: int) -> StageCost:
    """Return the bill of a month at a factor, with so many workers.

    On one server, which takes the most workers of the stage, that and one Redis stand in place of
    the plan's workers, queue and cache, none of them twice; where no machine of the book is large
    enough, the plan's stay. Raises PlanError where the plan's bill does.
    """
    scaling = loads.scaling
    found = evaluate(scaling.setting, scaling.point, factor, workers)
    api, infra, people = found.tree.children
    lines = {line.name: line.usd for line in infra.children}
    note = None
    if stage.workers is not None:
        server = _one_server(scaling.setting, scaling.point.numbers, stage.workers.most)
        if server is None:
            note = "no machine of the price book takes all workers: several are priced"
        else:
            lines = {name: usd for name, usd in lines.items() if name not in _REPLACED}
            name, usd = server
            lines[f"one server, {name}"] = usd
            lines["one Redis"] = _one_redis(scaling.setting, found)
    lines |= {name: rounded(exactly(usd.likely)) for name, usd in stage.monthly_usd.items()}
    infrastructure = sum(lines.values(), start=Decimal(0))
    return StageCost(
        users=found.peak.users,
        workers=workers,
        total=float(api.usd + infrastructure + people.usd),
        api=float(api.usd),
        infrastructure=float(infrastructure),
        operations=float(people.usd),
        lines={name: float(usd) for name, usd in lines.items()},
        note=note,
    )


def _one_server(setting: Setting, numbers: Numbers, workers: int) -> tuple[str, Decimal] | None:
    """Return the cheapest machine that takes all workers, and a month of it with its disk."""
    book, asked = setting.book, setting.demand.infrastructure.machine
    machines = book.machines if asked is None else {asked: book.machine(asked)}
    reserved = book.sizing.reserved_memory_share.value.likely
    cpus, memory = numbers["workers.cpus"], numbers["workers.memory"]

    def takes(machine: Machine) -> bool:
        usable = machine.memory.likely * machine.usable_share.likely * (1 - reserved)
        by_cpu = math.floor(machine.cpus.likely / cpus + _SLACK)
        return min(by_cpu, math.floor(usable / memory + _SLACK)) >= workers

    fitting = [(machine.usd, name) for name, machine in machines.items() if takes(machine)]
    if not fitting:
        return None
    usd_per_hour, name = min(fitting)
    return name, _month(setting, usd_per_hour, 1) + _disks(setting, 1)


def _one_redis(setting: Setting, found: Evaluation) -> Decimal:
    """Return a month of one node for queue and state, as large as both need."""
    book, state = setting.book, found.state
    on_cache = (state.reads_per_s or 0.0) + (state.writes_per_s or 0.0)
    operations = on_cache * (1 - setting.database_share) + state.queue_operations_per_s
    cpus = operations / book.sizing.cache_operations_per_s_per_cpu.value.likely
    held = 0.0 if state.hot_memory_bytes is None else state.hot_memory_bytes
    if setting.demand.infrastructure.run_by == "managed":
        fleet = for_service(held, cpus, book.cache_nodes, copies=1)
        return _month(setting, fleet.usd_per_hour, fleet.count)
    reserved = book.sizing.reserved_memory_share.value.likely
    fleet = for_service(held, cpus, book.machines, reserved_share=reserved, copies=1)
    return _month(setting, fleet.usd_per_hour, fleet.count) + _disks(setting, fleet.count)


def _month(setting: Setting, usd_per_hour: Decimal, count: int) -> Decimal:
    hours = exactly(setting.book.hours_per_month.likely)
    return priced("machine", Decimal(count), "machine-months", usd_per_hour * hours).usd


def _disks(setting: Setting, count: int) -> Decimal:
    gb = count * exactly(setting.book.sizing.machine_disk.value.likely)
    return rounded(setting.book.rates.disk.cost(gb))
