"""Counts of shards, added up, and the verdict over all of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.load.budget import Budget, Limits
from profiler.load.tally import (
    LONGEST_DETAIL,
    Tally,
    from_json,
    row_of,
    to_json,
    together,
    verdict,
)
from profiler.measure.records import (
    Interaction,
    LlmCall,
    Observer,
    Outcome,
    Phase,
    Timeline,
    Usage,
)

OUTCOMES = [Outcome.OK, Outcome.TIMEOUT, Outcome.CONNECT_ERROR, Outcome.CANCELLED]


@given(ended=st.lists(st.tuples(st.sampled_from(OUTCOMES), st.integers(0, 2)), max_size=60))
def test_one_shard_and_the_same_interactions_over_three_give_the_same_counts(ended):
    alone, several = Tally(), [Tally(), Tally(), Tally()]
    for outcome, shard in ended:
        alone.count(outcome, Phase.MEASURE, "x")
        several[shard].count(outcome, Phase.MEASURE, "x")
    summed = together(several)
    assert (summed.ended, summed.failed, summed.answered) == (
        alone.ended,
        alone.failed,
        alone.answered,
    )
    assert verdict(summed, 0.5) == verdict(alone, 0.5)


@given(ended=st.lists(st.sampled_from(OUTCOMES), min_size=1, max_size=60))
def test_the_verdict_is_the_one_that_a_budget_gives_after_a_failure(ended):
    budget, tally = Budget(Limits(error_limit=0.5)), Tally()
    for outcome in ended:
        before = tally.failed
        budget.ended_with(outcome, "why")
        tally.count(outcome, Phase.MEASURE, "why")
        said = verdict(tally, 0.5) if tally.failed > before else None
        assert said == budget.detail
        if said is not None:
            return


def test_a_budget_that_does_not_judge_goes_on():
    budget = Budget(Limits(error_limit=0.0, judges_target=False))
    for _ in range(30):
        budget.ended_with(Outcome.CONNECT_ERROR, "refused")
    assert not budget.is_closed
    assert (budget.ended, budget.failed, budget.answered) == (30, 30, False)


def test_warm_up_has_an_account_of_its_own():
    tally = Tally()
    for _ in range(19):
        tally.count(Outcome.OK, Phase.WARMUP, None)
    tally.count(Outcome.HTTP_5XX, Phase.MEASURE, "500")
    assert (tally.warmup_ended, tally.warmup_failed, tally.ended, tally.failed) == (19, 0, 1, 1)
    assert verdict(tally, 0.0) is None  # 1 of 1: too few of either phase
    assert (tally.first_failure, tally.last_failure) == ("500", "500")


def test_all_are_measuring_when_nobody_warms_up_any_more():
    warming, measuring = Tally(), Tally(phase=Phase.MEASURE)
    assert together([warming, measuring]).phase is Phase.WARMUP
    assert together([measuring, measuring]).phase is Phase.MEASURE


def test_a_tally_survives_the_wire_and_a_long_detail_is_cut():
    tally = Tally(in_flight=3)
    tally.count(Outcome.TIMEOUT, Phase.MEASURE, "x" * 10_000)
    assert from_json(to_json(tally)) == tally
    assert len(tally.last_failure or "") == LONGEST_DETAIL


@pytest.mark.parametrize(
    "change", [{"ended": "1"}, {"ended": True}, {"answered": 1}, {"phase": "x"}, {"more": 1}]
)
def test_what_is_no_tally_is_refused(change):
    with pytest.raises(ValueError, match=r"tally|Phase"):
        from_json({**to_json(Tally()), **change})
    with pytest.raises(ValueError, match="no tally"):
        from_json([])


def interaction(phase: Phase, outcome: Outcome = Outcome.OK) -> Interaction:
    return Interaction(
        trace_id="t",
        session="s",
        session_index=7,
        scenario="x",
        turn=0,
        phase=phase,
        send_ns=1_000_000_000,
        end_ns=1_250_000_000,
        outcome=outcome,
    )


def call(tokens: int | None) -> LlmCall:
    return LlmCall(
        trace_id="t",
        observer=Observer.RESPONSE,
        clock=Timeline.AGENT,
        outcome=Outcome.OK,
        usage=None if tokens is None else Usage(input_tokens=tokens),
    )


def test_stability_hears_of_measured_interactions_only():
    assert row_of(interaction(Phase.WARMUP), (call(10),)) is None
    assert row_of(interaction(Phase.MEASURE), (call(10), call(None), call(5))) == (7, 0.25, 3, 15)
    assert row_of(interaction(Phase.MEASURE, Outcome.TIMEOUT), ()) == (7, None, None, None)
