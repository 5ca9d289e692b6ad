"""What was spent is added up from what was observed; where nothing is, the run must not go on."""

from __future__ import annotations

from decimal import Decimal

import pytest

from profiler.errors import PlanError
from profiler.load.meter import LATE_NS, Meter, SpendLimits, Spent, over
from profiler.measure.records import (
    EndReason,
    Interaction,
    LlmCall,
    Observer,
    Outcome,
    Phase,
    Timeline,
    Usage,
)


def per_token(model, usage):
    """Return a cent a token, so that sums are easy to see."""
    return Decimal("0.01") * ((usage.input_tokens or 0) + (usage.output_tokens or 0))


def call(tokens: int | None, observer: Observer = Observer.RESPONSE) -> LlmCall:
    usage = None if tokens is None else Usage(input_tokens=tokens, output_tokens=1)
    return LlmCall(
        trace_id="t", observer=observer, clock=Timeline.AGENT, outcome=Outcome.OK, usage=usage
    )


def interaction(usage: Usage | None = None, end_ns: int = 1) -> Interaction:
    return Interaction(
        trace_id="t",
        session="s",
        session_index=0,
        scenario="a",
        turn=0,
        phase=Phase.WARMUP,
        send_ns=0,
        end_ns=end_ns,
        outcome=Outcome.OK,
        usage=usage,
    )


def test_warm_up_is_spent_as_well():
    meter = Meter(SpendLimits(usd=Decimal(1)), per_token)
    meter.take(interaction(), [call(9), call(19)])
    assert meter.spent == Spent(tokens=30, usd=Decimal("0.30"))


def test_what_an_answer_says_of_itself_counts_where_it_shows_no_calls():
    meter = Meter(SpendLimits(), per_token)
    meter.take(interaction(Usage(input_tokens=5, output_tokens=2)), [])
    meter.take(interaction(Usage(input_tokens=5, output_tokens=2)), [call(9)])
    assert meter.spent.tokens == 7 + 10


def test_a_call_that_two_observers_saw_is_paid_once():
    meter = Meter(SpendLimits(), per_token)
    meter.take(interaction(), [call(9)])
    meter.see(call(9, Observer.GATEWAY))
    meter.see(call(20, Observer.GATEWAY))
    assert meter.spent == Spent(tokens=31, usd=Decimal("0.31"))


def test_limits_are_reached_at_their_amount_and_not_before():
    limits = SpendLimits(usd=Decimal(5), tokens=100)
    assert over(Spent(tokens=99, usd=Decimal("4.99")), limits) is None
    assert over(Spent(tokens=99, usd=Decimal(5)), limits)[0] is EndReason.MAX_COST
    assert over(Spent(tokens=100), limits)[0] is EndReason.MAX_TOKENS


def test_a_limit_that_nobody_can_hold_ends_the_run():
    meter = Meter(SpendLimits(tokens=1000), None)
    for _ in range(9):
        meter.take(interaction(), [call(None)])
    assert meter.over() is None
    meter.take(interaction(), [call(None)])
    reason, detail = meter.over()
    assert reason is EndReason.UNMETERED
    assert "nobody observed the tokens of 10 interactions" in detail


def test_observers_from_inside_have_time_to_tell():
    meter = Meter(SpendLimits(tokens=1000), None, late=True)
    for _ in range(20):
        meter.take(interaction(), [])
    assert meter.over() is None
    meter.take(interaction(end_ns=1 + LATE_NS), [])
    assert meter.over()[0] is EndReason.UNMETERED


def test_a_model_without_a_price_ends_the_run():
    def unknown(model, usage):
        raise PlanError("the price data have no model 'x'")

    meter = Meter(SpendLimits(usd=Decimal(1)), unknown)
    meter.take(interaction(), [call(9)])
    assert meter.over() == (EndReason.UNMETERED, "the price data have no model 'x'")


@pytest.mark.parametrize("tokens", [0, 5])
def test_tokens_of_zero_are_observed(tokens):
    meter = Meter(SpendLimits(tokens=1000), None)
    for _ in range(11):
        meter.take(interaction(), [call(tokens)])
    assert meter.over() is None
