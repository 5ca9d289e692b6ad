"""A review names what drifted, what only follows, and what that does in users and dollars."""

from __future__ import annotations

import math
from typing import Any

import pytest

from profiler.errors import PlanError
from profiler.planner.actual import Actual
from profiler.planner.demand import Demand
from profiler.planner.measured import measure
from profiler.planner.nearness import Watched
from profiler.planner.plan import Plan, dump_plan, load_plan
from profiler.planner.price_book import load_price_book
from profiler.planner.review import Effect, InputReview, Review
from profiler.planner.reviewing import Measurement, is_same_workload, of_profile, review_plan
from profiler.planner.sides import side_of
from profiler.profile.model import WorkloadProfile
from tests.planner.review_profiles import AT, DEMAND, TOKENS_PER_MINUTE, Agent, planned, profile

BOOK = load_price_book()
GROWN = Agent(seed=2, tool=2.0, history=1.38)


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return planned(tmp_path_factory.mktemp("plan"))


def reviewed(plan: Plan, actual: WorkloadProfile, **tolerances: float) -> Review:
    demand = Demand.model_validate(plan.inputs.demand)
    found, missing = of_profile(actual, plan)
    measurement = Measurement(
        source="profile",
        actual=found,
        missing=missing,
        same_sessions=is_same_workload(plan, actual),
        side=side_of(measure(actual), demand, BOOK, AT),
    )
    return review_plan(plan, demand, BOOK, measurement, at=AT, tolerances=tolerances)


def production(plan: Plan, actual: dict[str, Actual], **more: Any) -> Review:
    demand = Demand.model_validate(plan.inputs.demand)
    given = Measurement(source="prometheus", actual=actual, missing={}, **more)
    return review_plan(plan, demand, BOOK, given, at=AT)


def at_launch(review: Review, name: str) -> Effect:
    return next(item for item in review.inputs if item.name == name).effects[0]


def item(review: Review, name: str) -> InputReview:
    return next(item for item in review.inputs if item.name == name)


def waits_too_long(users: int, servers: int, mean_s: float, cs2: float) -> bool:
    """P(wait > 1 s) > 5 % by Erlang C with its decay divided by (1 + cs2) / 2, from its sum."""
    rate = users * 2 / 60
    load = rate * mean_s
    if load >= servers:
        return True
    terms = [load**n / math.factorial(n) for n in range(servers)]
    last = load**servers / math.factorial(servers) * servers / (servers - load)
    waits = last / (sum(terms) + last)
    return waits * math.exp(-(servers / mean_s - rate) * 2 / (1 + cs2)) > 0.05


def test_doubled_tools_and_longer_histories_are_named_and_nothing_else(plan, tmp_path):
    review = reviewed(plan, profile(tmp_path, GROWN))
    assert [found.name for found in review.drifted] == [
        "interaction.tool_time",
        "interaction.history_tokens",
    ]
    assert not [found.name for found in review.inputs if found.status == "unclear"]


def test_workers_that_no_longer_carry_the_planned_users_are_to_be_acted_on(plan, tmp_path):
    review = reviewed(plan, profile(tmp_path, GROWN))
    carried = review.scales[0].actual.users_on_planned_workers
    assert carried < 500
    assert review.verdict == "act_now"
    assert review.reasons[0].endswith(f"workers carry {carried} users, not 500")


def test_what_moved_because_of_them_follows_them(plan, tmp_path):
    review = reviewed(plan, profile(tmp_path, GROWN))
    latency, tokens = item(review, "interaction.latency"), item(review, "interaction.input_tokens")
    assert latency.change == pytest.approx(400 / 1020, abs=0.02)
    assert (latency.status, latency.follows) == ("follows", ("interaction.tool_time",))
    assert (tokens.status, tokens.follows) == ("follows", ("interaction.history_tokens",))


def test_the_effect_of_longer_histories_is_what_they_take_of_the_limit_and_of_the_bill(
    plan, tmp_path
):
    """Two calls of 2,000 tokens of history on average, 640 + 30 beside, 50 of output."""
    effect = at_launch(reviewed(plan, profile(tmp_path, GROWN)), "interaction.history_tokens")
    before, after = 2 * (2000 + 670 + 50), 2 * (2760 + 670 + 50)
    users = [math.floor(TOKENS_PER_MINUTE / (2 * each)) for each in (before, after)]
    assert effect.users_by_limit == pytest.approx(users[1] - users[0], abs=1)
    assert effect.users_by_workers == 0
    million = 1e6  # of tokens: 2.50 dollars of input; 100,000 interactions on each of 30 days
    assert effect.cost_usd == pytest.approx(2 * 760 / million * 2.5 * 3e6, rel=0.01)


def test_the_effect_of_slow_tools_is_what_the_same_workers_carry(plan, tmp_path):
    review = reviewed(plan, profile(tmp_path, GROWN))
    effect = at_launch(review, "interaction.tool_time")
    baseline = plan.baseline
    assert baseline is not None
    servers = plan.scales[0].workers.by_allen_cunneen

    def carried(mean_s: float) -> int:
        return max(
            users
            for users in range(1, 2000)
            if not waits_too_long(users, servers, mean_s, baseline.service_cv2)
        )

    moved = item(review, "interaction.tool_time")
    slower = baseline.latency_s + moved.actual - moved.planned
    assert effect.users_by_workers == carried(slower) - carried(baseline.latency_s)
    assert effect.users_by_workers < 0
    assert effect.users_by_limit == 0


def test_the_planned_side_is_the_plan(plan, tmp_path):
    review = reviewed(plan, profile(tmp_path, GROWN))
    for scale, found in zip(plan.scales, review.scales, strict=True):
        assert found.planned.cost_total == pytest.approx(scale.cost.total, rel=1e-9)
        assert found.planned.workers == scale.workers.count
        assert scale.binding is not None
        assert found.planned.max_users == scale.binding.max_users


