"""Who reads plan.md knows what leads to a stage, when to begin, and what nobody knows."""

from __future__ import annotations

from typing import Any

from profiler.planner.rollout_plan import RolloutPlan
from profiler.planner.triggers import Trigger
from profiler.report.plan_markdown import plan_markdown
from profiler.report.plan_rollout import condition
from tests.report import plans

TRIGGER: dict[str, Any] = {
    "id": "stage_2_queue_depth_per_worker",
    "title": "stage 2, autoscaling: more interactions wait than 5 x 5 workers",
    "metric": "agent_queue_depth",
    "expression": "sum(avg_over_time(agent_queue_depth[10m]))",
    "comparison": ">",
    "threshold": 25.0,
    "unit": "count",
    "window": "10m",
    "hold": "15m",
    "severity": "ticket",
    "stage": 2,
    "source": "the demand",
}
COST: dict[str, Any] = {
    "users": 500.0,
    "workers": 3,
    "total": 600.0,
    "api": 400.0,
    "infrastructure": 150.0,
    "operations": 50.0,
    "lines": {"one server": 150.0},
}
FORECAST: dict[str, Any] = {
    "users": 1349.0,
    "interactions_per_minute": 2698.0,
    "users_by_enforcement": {"windows": 1349.0, "a bucket": None},
    "likely": "2027-07-05",
    "early": "2027-03-17",
    "late": None,
    "start_by": "2027-05-22",
}


def stage(number: int, name: str, **keys: Any) -> dict[str, Any]:
    return {
        "number": number,
        "name": name,
        "starts_here": number == 1,
        "trigger": None,
        "forecast": None,
        "changes": ("basic logs",),
        "workers": (3, 5),
        "capacity": None,
        "cost_at_begin": COST,
        "cost_at_end": COST,
        "lead_time_days": 28,
        "way_back": None,
        **keys,
    }


def text(**keys: Any) -> str:
    given = {
        "start": "2026-12-01",
        "growth_per_month": (0.05, 0.15, 0.3),
        "stages": (stage(1, "one"), stage(2, "two", trigger=TRIGGER, forecast=FORECAST)),
        "left_out": ({"number": 3, "name": "three", "reason": "not reached", "trigger": TRIGGER},),
        "notes": (),
        **keys,
    }
    rollout = RolloutPlan.model_validate(given)
    found = plans.plan().model_copy(
        update={
            "rollout": rollout,
            "triggers": rollout.triggers(),
            "unwatched": ("tools.rare.duration: 2 measured",),
        }
    )
    return plan_markdown(found).replace("\\", "")


def test_a_stage_stands_with_its_dates_and_an_open_end_is_called_so():
    found = text()
    assert "users grow by 15 % (5 % to 30 %) a month" in found
    assert "| 1 one (start) | launch |" in found
    assert "| 2 two | 2027-07-05 (2027-03-17 to open) | 2027-05-22 | 3 to 5 |" in found
    assert "fires at 1,349 users" in found
    assert "a bucket: — (not within the demand)" in found
    assert "over 10m, for 15m" in found


def test_what_nobody_knows_is_not_written_as_zero():
    assert "carries: — (nothing that is known binds)" in text()


def test_the_bill_of_a_stage_has_its_lines():
    assert "$600 a month at 500 users: API $400, infrastructure $150 (one server $150)" in text()


def test_stages_left_out_and_metrics_not_watched_have_their_reason():
    found = text()
    assert "3 three: not reached" in found
    assert "not watched: tools.rare.duration: 2 measured" in found


def test_without_growth_it_says_what_to_write():
    note = "no date can be forecast: write rollout.growth_per_month, like 10%"
    assert text(growth_per_month=None, notes=(note,)).count(note) == 1


def test_a_condition_is_written_in_its_unit():
    share = Trigger.model_validate({**TRIGGER, "unit": "share", "threshold": 0.02})
    seconds = Trigger.model_validate({**TRIGGER, "unit": "s", "threshold": 0.5905905})
    assert condition(share) == "agent_queue_depth > 2 %"
    assert condition(seconds) == "agent_queue_depth > 0.5906 s"
