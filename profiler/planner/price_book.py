"""What machines and services cost: a dated price book, each figure with its source.

One ships; a file of one's own takes its place whole. docs/planning.md lists every key.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from profiler.errors import PlanError
from profiler.planner.demand_file import GUIDE
from profiler.planner.ranges import Amount, Bytes, Positive, PositiveShare, Range, certain, usd
from profiler.workload.document import read_document
from profiler.workload.mistakes import first_mistake
from profiler.workload.near import did_you_mean
from profiler.workload.strict import Strict, Text, problem

SHIPPED = Path(__file__).resolve().parent / "data" / "aws-us-east-1.yaml"

Component = Literal["workers", "queue", "cache", "database", "network", "monitoring", "providers"]
COMPONENTS: tuple[Component, ...] = (
    "workers",
    "queue",
    "cache",
    "database",
    "network",
    "monitoring",
    "providers",
)
"""What has to be run, in the order in which a plan names it. `providers`: those of the models."""


def _day(value: Any) -> Any:
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        raise problem(f"{value!r} is not a day", "Write it like 2026-11-22") from None


Dollars = Annotated[Decimal, BeforeValidator(usd)]
Day = Annotated[date, BeforeValidator(_day)]


class Sourced(Strict):
    """A price, where it was read, and of which day it is."""

    source: Text
    date: Day
    note: Text | None = None


class Machine(Sourced):
    """A machine, or a node of a managed service: US dollars per hour."""

    cpus: Positive
    memory: Bytes
    usd: Dollars
    unit: Literal["hour"]
    usable_share: PositiveShare = certain(1.0)
    """Of the memory: what is not reserved."""


class Tier(Strict):
    """From so many units of a month on, each further one costs so much."""

    model_config = ConfigDict(populate_by_name=True)

    start: Annotated[Decimal, BeforeValidator(usd)] = Field(alias="from")
    usd: Dollars


class MeteredRate(Sourced):
    """A price per unit; tiers are graduated: each unit pays the tier in which it lies."""

    unit: Text
    tiers: tuple[Tier, ...]

    @model_validator(mode="after")
    def _tiers_rise(self) -> Self:
        starts = [tier.start for tier in self.tiers]
        if not starts or starts[0] != 0 or starts != sorted(set(starts)):
            raise problem("the tiers do not rise from 0", "Start with {from: 0, usd: ...}")
        return self

    def cost(self, units: Decimal) -> Decimal:
        """Return what so many units of a month cost, exactly."""
        cost = Decimal(0)
        for i, tier in enumerate(self.tiers):
            end = self.tiers[i + 1].start if i + 1 < len(self.tiers) else units
            cost += max(Decimal(0), min(units, end) - tier.start) * tier.usd
        return cost


class Rates(Strict):
    """What is billed by use."""

    container_cpu: MeteredRate
    container_memory: MeteredRate
    queue_requests: MeteredRate
    disk: MeteredRate
    database_disk: MeteredRate
    object_storage: MeteredRate
    egress: MeteredRate
    nat_hour: MeteredRate
    nat_data: MeteredRate
    balancer_hour: MeteredRate
    balancer_unit: MeteredRate
    logs: MeteredRate


class Assumed(Strict):
    """A figure without a source of its own, or with one: why it is what it is."""

    value: Positive
    source: Text
    reason: Text


class Sizing(Strict):
    """What a cpu carries, and what a machine needs besides."""

    queue_operations_per_s_per_cpu: Assumed
    cache_operations_per_s_per_cpu: Assumed
    database_operations_per_s_per_cpu: Assumed
    machine_disk: Assumed
    """GB."""
    database_disk_least: Assumed
    """GB."""
    reserved_memory_share: Assumed


class HoursBySkill(Strict):
    """Hours of a person per month."""

    none: Amount
    familiar: Amount
    expert: Amount


class ComponentHours(Strict):
    """Hours that a component takes, managed and self-run."""

    reason: Text
    managed: HoursBySkill
    self: HoursBySkill

    def hours(self, run_by: Literal["managed", "self"], skill: str) -> Range:
        """Return the hours per month at a skill: none, familiar or expert."""
        found: Range = getattr(getattr(self, run_by), skill)
        return found


class PriceBook(Strict):
    """A price book."""

    name: Text
    region: Text
    currency: Literal["USD"]
    date: Day
    hours_per_month: Positive
    machines: dict[str, Machine]
    cache_nodes: dict[str, Machine]
    database_nodes: dict[str, Machine]
    rates: Rates
    sizing: Sizing
    operations: dict[Component, ComponentHours]

    @model_validator(mode="before")
    @classmethod
    def _dollars(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("currency", "USD") != "USD":
            what = f"{data['currency']} is not the currency of the prices of models, US dollars"
            raise problem(what, "Write amounts in USD", below=("currency",))
        return data

    @model_validator(mode="after")
    def _complete(self) -> Self:
        for name in ("machines", "cache_nodes", "database_nodes"):
            if not getattr(self, name):
                raise problem(f"there are no {name}", "Add one", below=(name,))
        for component in COMPONENTS:
            if component not in self.operations:
                what = f"nothing says how many hours '{component}' takes"
                raise problem(what, f"Add operations.{component}", below=("operations",))
        return self

    def machine(self, name: str) -> Machine:
        """Return a machine by name. Raises PlanError that names the nearest."""
        if name not in self.machines:
            what = f"the price book '{self.name}' has no machine '{name}'"
            fix = did_you_mean(name, self.machines)
            raise PlanError(what, where="infrastructure.machine", fix=fix)
        return self.machines[name]


def load_price_book(path: Path | None = None) -> PriceBook:
    """Read a price book; without a path, the one that ships. Raises PlanError."""
    document = read_document(path or SHIPPED, what="price book", error=PlanError)
    if not isinstance(document.data, dict):
        fix = f"Start from the one that ships: {SHIPPED.name}"
        raise PlanError("a price book is a mapping of keys", where=f"{document.path}:1", fix=fix)
    try:
        return PriceBook.model_validate(document.data)
    except ValidationError as exc:
        mistake = first_mistake(document, exc, guide=GUIDE)
        raise PlanError(mistake.with_key, where=mistake.where, fix=mistake.fix) from exc
