"""The plan's arithmetic of two agents under one demand: as it was planned, and as it is now."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from profiler.planner.agent import agent_of
from profiler.planner.arithmetic import pace_per_minute
from profiler.planner.baseline import behaviour_of
from profiler.planner.bill import bill_of
from profiler.planner.build import setting_of
from profiler.planner.evaluate import Point, Setting, evaluate
from profiler.planner.inputs import Numbers, likely, numbers_of, ranges_of
from profiler.planner.mean_price import usd_of_means
from profiler.planner.review import AnswersAt
from profiler.planner.scale import value_per_user
from profiler.planner.workers import by_allen_cunneen, cv2

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from profiler.planner.api_cost import ApiCost
    from profiler.planner.baseline import Baseline
    from profiler.planner.behaviour import Behaviour
    from profiler.planner.demand import Demand
    from profiler.planner.evaluate import Evaluation
    from profiler.planner.measured import Measured
    from profiler.planner.plan import Plan
    from profiler.planner.price_book import PriceBook

_MOST_USERS = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """An agent and its traffic. `usd_per_interaction` is the models' bill; `cs2` as in `Point`.

    `numbers` take the place of those of the demand, by path.
    """

    behaviour: Behaviour
    cs2: float
    usd_per_interaction: float
    call_latency_s: Mapping[str, float]
    reply_tokens: float
    database_share: float
    providers: Mapping[str, str | None]
    numbers: Mapping[str, float] = field(default_factory=dict)


def planned_side(baseline: Baseline) -> Side:
    """Return the agent that the plan was made for, at its prices."""
    latency = {name: model.latency_s for name, model in baseline.models.items()}
    return Side(
        behaviour=behaviour_of(baseline),
        cs2=baseline.service_cv2,
        usd_per_interaction=float(baseline.usd_per_interaction),
        call_latency_s={name: value for name, value in latency.items() if value is not None},
        reply_tokens=baseline.reply_tokens,
        database_share=baseline.database_share,
        providers={name: model.provider for name, model in baseline.models.items()},
    )


def side_of(measured: Measured, demand: Demand, book: PriceBook, at: date) -> Side:
    """Return the agent of a profile, at the prices of a day. Raises PlanError as a plan does."""
    bill = bill_of(demand, measured.calls, at)
    agent = agent_of(measured, bill.exact.per_interaction_usd)
    setting = setting_of(demand, measured, bill, agent, book)
    return Side(
        behaviour=agent.behaviour,
        cs2=cv2(agent.service_times_s),
        usd_per_interaction=float(bill.usd_per_interaction),
        call_latency_s=setting.call_latency_s,
        reply_tokens=setting.reply_tokens,
        database_share=setting.database_share,
        providers=setting.providers,
    )


@dataclass(frozen=True)
class Recomputing:
    """Answers for sides of one plan.

    Workers are those of the plan, moved as their closed form (Allen-Cunneen) moves: the planned
    side gives the plan's own numbers.
    """

    plan: Plan
    baseline: Baseline
    demand: Demand
    book: PriceBook
    at: date

    @cached_property
    def planned(self) -> Side:
        """The plan's side."""
        return planned_side(self.baseline)

    @cached_property
    def _means(self) -> ApiCost:
        return usd_of_means(self.planned.behaviour.models, self.demand, self.at)

    def usd_moved(self, behaviour: Behaviour) -> float:
        """Return the bill of an interaction of the planned agent, moved to other means."""
        now = usd_of_means(behaviour.models, self.demand, self.at).usd_per_interaction
        return self.planned.usd_per_interaction * float(now / self._means.usd_per_interaction)

    def usd_today(self) -> float:
        """Return the bill of an interaction of the planned agent at the prices of today."""
        before = float(self.baseline.usd_of_means)
        now = float(self._means.usd_per_interaction)
        return self.planned.usd_per_interaction * (now / before if before else 1.0)

    def answers(self, side: Side, factor: float, *, workers: int | None = None) -> AnswersAt:
        """Return the answers at one of the plan's growth factors; `workers` None: moved."""
        planned = next(scale for scale in self.plan.scales if scale.factor == factor)
        numbers, planned_numbers = self._numbers(side), self._numbers(self.planned)
        users = numbers["users.peak_concurrent"] * factor
        planned_users = planned_numbers["users.peak_concurrent"] * factor
        in_plan = self._needed(self.planned, planned_numbers, planned_users)
        if workers is None:
            needed = self._needed(side, numbers, users)
            workers = math.ceil(planned.workers.count * needed / in_plan)
        found = self._evaluation(side, numbers, factor, workers)
        return self._answers(
            found, side, numbers, carried=self._carried(side, numbers, in_plan, planned_users)
        )

    def _numbers(self, side: Side) -> Numbers:
        given = numbers_of(ranges_of(self.demand), likely).by_path
        burstiness = {"traffic.burstiness": self.baseline.burstiness}
        return Numbers({**given, **burstiness, **side.numbers})

    def _evaluation(self, side: Side, numbers: Numbers, factor: float, workers: int) -> Evaluation:
        setting = Setting(
            demand=self.demand,
            book=self.book,
            api=self._means,
            providers=side.providers,
            call_latency_s=side.call_latency_s,
            reply_tokens=side.reply_tokens,
            database_share=side.database_share,
        )
        return evaluate(setting, self._point(side, numbers), factor, workers)

    def _point(self, side: Side, numbers: Numbers) -> Point:
        return Point(
            numbers=numbers,
            choose=likely,
            behaviour=side.behaviour,
            cs2=side.cs2,
            bill=side.usd_per_interaction / float(self._means.usd_per_interaction),
        )

    def _needed(self, side: Side, numbers: Numbers, users: float) -> int:
        """Return the workers that so many users need, in closed form."""
        latency_s = side.behaviour.latency_s
        return by_allen_cunneen(
            users * pace_per_minute(numbers, latency_s) / 60.0,
            latency_s,
            numbers["service_level.worker_wait_p95"],
            self.demand.workers.slots,
            ca2=numbers["traffic.burstiness"],
            cs2=side.cs2,
        )

    def _carried(self, side: Side, numbers: Numbers, workers: int, about: float) -> int:
        """Return the most users that so many workers carry, by halving."""
        low, high = 0, max(1, round(about))
        while high < _MOST_USERS and self._needed(side, numbers, high) <= workers:
            low, high = high, 2 * high
        while high - low > 1:
            middle = (low + high) // 2
            if self._needed(side, numbers, middle) <= workers:
                low = middle
            else:
                high = middle
        return low

    def _answers(
        self, found: Evaluation, side: Side, numbers: Numbers, *, carried: int
    ) -> AnswersAt:
        peak, volume, binding = found.peak, found.volume, found.binding
        api, infra, people = (float(child.usd) for child in found.tree.children)
        users, total = volume.active_users, float(found.tree.usd)
        worth = value_per_user(self._point(side, numbers), volume.interactions, users)
        return AnswersAt(
            users=peak.users,
            interactions_per_minute=peak.interactions_per_minute,
            llm_calls_per_minute=peak.llm_calls_per_minute,
            tokens_per_minute=peak.input_tokens_per_minute + peak.output_tokens_per_minute,
            interactions_per_month=volume.interactions,
            binding=None if binding is None else f"{binding.model} {binding.limit}",
            utilization=None if binding is None else binding.utilization,
            max_users=None if binding is None else binding.max_users,
            workers=found.workers,
            users_on_planned_workers=carried,
            cost_api=api,
            cost_infrastructure=infra,
            cost_operations=people,
            cost_total=total,
            cost_per_interaction=total / volume.interactions,
            margin=None if worth is None or users is None else worth * users - total,
        )
