"""A comparison of two plans as people read it."""

from __future__ import annotations

from profiler.planner.diff import diff
from profiler.report.plan_diff import plan_diff_text
from tests.report import plans


def lines(old, new) -> list[str]:
    return plan_diff_text(diff(old, new), "old.json").splitlines()


def test_nothing_is_one_sentence():
    assert lines(plans.plan(), plans.plan()) == ["Nothing changed since old.json."]


def test_each_change_stands_with_both_values_and_what_that_is_in_percent():
    users = {**plans.DEMAND["users"], "peak_concurrent": 800}
    new = plans.plan(
        inputs=plans.inputs(demand={**plans.DEMAND, "users": users}),
        provenance=(plans.measured(value=2.5),),
        scales=(
            plans.scale(demand=plans.demand(users=800.0), workers=plans.workers(count=18)),
            plans.scale(10.0),
        ),
    )
    assert lines(plans.plan(), new) == [
        "What changed since old.json",
        "",
        "Inputs",
        "  demand.users.peak_concurrent: 500 → 800 (+60.0%)",
        "",
        "Measured",
        "  interaction.llm_calls: 2 → 2.5 (+25.0%)",
        "",
        "At 1x",
        "  users: 500 → 800 (+60.0%)",
        "  workers: 12 → 18 (+50.0%)",
        "",
        "At 10x",
        "  nothing changed",
    ]


def test_the_models_bill_says_how_much_is_volume_and_how_much_is_price():
    # As in tests/planner/test_diff.py: $9,900 more, $8,460 of it for volume, $1,440 for price.
    tree = plans.tree()
    api = {"name": "API", "usd": "24000", "children": ({"name": "gpt-4o", "usd": "24000"},)}
    tree = {**tree, "usd": "27900.25", "children": (api, *tree["children"][1:])}
    moved = plans.scale(
        demand=plans.demand(interactions_per_month=4.8e6),
        cost=plans.cost(api=24000.0, total=27900.25, tree=tree),
    )
    found = lines(plans.plan(), plans.plan(scales=(moved, plans.scale(10.0))))
    assert found[3:] == [
        "  cost.total: $18,000 → $27,900 (+55.0%)",
        "  the models' bill: +$8,460 for volume, +$1,440 for what one interaction costs",
        "  API > gpt-4o: $14,100 → $24,000 (+$9,900)",
        "",
        "At 10x",
        "  nothing changed",
    ]


def test_what_is_new_or_gone_has_a_dash_and_no_percentage():
    new = plans.plan(scales=(plans.scale(binding=None), plans.scale(10.0)))
    assert lines(plans.plan(), new)[3:6] == [
        "  binding limit: gpt-4o requests_per_minute → —",
        "  binding utilization: 1.333 → —",
        "  max_users: 375 → —",
    ]


def test_scales_of_one_plan_alone_are_named():
    old = plans.plan(scales=(plans.scale(1.0), plans.scale(3.0)))
    new = plans.plan(scales=(plans.scale(1.0), plans.scale(10.0)))
    assert lines(old, new)[-3:] == [
        "Scales",
        "  3x: only in the old plan",
        "  10x: only in the new plan",
    ]


def test_names_from_outside_cannot_write_terminal_codes():
    new = plans.plan(inputs=plans.inputs(demand={**plans.DEMAND, "name": "a\x1b[2Jb"}))
    assert "\x1b" not in "\n".join(lines(plans.plan(), new))
