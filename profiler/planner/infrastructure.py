"""What the plan's machines and services cost per month: whole machines, managed or self-run.

Every component is priced both ways, so that the two stand side by side with the hours they take.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from profiler.planner.cost_tree import CostLine, priced, rounded, total
from profiler.planner.machines import Fleet, for_one, for_service, for_workers
from profiler.planner.prices import exactly

if TYPE_CHECKING:
    from collections.abc import Mapping

    from profiler.planner.price_book import Machine, MeteredRate, PriceBook

RunBy = Literal["managed", "self"]
WAYS: tuple[RunBy, ...] = ("managed", "self")

_GB = Decimal(10**9)
_MEMORY_PER_CPU = 2 * 1024**3
"""What a container of Fargate has at least for each cpu, bytes."""
_CONTAINER_CPUS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
_MOST_MEMORY_PER_CPU = 7.5 * 1024**3
_CONNECTIONS_PER_UNIT = 25
"""New connections per second that one capacity unit of the load balancer takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What one scale of the plan needs. None: not known, priced at the smallest, and noted."""

    workers: int
    worker_cpus: float
    worker_memory_bytes: float
    queue_operations_per_month: float
    queue_operations_per_s: float
    """At the peak, as the next two."""
    cache_operations_per_s: float
    database_operations_per_s: float
    hot_bytes: float | None
    """State of the sessions that are alive at the peak."""
    cold_bytes_per_month: float | None
    """What is kept for good of a month's interactions."""
    retention_months: float
    egress_bytes_per_month: float
    requests_per_month: float
    log_bytes_per_month: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Infrastructure:
    """The components both ways, and which way the plan takes."""

    managed: tuple[CostLine, ...]
    self_run: tuple[CostLine, ...]
    run_by: RunBy
    further: tuple[CostLine, ...]
    """What else costs money every month, either way."""

    @property
    def tree(self) -> CostLine:
        """The bill of the way that the plan takes."""
        further = (total("further", self.further),) if self.further else ()
        return total("infrastructure", (*self.ways[self.run_by], *further))

    @property
    def ways(self) -> dict[RunBy, tuple[CostLine, ...]]:
        """The components by way."""
        return {"managed": self.managed, "self": self.self_run}


def infrastructure(
    needs: Needs,
    book: PriceBook,
    *,
    run_by: RunBy = "managed",
    machine: str | None = None,
    monthly_usd: Mapping[str, Decimal] | None = None,
    both_ways: bool = True,
) -> Infrastructure:
    """Return what the needs of one scale cost per month.

    `machine` names the workers' machine; None: the cheapest that fits, or containers where they
    are managed. `monthly_usd` are further lines. Without
    `both_ways` only `run_by` is priced. Raises PlanError where nothing in the book is
    large enough, or it has no such machine.
    """
    bill = _Bill(needs, book, machine)
    extra = monthly_usd if monthly_usd is not None else {}
    one = Decimal(1)
    return Infrastructure(
        managed=bill.lines("managed") if both_ways or run_by == "managed" else (),
        self_run=bill.lines("self") if both_ways or run_by == "self" else (),
        run_by=run_by,
        further=tuple(priced(name, one, "month", usd) for name, usd in extra.items()),
    )


