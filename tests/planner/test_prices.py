"""Prices: from genai-prices' data, checked against published prices and its own calculator."""

import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from genai_prices import Usage, calc_price
from hypothesis import given
from hypothesis import strategies as st

from profiler.errors import PlanError
from profiler.planner.demand import Price
from profiler.planner.prices import (
    call_cost_usd,
    data_version,
    list_tariff,
    newest_price,
    own_tariff,
)
from profiler.planner.tariffs import Tokens

DAY = date(2026, 11, 1)
MILLION = 1_000_000


@pytest.mark.parametrize(
    ("model", "tokens", "usd"),
    [
        # https://openai.com/api/pricing: gpt-4o 2.50 in, 1.25 cached, 10.00 out
        ("gpt-4o", {"input_tokens": 1000, "output_tokens": 100}, "0.0035"),
        (
            "gpt-4o",
            {"input_tokens": 1000, "cached_input_tokens": 400, "output_tokens": 100},
            "0.0030",
        ),
        # https://platform.claude.com/docs/en/about-claude/pricing: Opus 4.5 is 5 in, 6.25 to write
        # the cache for 5 minutes, 0.50 to read it, 25 out:
        # (100 x 5 + 200 x 6.25 + 700 x 0.5 + 40 x 25) / 1e6
        (
            "claude-opus-4-5",
            {
                "input_tokens": 1000,
                "cached_input_tokens": 700,
                "cache_write_tokens": 200,
                "output_tokens": 40,
            },
            "0.0031",
        ),
        # https://ai.google.dev/gemini-api/docs/pricing: gemini-2.5-pro 1.25 and 10 up to 200k
        # tokens of prompt, 2.50 and 15 for all tokens beyond
        ("gemini-2.5-pro", {"input_tokens": 200_000, "output_tokens": 1000}, "0.26"),
        ("gemini-2.5-pro", {"input_tokens": 200_001, "output_tokens": 1000}, "0.5150025"),
    ],
)
def test_a_call_costs_what_its_provider_publishes(model, tokens, usd):
    assert call_cost_usd(model, **tokens, at=DAY) == Decimal(usd)


def test_a_call_without_tokens_costs_nothing():
    assert call_cost_usd("gpt-4o", input_tokens=0, output_tokens=0, at=DAY) == 0


def test_the_batch_interface_costs_half_at_openai():
    plain = call_cost_usd("gpt-4o-mini", input_tokens=MILLION, output_tokens=MILLION, at=DAY)
    batch = call_cost_usd(
        "gpt-4o-mini", input_tokens=MILLION, output_tokens=MILLION, at=DAY, batch=True
    )
    assert (plain, batch) == (Decimal("0.75"), Decimal("0.375"))


def test_a_model_without_a_batch_price_is_refused_in_batch():
    with pytest.raises(PlanError, match=r"no batch price.*models\.claude-sonnet-4-0\.price"):
        list_tariff("claude-sonnet-4-0", at=DAY, batch=True)


@pytest.mark.parametrize(
    "tokens",
    [
        {"input_tokens": -1, "output_tokens": 0},
        {"input_tokens": 1, "output_tokens": -1},
        {"input_tokens": 10, "cached_input_tokens": 11, "output_tokens": 0},
        {"input_tokens": 10, "cached_input_tokens": 6, "cache_write_tokens": 5, "output_tokens": 0},
    ],
)
def test_tokens_that_contradict_each_other_raise(tokens):
    with pytest.raises(ValueError, match=r"negative|more than"):
        call_cost_usd("gpt-4o", **tokens)


def test_an_unknown_model_names_near_ones_and_the_remedy():
    with pytest.raises(PlanError, match=r"no model 'gpt-4oo'.*'gpt-4o'.*models\.gpt-4oo\.price"):
        call_cost_usd("gpt-4oo", input_tokens=1, output_tokens=1)


def test_an_unknown_provider_names_the_nearest():
    with pytest.raises(PlanError, match=r"no provider 'opnai'.*Did you mean 'openai'"):
        list_tariff("gpt-4o", provider="opnai")


@pytest.mark.parametrize(
    ("model", "provider"),
    [("gpt-4o", "github-copilot"), ("meta-llama/llama-3.3-70b-instruct:free", "openrouter")],
)
def test_a_price_of_zero_has_to_be_stated(model, provider):
    with pytest.raises(PlanError, match="no price above 0"):
        list_tariff(model, provider=provider)
    free = own_tariff(model, Price.model_validate({"input": 0, "output": 0}))
    assert free.cost(Tokens(input=MILLION, output=MILLION)).total_usd == 0


def test_output_of_a_model_whose_output_has_no_price_is_not_free():
    embedding = list_tariff("text-embedding-3-small", provider="openai")
    assert embedding.cost(Tokens(input=MILLION, output=0)).total_usd == Decimal("0.02")
    with pytest.raises(PlanError, match="output has no price"):
        embedding.cost(Tokens(input=1, output=1))


