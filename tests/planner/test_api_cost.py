"""Cost of an interaction: each sampled call by its own tokens, never by their mean."""

from decimal import Decimal

import pytest

from profiler.errors import PlanError
from profiler.planner.api_cost import CallColumns, api_cost, run_cost
from profiler.planner.demand import Model
from profiler.planner.serving import serving

# dollars per million: input 1, cached 0.1, written 2, output 10
PRICE = {"input": 1, "cached_input": 0.1, "cache_write": 2, "output": 10}


def models(**given):
    return {name: Model.model_validate(model) for name, model in given.items()}


def columns(*calls, interactions=None, model="m"):
    """Calls as (interaction, input, cached, written, output, attempts, succeeded)."""
    rows = list(zip(*calls, strict=True)) if calls else [()] * 7
    return CallColumns(
        interactions=interactions if interactions is not None else max(rows[0]) + 1,
        interaction=rows[0],
        model=[model] * len(calls),
        input_tokens=rows[1],
        cached_input_tokens=rows[2],
        cache_write_tokens=rows[3],
        output_tokens=rows[4],
        reasoning_tokens=[None] * len(calls),
        attempts=rows[5],
        succeeded=rows[6],
    )


def cost_of(calls, demand=None, **options):
    demand = demand if demand is not None else models(m={"price": PRICE})
    return api_cost(calls, serving(calls.model, demand), **options)


def test_an_interaction_costs_the_mean_over_all_sampled_ones_those_without_calls_too():
    calls = columns((0, 1000, 0, 0, 100, 1, True), (0, 1000, 0, 0, 0, 1, True), interactions=2)
    cost = cost_of(calls)
    assert cost.usd_per_interaction == Decimal("0.0015")  # (2000 x 1 + 100 x 10) / 1e6 / 2
    assert cost.per_interaction_usd.tolist() == [0.003, 0.0]


def test_each_kind_of_token_has_its_line():
    cost = cost_of(columns((0, 1000, 300, 200, 40, 1, True)))
    assert cost.by_kind() == {
        "uncached_input": Decimal("0.0005"),
        "cached_input": Decimal("0.00003"),
        "cache_write": Decimal("0.0004"),
        "output": Decimal("0.0004"),
        "request": 0,
        "failed_attempts": 0,
    }
    assert sum(cost.by_kind().values()) == cost.usd_per_interaction == Decimal("0.00133")


def test_failed_attempts_are_billed_as_far_as_the_provider_bills_them():
    calls = columns((0, 1000, 0, 0, 100, 3, True))  # two attempts failed
    assert cost_of(calls).sample_usd == Decimal("0.002")
    # each costs the input side, 0.001; half of them are billed
    assert cost_of(calls, billed=Decimal("0.5")).sample_usd == Decimal("0.003")


def test_a_call_that_failed_for_good_costs_only_its_billed_attempts():
    calls = columns((0, 1000, 0, 0, 100, 1, True), (0, None, None, None, None, 2, False))
    assert cost_of(calls).sample_usd == Decimal("0.002")
    assert cost_of(calls, billed=Decimal(1)).sample_usd == Decimal("0.004")
    assert cost_of(calls).coverage == 1.0


def test_a_call_without_tokens_is_priced_at_its_models_mean_and_told():
    calls = columns(
        (0, 1000, 0, 0, 0, 1, True),
        (1, 3000, 0, 0, 0, 1, True),
        (2, None, None, None, None, 1, True),
    )
    cost = cost_of(calls)
    assert cost.sample_usd == Decimal("0.006")  # 0.001 + 0.003 + their mean
    assert cost.coverage == pytest.approx(2 / 3)


def test_a_model_that_never_told_its_tokens_has_no_cost():
    with pytest.raises(PlanError, match="no call of 'm' told its tokens"):
        cost_of(columns((0, None, None, None, None, 1, True)))


def test_cached_tokens_that_nobody_told_are_priced_as_though_there_were_none():
    cost = cost_of(columns((0, 1000, None, None, 0, 1, True), (0, 1000, 1000, 0, 0, 1, True)))
    assert (cost.sample_usd, cost.cache_coverage) == (Decimal("0.0011"), 0.5)


def test_a_call_that_contradicts_itself_is_refused():
    with pytest.raises(PlanError, match="contradicts itself"):
        cost_of(columns((0, 10, 20, 0, 0, 1, True)))


def test_a_cliff_is_found_by_pricing_calls_not_their_mean():
    # gemini-2.5-pro doubles beyond 200k tokens; two calls of 100k and 300k have a mean of 200k
    calls = columns(
        (0, 100_000, 0, 0, 0, 1, True), (1, 300_000, 0, 0, 0, 1, True), model="gemini-2.5-pro"
    )
    cost = cost_of(calls, {})
    assert cost.sample_usd == Decimal("0.875")  # 0.1 x 1.25 + 0.3 x 2.50; 0.5 at the mean
    assert [tariff.provider for tariff in cost.tariffs] == ["google"]


def test_replacements_take_their_share_of_the_calls():
    demand = models(
        m={"price": PRICE}, small={"price": {"input": 0.1, "output": 1}, "replaces": {"m": "25%"}}
    )
    cost = cost_of(columns((0, 1000, 0, 0, 100, 1, True)), demand)
    assert cost.by_model() == {"small": Decimal("0.00005"), "m": Decimal("0.0015")}


def test_a_replacement_of_a_model_that_was_not_measured_is_refused():
    demand = models(small={"price": PRICE, "replaces": {"mm": 1}})
    with pytest.raises(PlanError, match=r"no calls of 'mm'.*Did you mean 'm'"):
        cost_of(columns((0, 1, 0, 0, 1, 1, True)), demand)


def test_a_share_in_batch_pays_the_batch_price():
    price = {**PRICE, "batch_discount": 0.5}
    demand = models(m={"price": price, "batch": 0.5})
    cost = cost_of(columns((0, 1000, 0, 0, 0, 1, True)), demand)
    assert cost.sample_usd == Decimal("0.00075")
    assert {cell.is_batch: usd for cell, usd in cost.cells.items()} == {
        False: Decimal("0.0005"),
        True: Decimal("0.00025"),
    }


def test_reasoning_is_a_part_of_the_output():
    calls = columns((0, 0, 0, 0, 100, 1, True))
    told = CallColumns(
        **{name: getattr(calls, name) for name in calls.__slots__} | {"reasoning_tokens": [60]}
    )
    cost = cost_of(told)
    assert (cost.sample_usd, cost.reasoning_usd) == (Decimal("0.001"), Decimal("0.0006"))


def test_a_run_on_a_mock_would_have_cost():
    run = run_cost(cost_of(columns((0, 1000, 0, 0, 0, 1, True))), 210, is_mock=True)
    assert (run.usd, run.is_hypothetical) == (Decimal("0.21"), True)
