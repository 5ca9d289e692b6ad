"""Economics: what a user costs and leaves, and where the plan ceases to pay."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.planner.api_cost import ApiCost, Cell
from profiler.planner.cost_tree import CostLine
from profiler.planner.economics import (
    MonthlyCost,
    Volume,
    api_tree,
    crossings,
    monthly_cost,
    unit_economics,
)
from profiler.planner.prices import list_tariff


def month(usd, interactions=1000.0, sessions=200.0, users=50.0):
    line = CostLine(name="total", usd=Decimal(usd))
    volume = Volume(interactions=interactions, sessions=sessions, users=users)
    return MonthlyCost(tree=line, volume=volume)


def test_a_months_bill_is_told_per_interaction_session_and_user():
    cost = month(100)
    assert cost.per_interaction_usd == Decimal("0.1")
    assert cost.per_session_usd == Decimal("0.5")
    assert cost.per_user_usd == 2
    assert month(100, sessions=None).per_session_usd is None


def test_the_bill_is_the_sum_of_api_infrastructure_and_operations():
    parts = [CostLine(name=n, usd=Decimal(usd)) for n, usd in (("a", 1), ("i", 2), ("o", 4))]
    assert monthly_cost(*parts, Volume(interactions=1, sessions=None, users=None)).tree.usd == 7


def sampled(cells, interactions):
    return ApiCost(
        interactions=interactions,
        calls=1,
        cells=cells,
        reasoning_usd=Decimal(0),
        per_interaction_usd=None,
        coverage=1.0,
        cache_coverage=1.0,
        tariffs=(list_tariff("gpt-4o"),),
    )


@given(
    st.lists(st.decimals(0, 1000, places=9), min_size=4, max_size=4),
    st.integers(1, 5000),
    st.floats(0, 1e9),
)
def test_the_bill_of_calls_is_the_mean_interaction_times_the_months(amounts, interactions, volume):
    kinds = ("uncached_input", "cached_input", "cache_write", "output")
    cells = {
        Cell("gpt-4o", "openai", False, kind): usd for kind, usd in zip(kinds, amounts, strict=True)
    }
    tree = api_tree(sampled(cells, interactions), volume)
    wanted = float(sum(amounts)) / interactions * volume
    assert float(tree.usd) == pytest.approx(wanted, rel=1e-12, abs=4e-6)
    assert tree.usd == sum(leaf.usd for _, leaf in tree.walk() if not leaf.children)


def test_a_user_leaves_what_comes_in_less_what_goes_out():
    found = unit_economics(month(100), per_user_month_usd=Decimal(5))
    assert found is not None
    assert (found.margin_usd_per_user, found.margin_share) == (3, Decimal("0.6"))
    assert found.needed_cost_usd_per_user == 5
    assert found.meets_target


def test_a_target_margin_says_what_a_user_may_cost():
    value, target = Decimal("0.2"), Decimal("0.6")
    found = unit_economics(month(100), per_interaction_usd=value, target_margin=target)
    assert found is not None  # 20 interactions of a user at 0.2: 4; 40 % of it may be spent
    assert (found.value_usd_per_user, found.needed_cost_usd_per_user) == (4, Decimal("1.6"))
    assert not found.meets_target


def test_without_users_or_a_value_there_are_no_economics():
    assert unit_economics(month(100, users=None), per_user_month_usd=Decimal(1)) is None
    assert unit_economics(month(100)) is None


def test_a_fixed_cost_pays_from_the_scale_that_carries_it():
    # 10 per unit of scale come in, 4 go out, 30 are fixed: 5
    found = crossings(lambda factor: Decimal(factor) * 6 - 30)
    assert [one.becomes for one in found] == ["profit"]
    assert found[0].factor == pytest.approx(5, rel=1e-9)


def test_steps_may_break_a_plan_again():
    # 10 come in per unit; a machine of 70 for every 8 units, begun: pays from 7 to 8, from 14 to
    # 16 and so on; 80 a machine never would
    def margin(factor):
        return Decimal(factor) * 10 - 70 * (-(-factor // 8)).__trunc__()

    found = crossings(margin, lowest=1.0, highest=20.0)
    assert [(round(one.factor, 6), one.becomes) for one in found] == [
        (7.0, "profit"),
        (8.0, "loss"),
        (14.0, "profit"),
        (16.0, "loss"),
    ]


def test_a_plan_that_always_or_never_pays_has_no_crossing():
    assert crossings(lambda factor: Decimal(1)) == ()
    assert crossings(lambda factor: Decimal(-1)) == ()
