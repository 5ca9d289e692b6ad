"""The closed forms of queues are those of the textbooks."""

from __future__ import annotations

import math
import subprocess
import sys
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.planner.queueing import (
    erlang_b,
    erlang_c,
    mean_wait,
    queue_tail,
    servers_for,
    wait_tail,
)


def b_by_definition(servers: int, load: Fraction) -> Fraction:
    terms = [load**k / math.factorial(k) for k in range(servers + 1)]
    return terms[-1] / sum(terms)


@pytest.mark.parametrize("servers", [1, 2, 5, 25, 140])
@pytest.mark.parametrize("load", [Fraction(1, 1000), Fraction(7, 2), Fraction(20), Fraction(139)])
def test_erlang_b_and_c_are_their_definitions_in_exact_fractions(servers, load):
    lost = b_by_definition(servers, load)
    assert erlang_b(servers, float(load)) == pytest.approx(float(lost), rel=1e-12)
    if load < servers:
        waits = servers * lost / (servers - load * (1 - lost))
        assert erlang_c(servers, float(load)) == pytest.approx(float(waits), rel=1e-12)


@pytest.mark.parametrize(
    ("servers", "load", "digit"),
    [(5, 1.36, 0.005), (10, 4.46, 0.005), (20, 12.0, 0.05), (50, 37.9, 0.05), (100, 84.1, 0.05)],
)
def test_erlang_b_is_one_percent_where_the_traffic_tables_say(servers, load, digit):
    # The erlangs that so many trunks carry at 1 % loss, as rounded in the usual Erlang B tables.
    assert erlang_b(servers, load - digit) <= 0.01 <= erlang_b(servers, load + digit)


def test_a_hundred_thousand_erlangs_lose_no_digits():
    # Jagerman (1974): with as many servers as erlangs, 1/B = sqrt(pi a / 2) + 2/3 + o(1).
    load = 100_000
    expected = math.sqrt(math.pi * load / 2) + 2 / 3 + math.sqrt(2 * math.pi / load) / 24
    assert 1 / erlang_b(load, load) == pytest.approx(expected, abs=1e-5)


def test_the_emergency_room_of_hillier_and_lieberman():
    # Introduction to Operations Research, "County Hospital": 2 patients an hour, a doctor sees 3.
    assert mean_wait(1, 2, 1 / 3) == pytest.approx(2 / 3)
    assert mean_wait(2, 2, 1 / 3) == pytest.approx(1 / 24)
    assert wait_tail(1, 2, 1 / 3, 0.0) == pytest.approx(2 / 3)
    assert wait_tail(1, 2, 1 / 3, 0.5) == pytest.approx(0.404, abs=5e-4)
    assert wait_tail(1, 2, 1 / 3, 1.0) == pytest.approx(0.245, abs=5e-4)
    assert wait_tail(2, 2, 1 / 3, 0.0) == pytest.approx(1 / 6)
    assert wait_tail(2, 2, 1 / 3, 1.0) == pytest.approx(0.003, abs=5e-4)


def test_one_server_is_pollaczek_and_khinchine():
    # E[W] = rate E[S^2] / (2 (1 - u)): constant service of 1 at u = 0.8 waits 0.8 / 0.4 = 2.
    assert mean_wait(1, 0.8, 1.0, cs2=0) == pytest.approx(2.0)
    # Service 1 or 3 by half: mean 2, E[S^2] = 5; at 0.3 a second 1.5 / 0.8.
    assert mean_wait(1, 0.3, 2.0, cs2=1 / 4) == pytest.approx(1.5 / 0.8)


def test_the_queue_of_one_server_is_geometric():
    # M/M/1: P(more than n in the system) = u^(n + 1), of whom one is in service.
    assert queue_tail(1, 0.7, 0) == pytest.approx(0.7**2)
    assert queue_tail(1, 0.7, 4) == pytest.approx(0.7**6)


def test_the_mean_queue_is_the_sum_of_its_tails_by_littles_law():
    rate, servers = 7.2, 9
    mean = sum(queue_tail(servers, rate / servers, n) for n in range(2000))
    assert mean == pytest.approx(rate * mean_wait(servers, rate, 1.0), rel=1e-9)


@given(
    load=st.floats(0.01, 500),
    t=st.floats(0, 3),
    probability=st.floats(1e-6, 0.9),
)
def test_servers_for_is_enough_and_one_less_is_not(load, t, probability):
    servers = servers_for(load, 1.0, t, probability)
    assert wait_tail(servers, load, 1.0, t) <= probability
    if servers > 1:
        assert wait_tail(servers - 1, load, 1.0, t) > probability


@given(servers=st.integers(1, 300), load=st.floats(0, 400), more=st.floats(0, 50))
def test_more_load_loses_and_waits_more_and_a_further_server_less(servers, load, more):
    b, c = erlang_b(servers, load), erlang_c(servers, load)
    assert 0 <= b <= c <= 1
    assert erlang_b(servers, load + more) >= b * (1 - 1e-12)
    assert erlang_c(servers, load + more) >= c * (1 - 1e-12)
    assert erlang_b(servers + 1, load) <= b
    assert erlang_c(servers + 1, load) <= c


@given(load=st.floats(0.1, 300), more=st.floats(0, 50), t=st.floats(0, 2))
def test_more_load_never_needs_fewer_servers(load, more, t):
    assert servers_for(load + more, 1.0, t, 0.05) >= servers_for(load, 1.0, t, 0.05)


def test_an_overloaded_queue_waits_for_ever():
    assert erlang_c(3, 3.0) == 1.0
    assert mean_wait(3, 4.0, 1.0) == math.inf
    assert wait_tail(3, 3.0, 1.0, 100.0) == 1.0
    assert queue_tail(3, 1.0, 1000) == 1.0
    assert erlang_b(3, 4.0) == pytest.approx(float(b_by_definition(3, Fraction(4))))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: erlang_b(-1, 1.0), "servers is -1"),
        (lambda: erlang_c(0, 1.0), "servers is 0"),
        (lambda: erlang_c(1.5, 1.0), "servers is 1.5"),  # type: ignore[arg-type]
        (lambda: erlang_b(1, math.nan), "offered_load is nan"),
        (lambda: mean_wait(1, -1.0, 1.0), "arrival_rate is -1.0"),
        (lambda: mean_wait(1, 1.0, 0.0), "service_mean is 0.0"),
        (lambda: mean_wait(1, 0.5, 1.0, ca2=-1), "ca2 is -1"),
        (lambda: wait_tail(1, 0.5, 1.0, -1.0), "t is -1.0"),
        (lambda: servers_for(1.0, 1.0, 0.0, 0.0), "probability is 0.0"),
        (lambda: queue_tail(1, 0.5, -1), "n is -1"),
    ],
)
def test_what_is_outside_the_domain_is_named(call, said):
    with pytest.raises(ValueError, match=said):
        call()


def test_closed_forms_load_neither_numpy_nor_pydantic():
    code = (
        "import sys, profiler.planner.queueing, profiler.planner.limits\n"
        "print(sorted({'numpy', 'pydantic', 'httpx'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
