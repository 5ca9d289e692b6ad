"""A whole plan: the worked example, and what must hold of every plan whatever its numbers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profiler.errors import PlanError
from profiler.planner.plan import (
    CostAtScale,
    DemandAtScale,
    LimitAtScale,
    Plan,
    Scale,
    StateAtScale,
    dump_plan,
    load_plan,
)
from profiler.profile.model import WorkloadProfile, dump_profile
from tests.planner.planned import AT, LATENCIES_S, MODEL, PRICE, demand, planned, two_calls
from tests.profile.journals import interaction, write

Ranged = DemandAtScale | LimitAtScale | StateAtScale | CostAtScale
ROOT = Path(__file__).parents[2]
DRAWS = 4000
LIMITED = {MODEL: {"price": PRICE, "limits": {"requests_per_minute": 1500, "window": "60s"}}}
RANGED: dict[str, Any] = {
    "users": {
        "peak_concurrent": {"low": 400, "likely": 500, "high": 800},
        "interactions_per_minute": 2,
        "monthly_active": 4000,
    },
    "traffic": {"peak_to_average": {"low": 3, "likely": 4, "high": 6}},
    "models": LIMITED,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("plans")


@pytest.fixture(scope="module")
def profile(folder: Path) -> WorkloadProfile:
    return two_calls(folder)


@pytest.fixture(scope="module")
def ranged(folder: Path, profile: WorkloadProfile) -> Plan:
    return planned(profile, demand(folder, **RANGED, growth=[1, 3]), draws=200)


def only(plan: Plan) -> Scale:
    (scale,) = plan.scales
    return scale


def test_the_worked_example_comes_out_exactly(folder: Path, profile: WorkloadProfile):
    plan = json.loads(dump_plan(planned(profile, demand(folder, models=LIMITED))))
    (scale,) = plan["scales"]
    (limit,) = scale["limits"]
    assert scale["demand"]["interactions_per_minute"] == 1000
    assert scale["demand"]["llm_calls_per_minute"] == 2000
    assert scale["demand"]["tokens_per_minute"] == 2000 * 1100
    assert limit["utilization"] == pytest.approx(4 / 3, rel=1e-15)
    assert limit["excess"] == 500
    assert (limit["max_users"], limit["max_users_within_headroom"]) == (375, 300)
    assert limit["calls_that_fit"] == 1.5
    assert scale["binding"]["max_users"] == 375
    assert any("133.3% of the limit" in text for text in plan["warnings"])


def test_the_bill_of_a_month_is_its_calls_by_their_tokens(folder: Path, profile: WorkloadProfile):
    # 500 x 2 / 4 = 250 interactions/min on average, x 60 x 10 h x 20 days = 3,000,000 a month.
    # A call is 1,000 x $2/M + 100 x $10/M = $0.003; an interaction makes two.
    scale = only(planned(profile, demand(folder)))
    assert scale.demand.interactions_per_month == 3_000_000
    (api, *_) = scale.cost.tree.children
    assert Decimal(api.usd) == 18_000
    assert scale.demand.sessions_per_month == pytest.approx(1_500_000)
    assert scale.cost.per_session == pytest.approx(scale.cost.total / 1_500_000)


def test_what_a_run_cost_is_said_of_all_its_interactions(folder: Path, profile: WorkloadProfile):
    found = planned(profile, demand(folder)).run_cost
    assert found.usd is not None
    assert Decimal(found.usd) == Decimal("0.72")  # 120 x 2 x $0.003
    assert (found.interactions, found.hypothetical) == (120, False)


def test_workers_are_sized_by_the_measured_times(folder: Path, profile: WorkloadProfile):
    workers = only(planned(profile, demand(folder), in_full=True)).workers
    mean_s = sum(LATENCIES_S) / 5
    variance = sum((x - mean_s) ** 2 for x in LATENCIES_S) / 5
    assert workers.service_mean_s == pytest.approx(mean_s)
    assert workers.service_cv2 == pytest.approx(variance / mean_s**2)
    # 1,000 interactions/min x 0.9 s = 15 at a time: fewer workers cannot do.
    assert workers.count > 15
    assert workers.utilization == pytest.approx(15 / workers.count, rel=0.02)


@settings(max_examples=6, deadline=None)
@given(
    users=st.integers(1, 3000),
    factors=st.lists(st.integers(2, 12), min_size=2, max_size=3, unique=True).map(sorted),
)
def test_more_load_never_needs_fewer_workers_and_never_costs_less(folder, profile, users, factors):
    asked = demand(
        folder,
        users={"peak_concurrent": users, "interactions_per_minute": 2},
        growth=[1, *factors],
    )
    scales = planned(profile, asked).scales  # of the same arrivals, however long: in their order
    for kind in ("count", "by_erlang_c", "by_allen_cunneen"):
        counts = [getattr(scale.workers, kind) for scale in scales]
        assert counts == sorted(counts)
    for part in ("api", "infrastructure", "total"):
        costs = [getattr(scale.cost, part) for scale in scales]
        assert costs == sorted(costs)
    # Without tiers the models' bill is in proportion to the load: each interaction costs the same.
    for scale in scales:
        bills = [Decimal(s.cost.tree.children[0].usd) for s in (scales[0], scale)]
        assert bills[1] == bills[0] * Decimal(str(scale.factor))


def nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node["children"]:
        yield from nodes(child)


def test_every_node_of_the_tree_is_exactly_the_sum_of_its_children(ranged: Plan):
    for scale in json.loads(dump_plan(ranged))["scales"]:
        cost = scale["cost"]
        checked = 0
        for node in nodes(cost["tree"]):
            if node["children"]:
                checked += 1
                assert Decimal(node["usd"]) == sum(
                    (Decimal(child["usd"]) for child in node["children"]), Decimal(0)
                )
        assert checked > 3
        api, machines, people = (Decimal(child["usd"]) for child in cost["tree"]["children"])
        assert cost["total"] == float(api + machines + people)
        assert (cost["api"], cost["infrastructure"]) == (float(api), float(machines))
        assert cost["per_user"] == pytest.approx(
            float(api + machines + people) / scale["demand"]["monthly_active_users"]
        )


def test_a_range_of_the_answer_holds_its_likely_value(ranged: Plan):
    # All but the worker count, which a simulation decides, are monotone in inputs whose likely
    # value is well within the inner 90 % of their triangle.
    found = 0
    for scale in ranged.scales:
        blocks: tuple[Ranged, ...] = (scale.demand, *scale.limits, scale.state, scale.cost)
        for block in blocks:
            for name, (low, high) in block.ranges90.items():
                found += low < high
                assert low * (1 - 1e-12) <= getattr(block, name) <= high * (1 + 1e-12), name
    assert found > 20


def test_a_range_is_only_where_something_is_not_known(ranged: Plan):
    first = ranged.scales[0].demand.ranges90
    low, high = first["llm_calls_per_interaction"]  # every interaction made two
    assert (low, high) == pytest.approx((2, 2))
    low, high = first["interactions_per_user_minute"]
    assert (low, high) == (2, 2)


def test_a_range_that_is_only_of_the_users_is_a_triangle(folder: Path, profile: WorkloadProfile):
    # The 5 % and 95 % quantiles by the distribution's inverse: low + sqrt(u (b - a) (c - a)) and
    # high - sqrt((1 - u) (b - a) (b - c)), of a = 400, c = 500, b = 800.
    exact = (400 + (0.05 * 400 * 100) ** 0.5, 800 - (0.05 * 400 * 300) ** 0.5)
    asked = demand(folder, users=RANGED["users"])
    scale = only(planned(profile, asked, draws=DRAWS))
    # A quantile of n draws is off by sqrt(p (1 - p) / n) / density: the densities there are
    # 2 (x - a) / ((b - a) (c - a)) and 2 (b - x) / ((b - a) (b - c)).
    densities = (2 * (exact[0] - 400) / 40_000, 2 * (800 - exact[1]) / 120_000)
    for end in (0, 1):
        error = (0.05 * 0.95 / DRAWS) ** 0.5 / densities[end]
        assert abs(scale.demand.ranges90["users"][end] - exact[end]) < 4 * error
        # What is in proportion to the users has the same range, in proportion.
        moved = scale.demand.ranges90["interactions_per_month"][end]
        assert moved == pytest.approx(6000 * scale.demand.ranges90["users"][end])


def test_without_draws_there_are_no_ranges(folder: Path, profile: WorkloadProfile):
    scale = only(planned(profile, demand(folder, **RANGED)))
    blocks: tuple[Ranged, ...] = (scale.demand, *scale.limits, scale.state, scale.cost)
    assert all(block.ranges90 == {} for block in blocks)
    assert scale.workers.ranges90 == {}


def test_the_same_inputs_give_the_same_bytes_in_another_process(tmp_path: Path):
    (tmp_path / "profile.json").write_bytes(dump_profile(two_calls(tmp_path)))
    demand(tmp_path, **RANGED)
    plans = []
    for hashes in ("1", "2"):
        out = tmp_path / hashes
        subprocess.run(
            [
                *(sys.executable, "-m", "profiler", "plan", "profile.json", "--demand"),
                *("demand.yaml", "--at", AT.isoformat(), "--out", str(out), "-q"),
                *("--draws", "40"),
            ],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": hashes},
            check=True,
            capture_output=True,
        )
        plans.append((out / "plan.json").read_bytes())
    assert plans[0] == plans[1]
    assert dump_plan(load_plan(tmp_path / "1")) == plans[0]


def test_another_seed_moves_simulations_and_no_arithmetic(folder: Path, profile: WorkloadProfile):
    asked = demand(folder, models=LIMITED)
    one, two = (only(planned(profile, asked, seed=seed)) for seed in (1, 2))
    assert one.demand == two.demand
    assert one.retries[0].rejected_attempts != two.retries[0].rejected_attempts
    assert one.retries[0].fluid_rejection == two.retries[0].fluid_rejection


def test_value_against_cost_says_where_the_margin_turns(folder: Path, profile: WorkloadProfile):
    # An interaction's calls cost $0.006 and bring $0.007: fixed costs are paid from some scale on.
    users = {"peak_concurrent": 50, "interactions_per_minute": 2, "monthly_active": 1000}
    asked = demand(folder, users=users, value={"per_interaction": 0.007}, growth=[1, 100])
    found = planned(profile, asked)
    assert found.economics is not None
    small, large = (found.economics.margins[factor] for factor in ("1", "100"))
    assert small < 0 < large
    assert found.economics.breaks_at_factor is not None
    assert 1 < found.economics.breaks_at_factor < 100
    # 300,000 interactions of 1,000 users a month: 300 x $0.007 each.
    assert found.economics.needed_cost_per_user == pytest.approx(2.1)


def refused(profile: WorkloadProfile, asked: Any, **options: Any) -> str:
    with pytest.raises(PlanError) as caught:
        planned(profile, asked, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_profile_of_the_client_alone_says_who_would_have_seen_the_calls(
    folder: Path, tmp_path: Path
):
    from profiler.profile.build import build_profile

    alone = build_profile(write(tmp_path, *(interaction(f"{n}") for n in range(120))))
    said = refused(alone, demand(folder))
    assert "llm_calls" in said
    assert "--gateway" in said


def test_limits_of_a_model_without_calls_are_refused(folder: Path, profile: WorkloadProfile):
    wrong = demand(folder, models={"gpt-4.1": {"limits": {"requests_per_minute": 1}}})
    assert "models.gpt-4.1: the profile has no calls of this model" in refused(profile, wrong)
    near = demand(folder, models={"gpt-4": {"limits": {"requests_per_minute": 1}}})
    assert "gpt-4o" in refused(profile, near)
    takes = demand(folder, models={"x": {"price": PRICE, "replaces": {"gpt-4p": 0.5}}})
    assert "replaces 'gpt-4p'" in refused(profile, takes)


def test_a_model_that_nobody_has_a_price_for_is_refused_with_near_names(
    folder: Path, tmp_path: Path
):
    data = dump_profile(two_calls(tmp_path)).replace(b'"gpt-4o"', b'"gpt-4oo"')
    path = tmp_path / "profile.json"
    path.write_bytes(data)
    from profiler.profile.model import load_profile

    said = refused(load_profile(path), demand(folder, models={}))
    assert "gpt-4oo" in said
    assert "gpt-4o" in said.replace("gpt-4oo", "")


def test_a_profile_that_is_not_trusted_needs_a_word(folder: Path, profile: WorkloadProfile):
    trust = profile.trust.model_copy(
        update={"verdict": "driver_limited", "reasons": ("the loop was late",)}
    )
    late = profile.model_copy(update={"trust": trust})
    said = refused(late, demand(folder))
    assert "driver limited: the loop was late" in said
    assert "--accept-untrusted" in said
    found = planned(late, demand(folder), accept_untrusted=True)
    assert found.inputs.profile.verdict == "driver_limited"
    assert "driver limited" in found.warnings[0]
