"""Schedules are arithmetic: no clock, no I/O."""

from __future__ import annotations

import math
import random
from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.load.schedule import (
    ConstantGaps,
    GammaGaps,
    Piece,
    PoissonGaps,
    Process,
    Rate,
    Trace,
    flat,
    offsets_ns,
    ramp,
    rate_at,
    rest_of_trace,
)

S = 1_000_000_000


def first(count: int, rate: Rate, gaps=None, seed: object = 1) -> list[int]:
    process = Process(rate=rate, gaps=gaps if gaps is not None else ConstantGaps())
    return list(islice(offsets_ns(process, random.Random(str(seed))), count))


def gaps_s(offsets: list[int]) -> list[float]:
    return [(b - a) / S for a, b in pairwise(offsets)]


def test_constant_arrivals_do_not_drift():
    offsets = first(600_001, flat(3.0))
    assert offsets[:4] == [0, 333_333_333, 666_666_667, S]
    assert offsets[600_000] == 200_000 * S


def test_poisson_gaps_are_exponential():
    n, rate = 50_000, 20.0
    gaps = gaps_s(first(n, flat(rate), PoissonGaps()))
    mean = sum(gaps) / len(gaps)
    # The mean of n exponential gaps has a standard error of 1/(rate sqrt n): five of them.
    assert mean == pytest.approx(1 / rate, rel=5 / math.sqrt(n))
    # An exponential gap exceeds t with probability exp(-rate t).
    for t in (0.01, 0.05, 0.2):
        share, p = sum(gap > t for gap in gaps) / len(gaps), math.exp(-rate * t)
        assert share == pytest.approx(p, abs=5 * math.sqrt(p * (1 - p) / n))


@pytest.mark.parametrize("burstiness", [0.1, 1.0, 4.0])
def test_gamma_gaps_have_the_variance_that_was_asked_for(burstiness):
    n, rate = 200_000, 5.0
    gaps = gaps_s(first(n, flat(rate), GammaGaps(burstiness=burstiness)))
    mean = sum(gaps) / len(gaps)
    variance = sum((gap - mean) ** 2 for gap in gaps) / len(gaps)
    assert mean == pytest.approx(1 / rate, rel=5 * math.sqrt(burstiness / n))
    # The variance's relative error is sqrt((kurtosis - 1) / n), and a gamma's kurtosis 3 + 6 b.
    error = math.sqrt((2 + 6 * burstiness) / n)
    assert variance / mean**2 == pytest.approx(burstiness, rel=5 * error + 0.01)


def test_a_ramp_arrives_where_its_integral_is_whole():
    # From 0 to 2 a second over 10 s: t^2/10 have arrived by t, so the k-th comes at sqrt(10 k).
    offsets = first(11, ramp(start_per_s=0.0, end_per_s=2.0, duration_s=10.0))
    assert offsets == [round(math.sqrt(10 * k) * S) for k in range(11)]


def test_after_the_ramp_its_last_rate_goes_on():
    offsets = first(14, ramp(start_per_s=0.0, end_per_s=2.0, duration_s=10.0))
    assert [offset - 10 * S for offset in offsets[10:]] == [0, S // 2, S, 3 * S // 2]


def test_a_ramp_may_fall():
    # From 3 to 1 over 4 s: 3t - t^2/4 by t; 8 in all. The 5th: 3t - t^2/4 = 5, t = 2.
    offsets = first(9, ramp(start_per_s=3.0, end_per_s=1.0, duration_s=4.0))
    assert offsets[5] == 2 * S
    assert offsets[8] == 4 * S


def test_steps_hold_their_rate_and_a_pause_has_no_arrivals():
    pieces = (
        Piece(start_per_s=1.0, end_per_s=1.0, duration_s=3.0),
        Piece(start_per_s=0.0, end_per_s=0.0, duration_s=5.0),
        Piece(start_per_s=2.0, end_per_s=2.0, duration_s=1.0),
    )
    offsets = first(8, Rate(pieces=pieces, then_per_s=4.0))
    seconds = [offset / S for offset in offsets]
    # Three by 3 s (the fourth place is where the first step ends), then 2 a second, then 4.
    assert seconds == [0.0, 1.0, 2.0, 3.0, 8.5, 9.0, 9.25, 9.5]


def test_a_trace_is_replayed_as_it_is():
    trace = Trace(offsets_ns=(0, 3, 3, 10))
    assert list(offsets_ns(trace, random.Random(1))) == [0, 3, 3, 10]


@given(
    pieces=st.lists(
        st.builds(
            Piece,
            start_per_s=st.floats(0, 50),
            end_per_s=st.floats(0, 50),
            duration_s=st.floats(0.01, 20),
        ),
        max_size=4,
    ),
    then=st.floats(0.1, 50),
    gaps=st.sampled_from([ConstantGaps(), PoissonGaps(), GammaGaps(burstiness=3.0)]),
    seed=st.integers(0, 5),
)
def test_arrivals_never_go_backwards_and_are_seeded(pieces, then, gaps, seed):
    rate = Rate(pieces=tuple(pieces), then_per_s=then)
    offsets = first(60, rate, gaps, seed)
    assert offsets == sorted(offsets)
    assert offsets[0] >= 0
    assert offsets == first(60, rate, gaps, seed)


def test_the_rate_at_an_instant_is_on_its_line():
    rate = ramp(start_per_s=1, end_per_s=3, duration_s=10)
    assert [rate_at(rate, second) for second in (0, 5, 10, 99)] == [1, 2, 3, 3]
    assert rate_at(flat(7), 0) == 7


@given(st.lists(st.integers(0, 50)), st.integers(0, 50), st.data())
def test_what_is_left_of_a_trace_has_an_arrival_for_each_start_that_had_not_ended(
    offsets, passed_ns, data
):
    trace = sorted(offsets)
    arrived = [offset for offset in trace if offset <= passed_ns]
    ended = data.draw(st.integers(0, len(arrived)))
    left = list(rest_of_trace(trace, passed_ns=passed_ns, ended=ended))
    assert left == [passed_ns] * (len(arrived) - ended) + trace[len(arrived) :]
