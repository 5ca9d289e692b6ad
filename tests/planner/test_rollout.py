"""When stages are reached, what they carry and cost: against formulas of queues and limits."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import poisson

from profiler.planner import retrying, stage_load, workers
from profiler.planner.build import build_plan
from profiler.planner.demand import Demand
from profiler.planner.demand_file import DemandFile
from profiler.planner.measured import measure
from profiler.planner.plan import Plan
from profiler.profile.model import load_profile

PROFILE = load_profile(Path(__file__).parents[2] / "results" / "sample")
CALLS = PROFILE.interaction["llm_calls"].mean
FAST = {"slots": 8}
REQUESTS = {"gpt-4o": {"limits": {"requests_per_minute": 10_000, "window": "1s"}}}


def plan(*, users: float = 500, draws: int = 0, **keys: Any) -> Plan:
    data = {
        "users": {"peak_concurrent": users, "interactions_per_minute": 2},
        "traffic": {"peak_to_average": 4},
        "growth": [1, 10],
        "workers": FAST,
        **keys,
    }
    asked = DemandFile(path=Path("demand.yaml"), data=data, demand=Demand.model_validate(data))
    return build_plan(PROFILE, asked, at=date(2026, 11, 22), draws=draws)


def rollout(**keys: Any) -> Any:
    return plan(**keys).rollout


@pytest.fixture(scope="module", autouse=True)
def short() -> Iterator[None]:
    """Shorten simulations: what is tested here is what is made of them."""
    with pytest.MonkeyPatch.context() as patch:
        for module, name in ((stage_load, "_INTERACTIONS"), (workers, "_SIMULATED")):
            patch.setattr(module, name, 25_000)
        for name in ("LEAST_CALLS", "MOST_CALLS"):
            patch.setattr(retrying, name, 4000)
        yield


@pytest.fixture(scope="module")
def grown(short: None) -> Plan:
    """The defaults, with limits and ten per cent growth a month."""
    growth = {"low": "5%", "likely": "10%", "high": "20%"}
    start = {"start": "2026-12-01", "growth_per_month": growth}
    return plan(models=REQUESTS, rollout=start, draws=40)


@pytest.fixture(scope="module")
def plain(short: None) -> Any:
    """Nothing but the defaults: no limit, no growth."""
    return rollout()


def service_times() -> np.ndarray[Any, np.dtype[np.float64]]:
    rows = measure(PROFILE).interactions
    return rows.latency_s[rows.ok]


def test_the_queue_s_trigger_fires_where_pollaczek_and_khinchine_say():
    """One worker with one slot is M/G/1: Lq = u^2 (1 + c^2) / (2 (1 - u)) = 5 waiting."""
    times = service_times()
    variability = 1 + times.var() / times.mean() ** 2
    used = brentq(lambda u: u**2 * variability / (2 * (1 - u)) - 5, 0.1, 0.99)
    expected = used / times.mean() * 60 / 2  # users with two interactions a minute
    one = {"name": "one", "workers": {"least": 1, "most": 1}}
    two = {"name": "two", "trigger": {"metric": "queue_depth_per_worker", "above": 5}}
    found = rollout(
        users=4,
        growth=[1, 20],
        workers={"slots": 1},
        service_level={"worker_wait_p95": "1000s"},
        rollout={"stages": [one, two]},
    )
    assert found.stages[1].forecast.users == pytest.approx(expected, rel=0.03)
    assert found.stages[1].trigger.threshold == 5


def test_the_limits_trigger_fires_where_erlang_s_loss_is_two_per_cent():
    """50 requests in flight at most: P(all taken) = pmf(50) / cdf(50) of Poisson, by scipy."""
    in_flight = brentq(lambda a: poisson.pmf(50, a) / poisson.cdf(50, a) - 0.02, 1, 100)
    expected = in_flight / (2 / 60 * CALLS * PROFILE.models["gpt-4o"]["latency"].mean)
    found = rollout(models={"gpt-4o": {"limits": {"concurrent_requests": 50}}})
    forecast = found.stages[2].forecast
    assert forecast.users == pytest.approx(expected, rel=0.002)
    assert forecast.users_by_enforcement == {}


def test_limits_bind_within_the_headroom_as_in_the_plan(grown: Plan):
    """80 % of 10,000 requests at 2 x 1.747 for each user."""
    assert grown.rollout is not None
    second = grown.rollout.stages[1].capacity
    assert second is not None
    assert second.users == int(8000 / (2 * CALLS))
    binding = grown.scales[0].binding
    assert binding is not None
    assert second.users == binding.max_users_within_headroom
    assert second.binds == "gpt-4o requests_per_minute"
    assert second.interactions_per_minute == 2 * second.users


def test_routing_carries_what_both_models_admit():
    """80 % of 10,000 + 5,000 requests; the second model is what is full at the end."""
    models = {
        "gpt-4o": {**REQUESTS["gpt-4o"], "fallback": "gpt-4o-mini"},
        "gpt-4o-mini": {"limits": {"requests_per_minute": 5000, "window": "1s"}},
    }
    third = rollout(models=models).stages[2]
    assert third.capacity.users == int(12_000 / (2 * CALLS))
    assert third.capacity.binds == "gpt-4o-mini requests_per_minute"


def test_without_a_second_model_nobody_knows_what_routing_carries(grown: Plan):
    assert grown.rollout is not None
    third = grown.rollout.stages[2]
    assert third.capacity is None
    assert any("its capacity is not known" in note for note in third.notes)


def test_one_number_is_the_stage_s_and_the_watched_one(grown: Plan):
    assert grown.rollout is not None
    of_stages = [stage.trigger for stage in grown.rollout.stages if stage.trigger is not None]
    assert [each.threshold for each in of_stages] == [25, 0.02]
    assert [each for each in grown.triggers if each.stage is not None] == of_stages
    assert not any(each.id == "queue_depth_per_worker" for each in grown.triggers)


def test_dates_follow_the_growth(grown: Plan):
    """users = 500 x 1.1^months, and a month has 30.436875 days."""
    assert grown.rollout is not None
    for stage in grown.rollout.stages[1:]:
        forecast = stage.forecast
        assert forecast is not None
        assert forecast.likely is not None
        months = (date.fromisoformat(forecast.likely) - date(2026, 12, 1)).days / 30.436875
        assert 500 * 1.1**months == pytest.approx(forecast.users, rel=0.002)
        assert forecast.early is not None
        assert forecast.late is not None
        assert forecast.early < forecast.likely < forecast.late


def test_a_stage_is_begun_its_lead_time_before_the_one_before_is_full(grown: Plan):
    assert grown.rollout is not None
    first, second = grown.rollout.stages[:2]
    assert first.capacity is not None
    assert second.forecast is not None
    full = date.fromisoformat(str(first.capacity.reached_on))
    assert date.fromisoformat(str(second.forecast.start_by)) == full - timedelta(days=28)
    assert first.capacity.users < second.forecast.users  # so the alert would come too late
    assert any("begin by the date" in note for note in second.notes)


def test_the_first_stage_costs_one_server_and_one_redis(grown: Plan):
    """API and operations are the plan's; each bill is the sum of its parts."""
    assert grown.rollout is not None
    launch, first = grown.scales[0], grown.rollout.stages[0]
    cost = first.cost_at_begin
    assert first.starts_here
    assert first.workers == (launch.workers.count, 5)
    assert (cost.api, cost.operations) == (launch.cost.api, launch.cost.operations)
    assert {"one Redis", "database", "network"} < set(cost.lines)
    assert not {"workers", "queue", "cache"} & set(cost.lines)
    assert cost.infrastructure == pytest.approx(sum(cost.lines.values()))
    assert cost.total == pytest.approx(cost.api + cost.infrastructure + cost.operations)


