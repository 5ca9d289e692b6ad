"""Fallbacks take over what limits reject: figures worked by hand."""

from __future__ import annotations

import pytest

from profiler.planner.arithmetic import peak_load
from profiler.planner.behaviour import Behaviour, ModelUse
from profiler.planner.demand import Demand
from profiler.planner.fallbacks import with_fallbacks
from profiler.planner.inputs import numbers_of, ranges_of


def loaded(models):
    use = ModelUse(
        calls_per_interaction=2.0,
        attempts_per_call=1.0,
        input_tokens=100.0,
        cached_input_tokens=0.0,
        output_tokens=10.0,
    )
    how = Behaviour(
        models={"big": use},
        latency_s=1.0,
        state_reads=None,
        state_writes=None,
        session_interactions=1.0,
    )
    data = {
        "users": {"peak_concurrent": 500, "interactions_per_minute": 2},
        "traffic": {"peak_to_average": 4},
        "models": models,
    }
    demand = Demand.model_validate(data)
    numbers = numbers_of(ranges_of(demand))
    peak = peak_load(demand, numbers, how, 1.0)
    return with_fallbacks(demand, numbers, peak, providers={}, latency_s={}).models


def test_a_fallback_gets_what_is_over_the_limit():
    """2,000 calls against 1,500: a quarter, 500, goes on."""
    found = loaded(
        {
            "big": {"fallback": "small", "limits": {"requests_per_minute": 1500}},
            "small": {},
        }
    )
    assert found["big"].calls_per_minute == 2000
    assert found["small"].calls_per_minute == pytest.approx(500)
    assert found["small"].input_tokens_per_minute == pytest.approx(50_000)


def test_what_a_fallback_cannot_take_goes_to_its_own():
    """500 against 200: 300 go on, whatever the order in the file."""
    found = loaded(
        {
            "least": {},
            "small": {"fallback": "least", "limits": {"requests_per_minute": 200}},
            "big": {"fallback": "small", "limits": {"requests_per_minute": 1500}},
        }
    )
    assert found["least"].calls_per_minute == pytest.approx(300)


def test_a_limit_that_is_not_reached_sends_nothing_on():
    limits = {"requests_per_minute": 2500}
    assert "small" not in loaded({"big": {"fallback": "small", "limits": limits}, "small": {}})
