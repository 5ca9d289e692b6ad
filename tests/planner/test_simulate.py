"""The simulated queue does what theory says where there is theory, and keeps order elsewhere."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profiler.planner import queueing
from profiler.planner.arrivals import arrival_times
from profiler.planner.estimates import Estimate, of_ratio
from profiler.planner.simulate import servers_for_simulated, simulate_queue

EXPONENTIAL = -np.log1p(-(np.arange(20_000) + 0.5) / 20_000)
"""A sample whose distribution is exponential of mean 1, to four digits."""


def holds(estimate: Estimate, truth: float) -> bool:
    """The 95 % interval, half again as wide (99.7 %): with fixed seeds it holds or it is wrong."""
    half = 1.5 * (estimate.high - estimate.value)
    return abs(estimate.value - truth) <= half


@pytest.mark.parametrize(("servers", "utilization"), [(1, 0.5), (4, 0.8), (30, 0.9)])
def test_exponential_service_is_m_m_c(servers, utilization):
    rate = servers * utilization
    found = simulate_queue(
        servers=servers,
        service_times_s=EXPONENTIAL,
        arrival_rate_per_s=rate,
        waits_s=(0.0, 0.5),
        depths=(0, 5),
        seed=2,
    )
    assert found.is_stable
    assert holds(found.utilization, utilization)
    assert holds(found.wait_mean_s, queueing.mean_wait(servers, rate, 1.0))
    assert holds(found.response_mean_s, queueing.mean_wait(servers, rate, 1.0) + 1)
    for t in (0.0, 0.5):
        assert holds(found.wait_exceeds[t], queueing.wait_tail(servers, rate, 1.0, t))
    for n in (0, 5):
        assert holds(found.waiting_exceeds[n], queueing.queue_tail(servers, utilization, n))
    assert holds(found.waiting_mean, rate * queueing.mean_wait(servers, rate, 1.0))  # Little


def waits_at_most(t: float, load: float) -> float:
    """Erlang (1909) for constant service of 1: P(W <= t) in M/D/1."""
    terms = (
        (-load * (t - j)) ** j / math.factorial(j) * math.exp(load * (t - j))
        for j in range(int(t) + 1)
    )
    return (1 - load) * sum(terms)


def test_constant_service_is_m_d_1():
    found = simulate_queue(
        servers=1,
        service_times_s=[1.0],
        arrival_rate_per_s=0.8,
        waits_s=(0.0, 0.5, 1.0, 3.5, 8.0),
        seed=3,
    )
    for t, estimate in found.wait_exceeds.items():
        assert holds(estimate, 1 - waits_at_most(t, 0.8))
    assert holds(found.wait_mean_s, 2.0)  # Pollaczek and Khinchine: 0.8 / (2 x 0.2)


def test_a_response_is_the_wait_and_service_of_one_interaction():
    # M/M/1: the response is exponential of rate 1 - 0.6, its percentiles no sum of two.
    found = simulate_queue(servers=1, service_times_s=EXPONENTIAL, arrival_rate_per_s=0.6, seed=4)
    for percent, estimate in found.response_percentiles_s.items():
        assert holds(estimate, -math.log(1 - percent / 100) / 0.4)


def test_without_a_queue_it_is_erlang_b():
    found = simulate_queue(
        servers=3, service_times_s=[1.0, 2.0], arrival_rate_per_s=2, queue_limit=0, seed=5
    )
    assert holds(found.rejected, queueing.erlang_b(3, 3.0))
    assert found.wait_mean_s.value == 0


def test_a_full_queue_turns_away_and_is_m_m_1_k():
    # M/M/1 with 4 waiting at most, load 1.25: P(full) = (1 - u) u^5 / (1 - u^6).
    found = simulate_queue(
        servers=1,
        service_times_s=EXPONENTIAL,
        arrival_rate_per_s=1.25,
        queue_limit=4,
        depths=(3, 4),
        seed=6,
    )
    assert found.is_stable
    full = 0.25 * 1.25**5 / (1.25**6 - 1)
    assert holds(found.rejected, full)
    assert holds(found.waiting_exceeds[3], full)
    assert found.waiting_exceeds[4].value == 0


def test_a_trace_by_hand():
    # Every 2 s two arrive together, for one server of 1 s: every second one waits 1 s, half the
    # time one waits.
    arrivals_s = np.repeat(np.arange(2000) * 2.0, 2)
    found = simulate_queue(
        servers=1, service_times_s=[0.99], arrivals_s=arrivals_s, depths=(0, 1), waits_s=(0.5,)
    )
    assert found.wait_mean_s.value == pytest.approx(0.99 / 2)
    assert found.wait_exceeds[0.5].value == pytest.approx(0.5)
    assert found.waiting_exceeds[0].value == pytest.approx(0.99 / 2, abs=1e-3)
    assert found.waiting_exceeds[1].value == 0
    assert found.waiting_percentiles[50].value == 0
    assert found.waiting_percentiles[95].value == 1


def test_what_never_settles_says_so():
    found = simulate_queue(
        servers=2, service_times_s=[1.0], arrival_rate_per_s=2, waits_s=(9,), depths=(99,)
    )
    assert not found.is_stable
    assert found.wait_percentiles_s[95].value == math.inf
    assert found.waiting_mean.value == math.inf
    assert found.wait_exceeds[9].value == found.waiting_exceeds[99].value == 1.0


def test_bursts_have_the_variance_asked_for_and_wait_longer():
    times = arrival_times(np.random.default_rng(1), rate_per_s=2, count=400_000, fano=9)
    counts = np.bincount((times / 60).astype(int))[:-1]
    assert counts.mean() == pytest.approx(120, rel=0.02)
    assert counts.var() / counts.mean() == pytest.approx(9, rel=0.1)
    waits = [
        simulate_queue(
            servers=3, service_times_s=[1.0], arrival_rate_per_s=2, fano=fano
        ).wait_mean_s.value
        for fano in (1, 9)
    ]
    assert waits[1] > 2 * waits[0]


def test_equal_seeds_give_equal_results_and_others_do_not():
    found = [
        simulate_queue(
            servers=2,
            service_times_s=[1.0, 3.0],
            arrival_rate_per_s=0.8,
            interactions=5000,
            seed=seed,
        )
        for seed in (1, 1, 2)
    ]
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize("rate", [0.5, 12.0, 100.0])
def test_the_fewest_servers_are_erlangs_where_service_is_exponential(rate):
    found = servers_for_simulated(
        service_times_s=EXPONENTIAL, arrival_rate_per_s=rate, wait_p95_s=0.5
    )
    assert found is not None
    expected = queueing.servers_for(rate, 1.0, 0.5, 0.05)
    assert abs(found.servers - expected) <= max(0, round(rate / 100))
    assert found.queue.wait_percentiles_s[95].value <= 0.5


@settings(max_examples=15)
@given(
    factor=st.floats(0.2, 30),
    more=st.floats(1, 1.2),
    fano=st.sampled_from([1.0, 4.0]),
    seed=st.integers(1, 50),
)
def test_more_load_never_needs_fewer_servers(factor, more, fano, seed):
    needed = [
        servers_for_simulated(
            service_times_s=[0.5, 1.0, 6.0],
            arrival_rate_per_s=1.0,
            load_factor=load_factor,
            fano=fano,
            wait_p95_s=1.0,
            response_p95_s=6.5,
            interactions=4000,
            seed=seed,
        )
        for load_factor in (factor, factor * more)
    ]
    assert needed[0] is not None
    assert needed[1] is not None
    assert needed[0].servers <= needed[1].servers


def test_no_number_of_servers_makes_the_service_itself_faster():
    assert (
        servers_for_simulated(
            service_times_s=[5.0], arrival_rate_per_s=1, response_p95_s=4.0, interactions=2000
        )
        is None
    )


def test_the_error_of_a_ratio_is_cochrans_by_hand():
    # Sums 2 of 1 and 12 of 3: 14 / 4, residuals -1.5 and 1.5, error sqrt(2 x 4.5) / 4 = 0.75; t of
    # one degree of freedom at 97.5 % is 12.7062.
    found = of_ratio(np.array([2.0, 12.0]), np.array([1.0, 3.0]))
    assert found.value == 3.5
    assert found.high - found.value == pytest.approx(0.75 * 12.7062, rel=1e-5)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"servers": 0}, "servers is 0"),
        ({"service_times_s": []}, "service_times_s"),
        ({"service_times_s": [0.0]}, "all 0"),
        ({"arrival_rate_per_s": None}, "give either"),
        ({"arrival_rate_per_s": None, "arrivals_s": [2, 1]}, "ascending"),
        ({"fano": 0.5}, "fano is 0.5"),
        ({"interactions": 10}, "interactions is 10"),
        ({"warmup_share": 1.0}, "warmup_share is 1.0"),
        ({"queue_limit": -1}, "queue_limit is -1"),
    ],
)
def test_what_is_outside_the_domain_is_named(changed, said):
    arguments = {"servers": 1, "service_times_s": [0.5], "arrival_rate_per_s": 1.0, **changed}
    with pytest.raises(ValueError, match=said):
        simulate_queue(**arguments)