def test_a_stage_as_the_plan_has_it_costs_what_the_plan_does():
    """With all of the demand in it, its end is the plan's last scale."""
    only = {"name": "scaled", "monthly_usd": {"tracing": 200}}
    found = plan(rollout={"stages": [only]})
    assert found.rollout is not None
    end, last = found.rollout.stages[0].cost_at_end, found.scales[-1]
    assert (end.users, end.workers) == (last.demand.users, last.workers.count)
    assert end.total == pytest.approx(last.cost.total + 200)


def test_a_launch_too_large_for_a_stage_starts_in_the_next():
    """2,000 users keep 57 of 40 slots busy: five workers have no chance."""
    assert 2000 * 2 / 60 * service_times().mean() > 40
    found = plan(users=2000)
    assert found.rollout is not None
    assert [stage.number for stage in found.rollout.stages if stage.starts_here] == [2]
    first = found.rollout.left_out[0]
    assert (first.number, first.trigger) == (1, None)
    assert "the launch is beyond it" in first.reason
    assert any(each.id == "queue_depth_per_worker" for each in found.triggers)


def test_the_workers_that_a_launch_needs_decide_before_its_queue_is_deep():
    """Five workers make users wait longer than promised: a deep queue is not waited for."""
    found = rollout(users=1300, service_level={"worker_wait_p95": "10ms"})
    assert found.stages[0].number == 2
    assert "and it has 5 at most" in found.left_out[0].reason


