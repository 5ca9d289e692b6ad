"""What moves the answer most: against an answer whose arithmetic is plain."""

from __future__ import annotations

import pytest

from profiler.planner.inputs import likely
from profiler.planner.ranges import Range, certain
from profiler.planner.sensitivity import AS_MEASURED, Answers, Change, Measured, tornado, what_ifs

RANGES = {
    "users.peak_concurrent": Range(80.0, 100.0, 150.0),
    "operations.rate_per_hour": certain(50.0),
    "headroom": certain(0.8),
    "workers.memory": Range(1.0, 2.0, 3.0),
}


def ask(choose, change: Change) -> Answers:
    """Cost = 10 x users x calls + 4 x rate; memory moves nothing."""
    users = choose("users.peak_concurrent", RANGES["users.peak_concurrent"])
    rate = choose("operations.rate_per_hour", RANGES["operations.rate_per_hour"])
    cached = 0.5 if change.cached_share is None else change.cached_share
    cost = 10 * users * change.llm_calls * change.input_tokens * (1.5 - cached) + 4 * rate
    return Answers(cost_total_usd=cost, workers=1, binding_utilization=None, max_users=None)


def test_the_widest_swing_comes_first_and_what_moves_nothing_is_left_out():
    calls = Measured(
        name="interaction.llm_calls.mean", field="llm_calls", mean=2.0, ci95=(1.9, 2.2)
    )
    found = tornado(ask, RANGES, [calls])
    assert [(each.name, each.low, each.high) for each in found] == [
        ("users.peak_concurrent", 80.0, 150.0),
        ("interaction.llm_calls.mean", 1.9, 2.2),
        ("operations.rate_per_hour", 40.0, 60.0),
    ]
    assert [each.swing_usd for each in found] == pytest.approx([700, 150, 80])
    assert found[0].ends == "range of the demand"
    assert found[2].ends == "±20%"


def test_a_mean_without_an_interval_is_turned_by_a_fifth():
    tokens = Measured(name="tokens", field="input_tokens", mean=500.0, ci95=None)
    (found,) = [each for each in tornado(ask, RANGES, [tokens]) if each.name == "tokens"]
    assert (found.low, found.high) == (400, 600)
    assert found.swing_usd == pytest.approx(400)


def test_each_change_is_the_plan_asked_again_with_that_change():
    found = what_ifs(ask, llm_calls=2.0, cached_share=0.5, cheaper=[("big", "small")])
    costs = {each.text: each.answers.cost_total_usd for each in found}
    assert costs["0.5 fewer LLM calls per interaction (1.5)"] == pytest.approx(950)
    assert costs["prompts shorter by 25 %"] == pytest.approx(950)
    assert costs["75% of input read from the cache"] == pytest.approx(950)
    assert costs["0% of input read from the cache"] == pytest.approx(1700)
    assert found[-1].text == "small in place of big"
    assert found[-1].note is not None


def test_an_agent_of_one_call_cannot_do_with_fewer():
    found = what_ifs(ask, llm_calls=1.0, cached_share=None, cheaper=[])
    assert [each.text for each in found] == ["prompts shorter by 25 %", "answers shorter by 25 %"]


def test_nothing_changed_is_the_plan():
    assert ask(likely, AS_MEASURED).cost_total_usd == 1200