@dataclass(frozen=True, slots=True)
class _Bill:
    needs: Needs
    book: PriceBook
    machine: str | None

    def lines(self, way: RunBy) -> tuple[CostLine, ...]:
        return (
            self._workers(way),
            self._queue(way),
            self._cache(way),
            self._database(way),
            self._network(way),
            *self._monitoring(way),
        )

    @property
    def _hours(self) -> Decimal:
        return exactly(self.book.hours_per_month.likely)

    @property
    def _reserved(self) -> float:
        return self.book.sizing.reserved_memory_share.value.likely

    def _workers(self, way: RunBy) -> CostLine:
        needs = self.needs
        if way == "managed" and self.machine is None and self._container_cpus() is not None:
            return self._containers()
        machines: Mapping[str, Machine] = self.book.machines
        if self.machine is not None:
            machines = {self.machine: self.book.machine(self.machine)}
        fleet = for_workers(
            needs.workers,
            needs.worker_cpus,
            needs.worker_memory_bytes,
            machines,
            reserved_share=self._reserved,
        )
        return total("workers", self._own_machines(fleet), note=_spare(fleet))

    def _container_cpus(self) -> float | None:
        """Return the size of container that takes a worker; None: none does."""
        needs = self.needs
        for cpus in _CONTAINER_CPUS:
            room = cpus * _MOST_MEMORY_PER_CPU
            if cpus >= needs.worker_cpus and room >= needs.worker_memory_bytes:
                return cpus
        return None

    def _containers(self) -> CostLine:
        cpus, needs, rates = self._container_cpus() or 0.0, self.needs, self.book.rates
        # Fargate counts memory in whole GiB, and calls them GB
        least = max(needs.worker_memory_bytes, cpus * _MEMORY_PER_CPU)
        memory = math.ceil(least / 1024**3)
        hours = needs.workers * self._hours
        lines = (
            _metered("cpus", rates.container_cpu, exactly(cpus) * hours),
            _metered("memory", rates.container_memory, memory * hours),
        )
        note = (
            f"{needs.workers} containers of {cpus:g} cpus and {memory} GiB, each replaced if lost"
        )
        return total("workers", lines, note=note)

    def _queue(self, way: RunBy) -> CostLine:
        needs, sizing = self.needs, self.book.sizing
        if way == "managed":
            millions = exactly(needs.queue_operations_per_month) / 10**6
            return total("queue", [_metered("requests", self.book.rates.queue_requests, millions)])
        each = sizing.queue_operations_per_s_per_cpu.value.likely
        cpus = needs.queue_operations_per_s / each
        fleet = for_service(0.0, cpus, self.book.machines, reserved_share=self._reserved)
        return total("queue", self._own_machines(fleet), note=_TWICE)

    def _cache(self, way: RunBy) -> CostLine:
        needs = self.needs
        each = self.book.sizing.cache_operations_per_s_per_cpu.value.likely
        cpus = needs.cache_operations_per_s / each
        held = needs.hot_bytes if needs.hot_bytes is not None else 0.0
        note = _TWICE if needs.hot_bytes is not None else f"{_TWICE}; hot state not known"
        if way == "managed":
            return total(
                "cache", [self._nodes(for_service(held, cpus, self.book.cache_nodes))], note=note
            )
        fleet = for_service(held, cpus, self.book.machines, reserved_share=self._reserved)
        return total("cache", self._own_machines(fleet), note=note)

    def _database(self, way: RunBy) -> CostLine:
        needs, sizing, rates = self.needs, self.book.sizing, self.book.rates
        cpus = (
            needs.database_operations_per_s / sizing.database_operations_per_s_per_cpu.value.likely
        )
        kept = (needs.cold_bytes_per_month or 0.0) * needs.retention_months
        least = exactly(sizing.database_disk_least.value.likely)
        gb = max(least, Decimal(math.ceil(exactly(kept) / _GB)))
        note = (
            _TWICE if needs.cold_bytes_per_month is not None else f"{_TWICE}; cold state not known"
        )
        if way == "managed":
            nodes = self._nodes(for_one(cpus, self.book.database_nodes, service="database"))
            return total(
                "database", [nodes, _metered("disks", rates.database_disk, 2 * gb)], note=note
            )
        fleet = for_one(cpus, self.book.machines, service="database")
        lines = (
            *self._own_machines(fleet),
            _metered("data disks", rates.disk, 2 * gb),
            _metered("backup", rates.object_storage, gb),
        )
        return total("database", lines, note=note)

    def _network(self, way: RunBy) -> CostLine:
        needs, rates = self.needs, self.book.rates
        gb = exactly(needs.egress_bytes_per_month) / _GB
        lines = [
            _metered("egress", rates.egress, gb),
            _metered("NAT gateway", rates.nat_hour, self._hours),
            _metered("NAT data", rates.nat_data, gb),
        ]
        if way == "managed":
            new = exactly(needs.requests_per_month) / (_CONNECTIONS_PER_UNIT * 3600)
            lines.append(_metered("load balancer", rates.balancer_hour, self._hours))
            lines.append(_metered("load balancer units", rates.balancer_unit, max(new, gb)))
        else:
            lines += self._own_machines(for_service(0.0, 0.0, self.book.machines))
        return total("network", lines)

    def _monitoring(self, way: RunBy) -> tuple[CostLine, ...]:
        """Return nothing where nobody knows how much is logged: a guess would look like a bill."""
        rates, logged = self.book.rates, self.needs.log_bytes_per_month
        if logged is None:
            return ()
        gb = exactly(logged) / _GB
        if way == "managed":
            return (total("monitoring", [_metered("logs", rates.logs, gb)]),)
        fleet = for_service(0.0, 0.0, self.book.machines, copies=1)
        lines = (*self._own_machines(fleet), _metered("log disks", rates.disk, gb))
        return (total("monitoring", lines),)

    def _own_machines(self, fleet: Fleet) -> tuple[CostLine, CostLine]:
        gb = fleet.count * exactly(self.book.sizing.machine_disk.value.likely)
        return self._nodes(fleet), _metered("disks", self.book.rates.disk, gb)

    def _nodes(self, fleet: Fleet) -> CostLine:
        monthly = fleet.usd_per_hour * self._hours
        count = Decimal(fleet.count)
        return priced(fleet.machine, count, "machine-months", monthly, source=fleet.source)


_TWICE = "every node twice, so that one may fail"


def _spare(fleet: Fleet) -> str | None:
    return "one machine more than the workers need, so that one may fail" if fleet.spare else None


def _metered(name: str, rate: MeteredRate, units: Decimal) -> CostLine:
    """Return a leaf; its price per unit is left out where tiers make it several."""
    return CostLine(
        name=name,
        usd=rounded(rate.cost(units)),
        quantity=units,
        unit=rate.unit,
        unit_price_usd=rate.tiers[0].usd if len(rate.tiers) == 1 else None,
        note=rate.note,
        source=f"{rate.source} ({rate.date})",
    )