def test_what_the_demand_does_not_reach_is_left_out_and_watched_all_the_same():
    found = plan(growth=[1, 2], models=REQUESTS)
    assert found.rollout is not None
    assert [stage.number for stage in found.rollout.stages] == [1]
    for stage, threshold in zip(found.rollout.left_out, ("25", "0.02"), strict=True):
        assert "at 2x, 1,000 users" in stage.reason
        assert f"threshold of {threshold}" in stage.reason
        assert stage.trigger in found.triggers


def test_without_limits_nobody_can_tell_when_they_are_hit(plain: Any):
    third = plain.left_out[-1]
    assert third.reason == "the demand names no limit of a model: write limits under models"


@pytest.mark.parametrize("is_zero", [False, True])
def test_without_growth_no_date_is_forecast_and_the_plan_says_so(plain: Any, is_zero: bool):
    found = rollout(rollout={"growth_per_month": 0}) if is_zero else plain
    said = "is zero; write the growth" if is_zero else "write rollout.growth_per_month"
    forecast = found.stages[1].forecast
    assert (forecast.likely, forecast.early, forecast.late, forecast.start_by) == (None,) * 4
    assert said in forecast.note
    assert said in found.notes[0]
    assert forecast.users > 500


def test_where_enforcement_is_not_known_both_ways_are_told():
    """A short window is hit earlier than a long one, and a bucket not before it is the mean."""
    limits = {"requests_per_minute": 10_000}
    forecast = rollout(models={"gpt-4o": {"limits": limits}}).stages[2].forecast
    short, long, bucket = forecast.users_by_enforcement.values()
    assert forecast.users == short < long
    assert bucket == pytest.approx(10_000 / 0.98 / (2 * CALLS), rel=0.002)


def test_a_bucket_rejects_what_it_is_not_refilled_with():
    """2 % are too much where 98 % of the demand are the limit."""
    limits = {"requests_per_minute": 10_000, "window": "60s", "enforced": "bucket"}
    forecast = rollout(models={"gpt-4o": {"limits": limits}}).stages[2].forecast
    assert forecast.users == pytest.approx(10_000 / 0.98 / (2 * CALLS), rel=0.002)
    assert forecast.users_by_enforcement == {}


def test_the_rollout_s_ranges_move_no_answer_of_the_plan():
    """Growth is about dates: with and without a range of it, the draws are the same."""
    growth = {"growth_per_month": {"low": 0, "likely": 0.1, "high": 0.5}}
    wide = {"low": 400, "likely": 500, "high": 800}
    users = {"peak_concurrent": wide, "interactions_per_minute": 2}
    one, other = (
        build_plan(
            PROFILE,
            DemandFile(path=Path("d.yaml"), data=data, demand=Demand.model_validate(data)),
            at=date(2026, 11, 22),
            draws=25,
        )
        for data in (
            {"users": users, "traffic": {"peak_to_average": 4}, "growth": [1], "rollout": keys}
            for keys in ({}, growth)
        )
    )
    assert one.scales == other.scales
    assert one.sensitivities == other.sensitivities
