"""One scale at one choice of numbers: load, limits, workers, state and the bill of a month.

This is the plan's arithmetic without its simulations. It is asked hundreds of times, for draws,
sensitivities and changes, so it takes workers from a closed form unless they are given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from profiler.planner.arithmetic import PeakLoad, Volume, monthly_volume, peak_load
from profiler.planner.cost_tree import CostLine, total
from profiler.planner.economics import api_tree
from profiler.planner.fallbacks import with_fallbacks
from profiler.planner.infrastructure import Infrastructure, Needs, infrastructure
from profiler.planner.limit_fit import LimitFit, binding, fits
from profiler.planner.operations import operations
from profiler.planner.prices import exactly
from profiler.planner.state_load import StateLoad, state_load
from profiler.planner.workers import by_allen_cunneen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from profiler.planner.api_cost import ApiCost
    from profiler.planner.behaviour import Behaviour
    from profiler.planner.demand import Demand
    from profiler.planner.inputs import Numbers
    from profiler.planner.price_book import PriceBook
    from profiler.planner.ranges import Range

BYTES_PER_TOKEN = 4.0
"""Of English text (OpenAI's rule of thumb: help.openai.com, What are tokens and how to count them):
what a token weighs on the way to a provider and back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What stays the same in all evaluations of a plan."""

    demand: Demand
    book: PriceBook
    api: ApiCost
    providers: Mapping[str, str | None]
    call_latency_s: Mapping[str, float]
    reply_tokens: float
    database_share: float
    """Share of the state operations that go to a database, not to a cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One choice of all numbers, and the agent at it.

    `cs2` is the squared coefficient of variation of the time that an interaction takes; `bill` the
    factor on the API's cost of an interaction.
    """

    numbers: Numbers
    choose: Callable[[str, Range], float]
    behaviour: Behaviour
    cs2: float
    bill: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The answers at one scale."""

    peak: PeakLoad
    volume: Volume
    fits: tuple[LimitFit, ...]
    workers: int
    state: StateLoad
    infrastructure: Infrastructure
    tree: CostLine

    @property
    def binding(self) -> LimitFit | None:
        """The limit that is reached first; None where there is none."""
        return binding(self.fits)


def load_of(
    setting: Setting, point: Point, factor: float
) -> tuple[PeakLoad, Volume, tuple[LimitFit, ...]]:
    """Return the peak, the month and every limit of one scale."""
    demand, numbers = setting.demand, point.numbers
    peak = peak_load(demand, numbers, point.behaviour, factor)
    volume = monthly_volume(numbers, point.behaviour, peak, factor)
    providers, latency_s = setting.providers, setting.call_latency_s
    peak = with_fallbacks(demand, numbers, peak, providers=providers, latency_s=latency_s)
    found = fits(demand, numbers, peak, providers=providers, latency_s=latency_s)
    return peak, volume, tuple(found)


def evaluate(
    setting: Setting, point: Point, factor: float, workers: int | None = None
) -> Evaluation:
    """Return the answers at `factor` times the demand; `workers` None: by Allen-Cunneen.

    Infrastructure is priced both ways only where the workers are given.
    """
    both_ways = workers is not None
    numbers = point.numbers
    peak, volume, found = load_of(setting, point, factor)
    if workers is None:
        workers = by_allen_cunneen(
            peak.interactions_per_minute / 60.0,
            point.behaviour.latency_s,
            numbers["service_level.worker_wait_p95"],
            setting.demand.workers.slots,
            ca2=numbers["traffic.burstiness"],
            cs2=point.cs2,
        )
    state = state_load(numbers, point.behaviour, peak, volume)
    infra = _infrastructure(setting, point, workers, state, volume, both_ways=both_ways)
    tree = _tree(setting, point, infra, volume)
    return Evaluation(
        peak=peak,
        volume=volume,
        fits=found,
        workers=workers,
        state=state,
        infrastructure=infra,
        tree=tree,
    )


def _infrastructure(
    setting: Setting,
    point: Point,
    workers: int,
    state: StateLoad,
    volume: Volume,
    *,
    both_ways: bool,
) -> Infrastructure:
    numbers, behaviour = point.numbers, point.behaviour
    operations_per_s = (state.reads_per_s or 0.0) + (state.writes_per_s or 0.0)
    sent = sum(
        use.calls_per_interaction * use.attempts_per_call * use.input_tokens
        for use in behaviour.models.values()
    )
    per_interaction = numbers["workers.queue_operations_per_interaction"]
    needs = Needs(
        workers=workers,
        worker_cpus=numbers["workers.cpus"],
        worker_memory_bytes=numbers["workers.memory"],
        queue_operations_per_month=volume.interactions * per_interaction,
        queue_operations_per_s=state.queue_operations_per_s,
        cache_operations_per_s=operations_per_s * (1 - setting.database_share),
        database_operations_per_s=operations_per_s * setting.database_share,
        hot_bytes=state.hot_memory_bytes,
        cold_bytes_per_month=state.cold_growth_bytes_per_month,
        retention_months=numbers["workers.retention_months"],
        egress_bytes_per_month=volume.interactions
        * (sent + setting.reply_tokens)
        * BYTES_PER_TOKEN,
        requests_per_month=volume.interactions,
    )
    asked = setting.demand.infrastructure
    further = {
        name: exactly(numbers[f"infrastructure.monthly_usd.{name}"]) for name in asked.monthly_usd
    }
    return infrastructure(
        needs,
        setting.book,
        run_by=asked.run_by,
        machine=asked.machine,
        monthly_usd=further,
        both_ways=both_ways,
    )


def _tree(setting: Setting, point: Point, infra: Infrastructure, volume: Volume) -> CostLine:
    pick = point.choose

    def draw(value: Range) -> float:
        rate = setting.demand.operations.rate_per_hour
        hours = setting.demand.operations.hours_per_month
        if value is rate:
            return pick("operations.rate_per_hour", value)
        if value is hours:
            return pick("operations.hours_per_month", value)
        return pick(f"price book: {id(value)}", value)

    people = operations(
        setting.demand.operations, setting.book, setting.demand.infrastructure.run_by, draw=draw
    )
    # The bill is linear in its volume: as many interactions more cost what dearer ones do.
    api = api_tree(setting.api, volume.interactions * point.bill)
    return total("total", (api, infra.tree, people))
