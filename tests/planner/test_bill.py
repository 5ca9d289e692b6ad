"""The models' bill of an interaction, and by what it moves: against hand calculation."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from profiler.planner.bill import Bill, bill_of
from profiler.planner.demand import Demand
from profiler.planner.inputs import OneAt, likely
from profiler.planner.measured import measure
from profiler.planner.sensitivity import AS_MEASURED, Change
from tests.planner.planned import DEMAND, MODEL, PRICE, two_calls

AT = date(2026, 11, 1)


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory):
    """Two calls of 1,000 tokens in and 100 out for each of 20 interactions."""
    return measure(two_calls(tmp_path_factory.mktemp("run"), interactions=20)).calls


def bill(calls: Any, price: dict[str, Any] = PRICE, **model: Any) -> Bill:
    models = {MODEL: {"price": price, **model}}
    return bill_of(Demand.model_validate({**DEMAND, "models": models}), calls, AT)


def test_an_interaction_costs_its_calls_tokens(calls):
    # 2 calls x (1,000 x $2 + 100 x $10) / 1,000,000
    assert bill(calls).usd_per_interaction == Decimal("0.006")


@pytest.mark.parametrize(
    ("change", "factor"),
    [
        (AS_MEASURED, 1.0),
        (Change(llm_calls=1.5), 1.5),
        (Change(input_tokens=0.5), 2 / 3),  # 2 x (500 x 2 + 100 x 10) = 4,000 of 6,000
        (Change(output_tokens=2.0), 4 / 3),
        (Change(llm_calls=0.5, input_tokens=0.5), 1 / 3),
        (Change(latency=3.0), 1.0),
    ],
)
def test_a_change_of_the_agent_moves_its_part_of_the_bill(calls, change, factor):
    assert bill(calls).ratio(likely, change) == pytest.approx(factor, rel=1e-12)


def test_what_is_read_from_the_cache_pays_the_cached_price(calls):
    # 750 of 1,000 at $0.5: 250 x 2 + 750 x 0.5 + 100 x 10 = 1,875 of 3,000.
    cheap = bill(calls, {**PRICE, "cached_input": 0.5})
    assert cheap.ratio(likely, Change(cached_share=0.75)) == pytest.approx(0.625, rel=1e-12)
    assert bill(calls).ratio(likely, Change(cached_share=0.75)) == pytest.approx(1)


def test_a_price_that_is_a_range_moves_the_bill_and_others_do_not(calls):
    ranged = bill(calls, {"input": {"low": 1, "likely": 2, "high": 5}, "output": 10})
    assert ranged.prices_vary()
    assert ranged.usd_per_interaction == Decimal("0.006")  # at the likely price
    path = f"models.{MODEL}.price.input"
    low, high = (ranged.ratio(OneAt(path=path, value=usd), AS_MEASURED) for usd in (1.0, 5.0))
    assert (low, high) == pytest.approx((2 / 3, 2))  # 2,000 and 6,000 of 3,000 a call
    assert not bill(calls).prices_vary()
    elsewhere = OneAt(path="users.peak_concurrent", value=9.0)
    assert ranged.ratio(elsewhere, AS_MEASURED) == 1


def test_batch_calls_pay_less_by_their_share(calls):
    # Half of them at half the price: 0.75.
    price = {**PRICE, "batch_discount": "50%"}
    assert bill(calls, price, batch=0.5).usd_per_interaction == Decimal("0.0045")


def test_another_model_s_price_for_the_same_tokens(calls):
    # gpt-4o-mini, by its published prices: $0.15 and $0.60 a million; 1,000 x 0.15 + 100 x 0.60
    # = 210 a call, of 3,000.
    found = bill(calls).ratio(likely, Change(serves=(MODEL, "gpt-4o-mini")))
    assert found == pytest.approx(210 / 3000, rel=1e-9)


def test_another_model_s_own_price_is_the_demand_s(calls):
    # A third of the price a token, for all calls it takes; half of them it has already.
    models = {
        MODEL: {"price": {"input": 3, "output": 9}},
        "own": {"price": {"input": 1, "output": 3}, "replaces": {MODEL: 0.5}},
    }
    found = bill_of(Demand.model_validate({**DEMAND, "models": models}), calls, AT)
    # Half at 3,900 and half at 1,300 a call is 2,600; all at 1,300 is half of that.
    assert found.ratio(likely, Change(serves=(MODEL, "own"))) == pytest.approx(0.5, rel=1e-12)