@pytest.mark.parametrize(
    ("name", "provider", "priced_as"),
    [
        ("gpt-4o-2024-08-06", "openai", "gpt-4o"),
        ("openai/gpt-4o", "openai", "gpt-4o"),
        ("azure/gpt-4o", "azure", "gpt-4o"),
        ("openrouter/openai/gpt-4o", "openrouter", "openai/gpt-4o"),
        ("models/gemini-2.5-pro", "google", "gemini-2.5-pro"),
        ("publishers/google/models/gemini-2.5-pro", "google", "gemini-2.5-pro"),
        ("vertex_ai/gemini-2.5-pro", "google", "gemini-2.5-pro"),
        (
            "us.anthropic.claude-sonnet-4-20250514-v1:0",
            "aws",
            "regional.anthropic.claude-sonnet-4-20250514-v1:0",
        ),
        (
            "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-sonnet-4-20250514-v1:0",
            "aws",
            "regional.anthropic.claude-sonnet-4-20250514-v1:0",
        ),
    ],
)
def test_names_are_read_as_gateways_and_clouds_write_them(name, provider, priced_as):
    tariff = list_tariff(name)
    assert (tariff.provider, tariff.priced_as) == (provider, priced_as)


def test_the_dearest_hour_of_a_day_is_taken_and_told():
    # deepseek-chat: 0.27 and 1.10 by day, 0.135 and 0.55 from 16:30 to 0:30 UTC
    tariff = list_tariff("deepseek-chat", at=DAY)
    assert (tariff.input.base_usd, tariff.varies_by_hour) == (Decimal("0.27"), True)
    night = list_tariff("deepseek-chat", at=datetime(2026, 11, 1, 20, 0, tzinfo=UTC))
    assert (night.input.base_usd, night.varies_by_hour) == (Decimal("0.135"), False)


def test_a_price_is_that_of_its_day():
    # claude-sonnet-4-6 paid twice beyond 200k tokens until 13 March 2026
    tokens = {"input_tokens": 300_000, "output_tokens": 0}
    before = call_cost_usd("claude-sonnet-4-6", **tokens, at=date(2026, 3, 12))
    after = call_cost_usd("claude-sonnet-4-6", **tokens, at=date(2026, 3, 13))
    assert (before, after) == (Decimal("1.8"), Decimal("0.9"))


def test_a_price_of_ones_own_is_taken_to_the_digit():
    price = Price.model_validate(
        {"input": 0.1, "output": {"low": 0.2, "likely": 0.3, "high": 0.7}, "request": 0.01}
    )
    tokens = Tokens(input=MILLION, cached_input=MILLION, output=MILLION)
    assert own_tariff("mine", price).cost(tokens).total_usd == Decimal("0.41")
    dear = own_tariff("mine", price, draw=lambda numbers: numbers.high)
    assert dear.cost(tokens).total_usd == Decimal("0.81")


def test_a_price_of_ones_own_in_batch_needs_a_discount():
    price = Price.model_validate({"input": 2, "output": 4, "batch_discount": "50%"})
    batch = own_tariff("mine", price, batch=True)
    assert batch.cost(Tokens(input=MILLION, output=MILLION)).total_usd == 3
    with pytest.raises(PlanError, match="Add batch_discount"):
        own_tariff("mine", Price.model_validate({"input": 2, "output": 4}), batch=True)


counts = st.integers(0, 500_000)


MODELS = ["gpt-4o", "gpt-4.1-mini", "claude-sonnet-4-5", "gemini-2.5-pro", "mistral-large", "o3"]


@given(
    model=st.sampled_from(MODELS),
    parts=st.tuples(counts, counts, counts),
    output=counts,
    batch=st.booleans(),
)
def test_every_call_costs_what_the_calculator_of_genai_prices_says(model, parts, output, batch):
    batch = batch and model != "mistral-large"  # which has no batch price
    at = datetime(2026, 11, 1, tzinfo=UTC)
    _, cached, written = parts
    theirs = calc_price(
        Usage(
            input_tokens=sum(parts),
            cache_read_tokens=cached,
            cache_write_tokens=written,
            output_tokens=output,
        ),
        model,
        genai_request_timestamp=at,
        price_context={"processing": "batch"} if batch else None,
    )
    ours = call_cost_usd(
        model,
        input_tokens=sum(parts),
        cached_input_tokens=cached,
        cache_write_tokens=written,
        output_tokens=output,
        at=at,
        batch=batch,
    )
    assert ours == theirs.total_price


@given(model=st.sampled_from(["gpt-4o", "claude-sonnet-4-5"]), tokens=counts, more=counts)
def test_more_tokens_never_cost_less(model, tokens, more):
    few = call_cost_usd(model, input_tokens=tokens, output_tokens=tokens, at=DAY)
    many = call_cost_usd(model, input_tokens=tokens + more, output_tokens=tokens, at=DAY)
    assert few <= many


def test_the_plan_can_say_how_old_its_prices_are():
    assert data_version().startswith("genai-prices 0.")
    assert date(2026, 1, 1) < newest_price(DAY) <= DAY


def test_prices_are_loaded_only_when_one_is_asked_for():
    code = "import sys, profiler.planner.prices; print('genai_prices' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert found.stdout.strip() == "False"
