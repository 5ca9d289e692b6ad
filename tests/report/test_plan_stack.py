"""The stack in plan.md: choices at a glance, margins, losers with reasons, what would change."""

from typing import Any

from profiler.report.plan_markdown import plan_markdown
from profiler.report.quantities import NOTHING
from tests.report.plans import plan


def choice(factor: float, **changes: Any) -> dict[str, Any]:
    return {
        "factor": factor,
        "winner": "sqs",
        "usd_per_month": 97.16,
        "infrastructure_usd": 7.16,
        "hours": 1.0,
        "operations_usd": 90.0,
        "quotas": (),
        "losers": (loser("lists", "Redis Lists"),),
        **changes,
    }


def loser(key: str, name: str, **changes: Any) -> dict[str, Any]:
    return {
        "key": key,
        "name": name,
        "eliminated": False,
        "reason": f"{name} costs more",
        "usd_per_month": 217.38,
        **changes,
    }


def found(**changes: Any) -> dict[str, Any]:
    return {
        "part": "hot_state",
        "winner": "sqs",
        "name": "SQS standard",
        "run_by": "managed",
        "skill": "sqs",
        "level": "familiar",
        "requires": ("visibility_timeout",),
        "verdict": "Throughput does not decide.",
        "margin": {
            "factor": 10.0,
            "quantity": "messages",
            "unit": "messages/s",
            "demand": 30.0,
            "limit": 300.0,
            "share": 0.1,
            "adjustable": True,
        },
        "overturned_by": ("pay: an hour at less than $14",),
        "changes": (),
        "not_known": (),
        "scales": (choice(1.0), choice(10.0)),
        **changes,
    }


def written(**changes: Any) -> str:
    return plan_markdown(plan(stack=(found(**changes),)))


def rows(text: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.split("## Stack")[1].splitlines()
        if line.startswith("|")
    ]


def test_a_plan_without_a_stack_has_no_section():
    assert "## Stack" not in plan_markdown(plan())


def test_the_choice_stands_with_cost_hours_skill_and_margin():
    row = next(row for row in rows(written()) if row[0] == "hot state")
    assert row[1:] == [
        "SQS standard (managed)",
        r"\$97.16",
        "1",
        "familiar (sqs)",
        "10.0 % at 10x: messages, a quota",
        "the same",
    ]


def test_every_loser_has_its_reason_once():
    text = written()
    assert text.count("Redis Lists costs more") == 1
    row = next(row for row in rows(text) if row[0] == "Redis Lists")
    assert row == ["Redis Lists", r"\$217", "Redis Lists costs more"]


def test_a_loser_that_is_out_later_is_told_again_with_its_scale():
    out = loser("lists", "Redis Lists", eliminated=True, reason="over its limit")
    text = written(scales=(choice(1.0), choice(10.0, losers=(out,))))
    assert ["not taken at 10x", "a month", "why"] in rows(text)
    assert ["Redis Lists", r"\$217", "over its limit"] in rows(text)


def test_what_would_change_it_and_what_is_not_known_are_told():
    text = written(not_known=("a message",), changes=("from 10x on: Pub/Sub",))
    assert "What would change it:\n\n- pay: an hour at less than \\$14" in text
    assert "Not known, so neither limited nor billed here: a message." in text
    assert "from 10x on: Pub/Sub" in next(row for row in rows(text) if row[0] == "hot state")


def test_a_quota_to_be_raised_is_told_with_its_scale():
    text = written(scales=(choice(1.0), choice(10.0, quotas=("messages come to 720",))))
    assert "ask for more before 10x: messages come to 720" in text


def test_nothing_that_can_do_it_is_no_number():
    nobody = choice(
        1.0,
        winner=None,
        usd_per_month=None,
        infrastructure_usd=None,
        hours=None,
        operations_usd=None,
    )
    text = written(
        winner=None,
        name=None,
        run_by=None,
        skill=None,
        level=None,
        margin=None,
        overturned_by=(),
        scales=(nobody,),
    )
    row = next(row for row in rows(text) if row[0] == "hot state")
    assert row[1] == f"{NOTHING} (nothing can do it)"
    assert row[2:6] == [NOTHING] * 4
    assert "### Hot state: nothing can do it" in text
    assert "What would change it" not in text


def test_names_from_a_catalogue_are_escaped():
    text = written(name="a|b <script>", overturned_by=("*x*",))
    assert "<script>" not in text
    assert r"a\|b" in text
    assert r"- \*x\*" in text
