"""State and queue load against figures worked by hand."""

from __future__ import annotations

from profiler.planner.arithmetic import monthly_volume, peak_load
from profiler.planner.behaviour import Behaviour, ModelUse
from profiler.planner.demand import Demand
from profiler.planner.inputs import numbers_of, ranges_of
from profiler.planner.state_load import state_load

USE = ModelUse(
    calls_per_interaction=2,
    attempts_per_call=1,
    input_tokens=1,
    cached_input_tokens=0,
    output_tokens=1,
)


def loaded(*, reads: float | None, **workers):
    data = {
        "users": {"peak_concurrent": 600, "interactions_per_minute": 2},
        "traffic": {"interactions_per_day": 1000, "days_per_month": 30},
        "workers": workers,
    }
    demand = Demand.model_validate(data)
    numbers = numbers_of(ranges_of(demand))
    how = Behaviour(
        models={"m": USE}, latency_s=1, state_reads=reads, state_writes=0.5, session_interactions=4
    )
    peak = peak_load(demand, numbers, how, 1.0)
    return state_load(numbers, how, peak, monthly_volume(numbers, how, peak, 1.0))


def test_operations_follow_the_interactions():
    """600 x 2 / 60 = 20 interactions/s."""
    found = loaded(reads=3.0)
    assert (found.reads_per_s, found.writes_per_s) == (60, 10)
    assert found.queue_operations_per_s == 60


def test_memory_holds_sessions_that_go_on_and_those_that_ended_lately():
    """20 / 4 = 5 sessions begin a second; 600 s of them are 3,000, and 600 users are there."""
    found = loaded(reads=1.0, session_idle="10m", memory_per_session="2 MB")
    assert found.hot_sessions == 3600
    assert found.hot_memory_bytes == 7.2e9


def test_cold_state_grows_with_the_month():
    assert loaded(reads=1.0, cold_bytes_per_interaction="10 kB").cold_growth_bytes_per_month == 3e8


def test_what_nobody_observed_or_said_is_not_zero():
    found = loaded(reads=None)
    assert found.reads_per_s is None
    assert found.hot_memory_bytes is None
    assert found.cold_growth_bytes_per_month is None