def test_the_same_agent_with_other_chances_is_kept(plan, tmp_path):
    review = reviewed(plan, profile(tmp_path, Agent(seed=3)))
    assert review.verdict == "keep"
    assert {found.status for found in review.inputs} == {"steady"}


def test_one_call_more_moves_all_that_calls_bring_and_is_one_drift(plan, tmp_path):
    """Three calls and two tools: each of its own count, neither following the other."""
    review = reviewed(plan, profile(tmp_path, Agent(calls=3)))
    assert [found.name for found in review.drifted] == [
        "interaction.llm_calls",
        "interaction.tool_calls",
        "interaction.tool_result_tokens",
    ]
    assert item(review, "interaction.system_tokens").follows == ("interaction.llm_calls",)
    assert item(review, "interaction.tool_time").follows == ("interaction.tool_calls",)


def test_in_another_workload_drift_is_what_the_interval_leaves_out(plan, tmp_path):
    """Every session has the same histories, so that their mean has no error, and 2,000 is out."""
    review = reviewed(plan, profile(tmp_path, GROWN, workload="another"))
    assert not review.same_sessions
    assert item(review, "interaction.history_tokens").status == "drifted"


def test_a_change_that_chance_may_have_made_is_unclear_and_moves_no_verdict(plan):
    before = 0.4
    wide = Actual(mean=2 * before, mean_ci95=(0.3, 1.3))
    review = production(plan, {"interaction.tool_time": wide})
    (found,) = review.inputs
    assert found.status == "unclear"
    assert review.verdict == "keep"
    assert review.reasons[0].startswith("unclear: tool time")


def test_a_tolerance_of_ones_own_lets_an_input_move(plan, tmp_path):
    review = reviewed(plan, profile(tmp_path, GROWN), **{"interaction.tool_time": 1.2})
    assert [found.name for found in review.drifted] == ["interaction.history_tokens"]


def test_an_unknown_input_of_a_tolerance_is_named_with_a_near_one(plan, tmp_path):
    with pytest.raises(PlanError, match=r"Did you mean 'interaction\.tool_time'"):
        reviewed(plan, profile(tmp_path), **{"interaction.tool_tme": 1.0})


def test_what_was_not_measured_is_said_with_its_reason(plan):
    latency = Actual(mean=1.02, mean_ci95=(1.0, 1.04))
    given = {"interaction.latency": latency}
    review = production(plan, given)
    reasons = {each.name: each.reason for each in review.not_compared}
    assert [found.name for found in review.inputs] == ["interaction.latency"]
    assert set(reasons) >= {"traffic.peak", "interaction.tool_time", "session.interactions"}


def test_nothing_to_compare_is_one_line(plan):
    with pytest.raises(PlanError, match="nothing that the plan was made of was measured there"):
        production(plan, {})


def test_a_plan_without_a_baseline_says_to_make_it_again(plan):
    old = plan.model_copy(update={"baseline": None})
    with pytest.raises(PlanError, match=r"kept nothing of its profile.*agent-profiler plan"):
        production(old, {"interaction.latency": Actual(mean=1.0, mean_ci95=None)})


def test_a_limit_that_no_longer_holds_is_to_be_acted_on(plan):
    """19 times the peak: 500 users take 5,440 of each 100,000 tokens that the limit admits."""
    peak = plan.scales[0].demand.interactions_per_minute
    review = production(plan, {"traffic.peak": Actual(mean=19 * peak, mean_ci95=(18e3, 20e3))})
    assert review.verdict == "act_now"
    assert review.scales[0].actual.utilization == pytest.approx(19 * 5440 / 50_000, rel=0.01)
    assert "tokens_per_minute is 207% of the limit, planned 11%" in review.reasons[0]


def test_a_trigger_that_has_fired_is_to_be_acted_on(plan):
    trigger = plan.triggers[0]
    seen = {trigger.id: Watched(points=[(0.0, trigger.threshold * 1.01)])}
    latency = {"interaction.latency": Actual(mean=1.02, mean_ci95=(1.0, 1.04))}
    review = production(plan, latency, watched=seen)
    assert review.verdict == "act_now"
    assert review.triggers[0].state == "fired"
    assert {each.state for each in review.triggers[1:]} == {"unknown"}


def test_a_review_of_a_plan_read_from_its_file_is_the_same(plan, tmp_path):
    (tmp_path / "plan.json").write_bytes(dump_plan(plan))
    again = profile(tmp_path, GROWN)
    assert reviewed(load_plan(tmp_path), again) == reviewed(plan, again)


def test_dearer_prices_are_told_apart_from_drift(plan, tmp_path):
    """Output at 20 in place of 10 dollars: 100 tokens x 3,000,000 interactions."""
    assert plan.baseline is not None
    price = {"input": 2.5, "cached_input": 1.25, "cache_write": 2.5, "output": 20.0}
    models = {"gpt-4o": {**DEMAND["models"]["gpt-4o"], "price": price}}
    demand = Demand.model_validate({**DEMAND, "models": models})
    actual = {"interaction.latency": Actual(mean=1.02, mean_ci95=(1.0, 1.04))}
    given = Measurement(source="prometheus", actual=actual, missing={})
    review = review_plan(plan, demand, BOOK, given, at=AT)
    (change,) = review.prices.changes
    assert (change.model, change.kind) == ("gpt-4o", "output")
    assert (float(change.planned or 0), float(change.now or 0)) == (10, 20)
    assert review.prices.cost_usd == pytest.approx(100 * 10 / 1e6 * 3e6, rel=1e-6)
    assert not review.drifted
    assert review.verdict == "update"
