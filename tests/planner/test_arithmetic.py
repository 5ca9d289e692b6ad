"""Demand arithmetic against figures worked by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.planner.arithmetic import monthly_volume, peak_load
from profiler.planner.behaviour import Behaviour, ModelUse
from profiler.planner.demand import Demand
from profiler.planner.inputs import Numbers, numbers_of, ranges_of
from profiler.planner.limit_fit import LimitFit, binding, fits


def use(
    calls: float = 2.0, *, attempts: float = 1.0, tokens: tuple[float, float, float] = (0, 0, 0)
):
    total, cached, output = tokens
    return ModelUse(
        calls_per_interaction=calls,
        attempts_per_call=attempts,
        input_tokens=total,
        cached_input_tokens=cached,
        output_tokens=output,
    )


def behaviour(**models: ModelUse) -> Behaviour:
    return Behaviour(
        models=models, latency_s=4.0, state_reads=None, state_writes=None, session_interactions=5.0
    )


def read(**changes) -> tuple[Demand, Numbers]:
    data = {
        "users": {"peak_concurrent": 500, "interactions_per_minute": 2},
        "traffic": {"peak_to_average": 4, "hours_per_day": 10, "days_per_month": 20},
    }
    demand = Demand.model_validate(data | changes)
    return demand, numbers_of(ranges_of(demand))


def limits_of(demand: Demand, numbers: Numbers, how: Behaviour, provider: str | None = None):
    peak = peak_load(demand, numbers, how, 1.0)
    providers = dict.fromkeys(how.models, provider)
    return fits(
        demand, numbers, peak, providers=providers, latency_s=dict.fromkeys(how.models, 3.0)
    )


def of_kind(found: list[LimitFit], kind: str) -> LimitFit:
    return next(each for each in found if each.limit == kind)


def test_the_worked_example_comes_out_exactly():
    demand, numbers = read(models={"m": {"limits": {"requests_per_minute": 1500}}})
    how = behaviour(m=use(2.0))
    peak = peak_load(demand, numbers, how, 1.0)
    assert peak.interactions_per_minute == 1000
    assert peak.llm_calls_per_minute == 2000
    (found,) = limits_of(demand, numbers, how)
    assert found.demand == 2000
    assert f"{found.utilization:.1%}" == "133.3%"
    assert found.excess == 500
    assert (found.max_users, found.max_users_within_headroom) == (375, 300)
    assert found.calls_that_fit == 1.5


def test_a_closed_loop_waits_thinks_and_goes_on():
    """60 s / (4 s of answer + 26 s of thought) = 2 interactions a minute."""
    demand, numbers = read(users={"peak_concurrent": 30, "think_time": "26s"})
    assert peak_load(demand, numbers, behaviour(m=use()), 1.0).interactions_per_minute == 60


def test_retries_are_requests_too():
    demand, numbers = read()
    peak = peak_load(demand, numbers, behaviour(m=use(2.0, attempts=1.25)), 1.0)
    assert (peak.llm_calls_per_minute, peak.attempts_per_minute) == (2000, 2500)


def test_every_limit_has_its_own_demand_and_the_fullest_binds():
    limits = {
        "requests_per_minute": 4000,  # 2,000: 50 %
        "input_tokens_per_minute": 2_000_000,  # 2,000 x 900 = 1.8 M: 90 %
        "output_tokens_per_minute": 1_000_000,  # 2,000 x 100 = 200 k: 20 %
        "tokens_per_minute": 2_500_000,  # 2 M: 80 %
        "concurrent_requests": 400,  # 2,000 / 60 x 3 s = 100: 25 %
    }
    demand, numbers = read(models={"m": {"limits": limits}})
    found = limits_of(demand, numbers, behaviour(m=use(2.0, tokens=(900, 300, 100))))
    assert {each.limit: pytest.approx(each.utilization) for each in found} == {
        "requests_per_minute": 0.5,
        "input_tokens_per_minute": 0.9,
        "output_tokens_per_minute": 0.2,
        "tokens_per_minute": 0.8,
        "concurrent_requests": 0.25,
    }
    most = binding(found)
    assert most is not None
    assert most.limit == "input_tokens_per_minute"


def test_anthropic_does_not_count_cache_reads_and_debits_max_tokens():
    """2,000 x (900 - 300) = 1.2 M input; 2,000 x 1,024 = 2.048 M output."""
    limits = {
        "input_tokens_per_minute": 2_400_000,
        "output_tokens_per_minute": 4_096_000,
        "max_tokens": 1024,
    }
    demand, numbers = read(models={"m": {"limits": limits}})
    how = behaviour(m=use(2.0, tokens=(900, 300, 100)))
    found = limits_of(demand, numbers, how, "anthropic")
    assert [each.utilization for each in found] == [0.5, 0.5]
    others = limits_of(demand, numbers, how, "openai")
    assert of_kind(others, "input_tokens_per_minute").utilization == 0.75


def test_a_share_of_calls_goes_to_another_model():
    demand, numbers = read(models={"small": {"replaces": {"m": "30%"}}})
    peak = peak_load(demand, numbers, behaviour(m=use(2.0, tokens=(900, 0, 100))), 1.0)
    assert peak.models["small"].calls_per_minute == pytest.approx(600)
    assert peak.models["m"].calls_per_minute == pytest.approx(1400)
    assert peak.models["small"].input_tokens_per_minute == pytest.approx(540_000)


def test_a_model_that_takes_all_calls_leaves_none():
    demand, numbers = read(models={"small": {"replaces": {"m": 1.0}}})
    assert list(peak_load(demand, numbers, behaviour(m=use()), 1.0).models) == ["small"]


def test_a_month_follows_from_the_peak():
    """1,000 / 4 = 250 a minute on average; x 60 x 10 h x 20 days = 3,000,000; / 5 a session."""
    demand, numbers = read()
    how = behaviour(m=use(2.0))
    volume = monthly_volume(numbers, how, peak_load(demand, numbers, how, 1.0), 1.0)
    assert (volume.interactions, volume.sessions, volume.llm_calls) == (3e6, 6e5, 6e6)
    assert volume.active_users is None


def test_a_stated_volume_grows_with_the_factor():
    demand, numbers = read(traffic={"interactions_per_day": 1000})
    how = behaviour(m=use())
    volume = monthly_volume(numbers, how, peak_load(demand, numbers, how, 3.0), 3.0)
    assert volume.interactions == 1000 * 3 * 30


@given(
    users=st.integers(1, 10**6),
    limit=st.integers(1, 10**9),
    calls=st.floats(0.1, 50),
    headroom=st.floats(0.01, 1),
)
def test_as_many_users_as_a_limit_admits_fit_and_one_more_does_not(users, limit, calls, headroom):
    demand, numbers = read(
        users={"peak_concurrent": users, "interactions_per_minute": 2},
        headroom=headroom,
        models={"m": {"limits": {"requests_per_minute": limit}}},
    )
    (found,) = limits_of(demand, numbers, behaviour(m=use(calls)))
    assert found.max_users * 2 * calls <= limit * (1 + 1e-6)
    assert (found.max_users + 1) * 2 * calls > limit * (1 - 1e-6)
    assert found.max_users_within_headroom <= found.max_users
