"""What changed from one plan to another, and why: by hand, from a plan written by hand."""

from __future__ import annotations

from decimal import Decimal

import pytest

from profiler.planner.diff import ApiChange, Changed, PlanDiff, diff
from tests.report import plans


def by_name(changes: tuple[Changed, ...]) -> dict[str, tuple[object, object]]:
    return {each.name: (each.old, each.new) for each in changes}


def dearer_tree() -> dict:
    """API 14,100 -> 20,000; infrastructure gone; people new: 23,500 in all."""
    line = {"name": "gpt-4o", "usd": "20000"}
    return {
        "name": "total",
        "usd": "23500",
        "children": (
            {"name": "API", "usd": "20000", "children": (line,)},
            {"name": "operations", "usd": "3000"},
            {"name": "people", "usd": "500"},
        ),
    }


def test_a_plan_is_the_same_as_itself():
    found = diff(plans.plan(), plans.plan())
    assert found.is_empty
    assert found == PlanDiff(
        inputs=(),
        measured=(),
        scales=tuple(
            type(scale)(
                factor=factor,
                answers=(),
                cost_lines=(),
                api=ApiChange(volume_usd=0.0, per_interaction_usd=0.0),
            )
            for scale, factor in zip(found.scales, (1.0, 10.0), strict=True)
        ),
        only_old=(),
        only_new=(),
    )


def test_every_key_of_the_demand_that_changed_is_named_with_its_path():
    users = {"peak_concurrent": 800, "think_time": "20s"}
    asked = {**plans.DEMAND, "users": users, "growth": [1, 10]}
    new = plans.plan(inputs=plans.inputs(demand=asked))
    assert by_name(diff(plans.plan(), new).inputs) == {
        "demand.users.peak_concurrent": (500, 800),
        "demand.users.interactions_per_minute": (2, None),
        "demand.users.think_time": (None, "20s"),
        "demand.growth": (None, [1, 10]),
    }


def test_prices_and_profile_are_inputs_too_and_measured_numbers_stand_apart():
    prices = {
        "models": "genai-prices 0.2.2",
        "models_date": None,
        "at": "2026-12-01",
        "infrastructure": "own, eu, 2026-12-01",
    }
    given = plans.inputs(prices=prices, profile=plans.profile(id="airline-20261130"))
    new = plans.plan(
        inputs=given,
        provenance=(plans.measured(value=2.5), plans.measured("interaction.latency", value=1.0)),
    )
    found = diff(plans.plan(), new)
    assert by_name(found.inputs) == {
        "profile": ("airline-20261122 (abababab)", "airline-20261130 (abababab)"),
        "prices of models": ("genai-prices 0.2.1", "genai-prices 0.2.2"),
        "prices of the date": ("2026-11-22", "2026-12-01"),
        "price book": ("aws us-east-1, 2026-10-01", "own, eu, 2026-12-01"),
    }
    assert by_name(found.measured) == {
        "interaction.llm_calls": (2.0, 2.5),
        "interaction.latency": (None, 1.0),
    }


def test_whatever_else_a_plan_is_a_function_of_is_named_when_it_changed():
    given = plans.inputs(profile=plans.profile(digest="cd" * 32), seed=8, draws=0)
    found = diff(plans.plan(), plans.plan(inputs=given, tool_version="0.2.0"))
    assert by_name(found.inputs) == {
        "profile": ("airline-20261122 (abababab)", "airline-20261122 (cdcdcdcd)"),
        "seed": (7, 8),
        "draws": (200, 0),
        "agent-profiler": ("0.1.0", "0.2.0"),
    }


def test_scales_are_compared_where_both_plans_have_them():
    old = plans.plan(scales=(plans.scale(1.0), plans.scale(3.0)))
    new = plans.plan(scales=(plans.scale(1.0), plans.scale(10.0)))
    found = diff(old, new)
    assert [scale.factor for scale in found.scales] == [1.0]
    assert (found.only_old, found.only_new) == ((3.0,), (10.0,))
    assert not found.is_empty


def test_answers_that_changed_are_those_of_the_scale():
    moved = plans.scale(
        demand=plans.demand(users=800.0),
        binding=None,
        workers=plans.workers(count=19),
    )
    found = diff(plans.plan(), plans.plan(scales=(moved, plans.scale(10.0))))
    first, second = found.scales
    assert by_name(first.answers) == {
        "users": (500.0, 800.0),
        "binding limit": ("gpt-4o requests_per_minute", None),
        "binding utilization": (4 / 3, None),
        "max_users": (375, None),
        "workers": (12, 19),
    }
    assert second.answers == ()


def test_lines_of_the_bill_are_compared_leaf_by_leaf_and_exactly():
    cost = plans.cost(api=20000.0, infrastructure=0.0, total=23500.0, tree=dearer_tree())
    new = plans.plan(scales=(plans.scale(cost=cost), plans.scale(10.0)))
    first, _ = diff(plans.plan(), new).scales
    assert by_name(first.cost_lines) == {
        "API > gpt-4o": (Decimal("14100.000000"), Decimal(20000)),
        "infrastructure": (Decimal("900.250000"), None),
        "people": (None, Decimal(500)),
    }


def test_lines_of_one_name_are_one_line_with_their_sum():
    twins = tuple({"name": "gpt-4o", "usd": usd} for usd in ("0.10", "0.20"))
    tree = {"name": "total", "usd": "0.30", "children": twins}
    old = plans.plan(scales=(plans.scale(cost=plans.cost(tree=tree)),))
    new = plans.plan(
        scales=(plans.scale(cost=plans.cost(tree={**tree, "children": twins[:1], "usd": "0.10"})),)
    )
    (scale,) = diff(old, new).scales
    assert by_name(scale.cost_lines) == {"gpt-4o": (Decimal("0.30"), Decimal("0.10"))}


def test_the_models_bill_is_split_into_volume_and_price():
    # $14,100 for 3,000,000 interactions is $0.0047 each. 4,800,000 at $0.005: $24,000. Of the
    # $9,900 more, 1,800,000 x $0.0047 = $8,460 is volume, 4,800,000 x $0.0003 = $1,440 price.
    moved = plans.scale(
        demand=plans.demand(interactions_per_month=4.8e6), cost=plans.cost(api=24000.0)
    )
    first, _ = diff(plans.plan(), plans.plan(scales=(moved, plans.scale(10.0)))).scales
    assert first.api.volume_usd == pytest.approx(8460)
    assert first.api.per_interaction_usd == pytest.approx(1440)
