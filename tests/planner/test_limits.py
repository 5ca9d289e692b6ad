"""What limits refuse, by closed forms: against SciPy, against exact arithmetic, by hand."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, special, stats

from profiler.planner.counts import excess, probability, tail
from profiler.planner.limits import (
    admitted_per_window,
    bucket_rate_for_rejection,
    bucket_rejection,
    failed_after_retries,
    limited_time_share,
    rate_for_rejection,
    rejected_fraction,
    retry_fixed_point,
    window_exceedance,
)


def counted(mean: float, fano: float) -> Any:
    return stats.poisson(mean) if fano == 1 else stats.nbinom(mean / (fano - 1), 1 / fano)


FANOS = [1.0, 1.5, 3.0, 40.0]


@pytest.mark.parametrize("fano", FANOS)
@pytest.mark.parametrize("mean", [0.2, 7.0, 300.0, 20_000.0])
def test_counts_are_scipys(mean, fano):
    count = counted(mean, fano)
    for k in (
        0,
        1,
        int(mean / 2),
        int(mean),
        int(mean + 1),
        int(mean + 5 * math.sqrt(mean * fano)),
    ):
        assert probability(k, mean, fano) == pytest.approx(count.pmf(k), rel=1e-8)
        assert tail(k, mean, fano) == pytest.approx(count.sf(k), rel=1e-8)


@pytest.mark.parametrize("fano", FANOS)
@pytest.mark.parametrize("k", [0, 3, 20, 60, 300])
def test_the_excess_is_its_sum(k, fano):
    above = np.arange(k + 1, 6000)
    expected = float(np.sum((above - k) * counted(20.0, fano).pmf(above)))
    assert excess(k, 20.0, fano) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("sds", [-6, -1, 0, 1, 6])
def test_ten_million_requests_are_summed_to_ten_digits(sds):
    mean = 1e7
    k = int(mean + sds * math.sqrt(mean))
    # Each probability by its ratio to the one at k, which is exact to the last digits; k's own by
    # Stirling's series, of which two terms suffice here.
    log_k = k * math.log1p((mean - k) / k) + (k - mean) - 0.5 * math.log(2 * math.pi * k)
    up = np.cumprod(mean / np.arange(k + 1, k + 60_000)).sum()
    expected = math.exp(log_k - 1 / (12 * k)) * up
    assert tail(k, mean, 1.0) == pytest.approx(expected, rel=1e-8)


def test_a_fano_factor_just_above_one_is_poisson():
    assert tail(110, 100.0, 1 + 1e-9) == pytest.approx(special.pdtrc(110, 100.0), rel=1e-7)
    assert excess(110, 100.0, 1 + 1e-12) == pytest.approx(excess(110, 100.0, 1.0), rel=1e-9)


def test_a_window_admits_whole_requests():
    assert admitted_per_window(100) == 100
    assert admitted_per_window(100, 1.0) == 1
    assert admitted_per_window(59, 1.0) == 0
    assert admitted_per_window(0.7 * 60, 10) == 7
    assert rejected_fraction(10, 59, 1.0) == 1.0
    assert limited_time_share(10, 59, 1.0) == 1.0


@pytest.mark.parametrize("fano", FANOS)
def test_windows_are_tails_and_excesses_of_their_counts(fano):
    # 480 a minute against 500, in windows of 10 s: a mean of 80, 83 admitted.
    count = counted(80.0, fano)
    n = np.arange(84, 5000)
    assert window_exceedance(480, 500, 10, fano) == pytest.approx(count.sf(83), rel=1e-9)
    refused = float(np.sum((n - 83) * count.pmf(n))) / 80
    assert rejected_fraction(480, 500, 10, fano) == pytest.approx(refused, rel=1e-9)


@pytest.mark.parametrize(
    ("mean", "admitted", "fano"),
    [
        (80, 100, 1.5),
        (80, 60, 20),
        (80, 100, 79),
        (80, 100, 82),
        (3, 1, 4),
        (3, 1, 50),
        (0.5, 3, 90),
    ],
)
def test_limited_time_is_the_integral_over_the_window(mean, admitted, fano):
    def used_up(u: float) -> float:
        return float(counted(u * mean, 1 + (fano - 1) * u).sf(admitted - 1))

    expected = integrate.quad(used_up, 0, 1, limit=500, epsabs=1e-13)[0]
    assert limited_time_share(mean, admitted, fano=fano) == pytest.approx(expected, rel=1e-8)


def test_poisson_arrivals_see_time_averages_and_bursts_do_not():
    assert limited_time_share(95, 100) == pytest.approx(rejected_fraction(95, 100), rel=1e-12)
    assert limited_time_share(95, 100, fano=5) < rejected_fraction(95, 100, fano=5)


def bucket_exactly(load: Decimal, burst: int) -> Decimal:
    """The alternating sum, with so many digits that enough are left."""
    with localcontext() as context:
        context.prec = 250
        scale = Decimal(0)
        for j in range(max(1, burst - 1)):
            rest = load * (burst - 1 - j)
            scale += (-rest) ** j / math.factorial(j) * rest.exp() if j else rest.exp()
        return 1 - scale / (1 + load * scale)


@pytest.mark.parametrize("burst", [1, 2, 3, 10, 60])
@pytest.mark.parametrize("load", ["0.05", "0.5", "0.95", "0.999999", "1", "1.00002", "1.3", "7"])
def test_the_bucket_is_the_alternating_sum_in_250_digits(load, burst):
    expected = float(bucket_exactly(Decimal(load), burst))
    assert bucket_rejection(60 * float(load), 60, burst) == pytest.approx(expected, rel=1e-11)


def test_a_bucket_of_one_token_is_dead_while_it_refills():
    # One request per (refill + wait for the next): 1 / (1 + load) of them pass.
    assert bucket_rejection(30, 60, 1) == pytest.approx(0.5 / 1.5)


def test_a_huge_bucket_refuses_what_does_not_refill():
    assert bucket_rejection(120, 60, 100_000) == pytest.approx(0.5, rel=1e-12)
    # At exactly its refill rate: 1 / (1 + W), and W(n) = 2 n + 2/3 + o(1) at load 1.
    assert bucket_rejection(60, 60, 100_000) == pytest.approx(1 / (2 * 99_999 + 5 / 3), rel=1e-9)


@given(load=st.floats(0.01, 5), burst=st.integers(1, 500), more=st.floats(0, 2))
def test_a_bucket_refuses_more_of_more_and_less_with_a_further_token(load, burst, more):
    refused = bucket_rejection(load, 1, burst)
    assert 0 <= refused <= 1
    assert max(0.0, 1 - 1 / load) <= refused * (1 + 1e-9) + 1e-15
    assert bucket_rejection(load + more, 1, burst) >= refused * (1 - 1e-9)
    assert bucket_rejection(load, 1, burst + 1) <= refused * (1 + 1e-9)


@given(
    rate=st.floats(0.1, 3000),
    limit=st.floats(60, 2000),
    fano=st.floats(1, 30),
    more=st.floats(0, 100),
)
def test_windows_refuse_more_of_more(rate, limit, fano, more):
    seen = [
        (f(rate, limit, 60, fano), f(rate + more, limit, 60, fano))
        for f in (window_exceedance, rejected_fraction, limited_time_share)
    ]
    for less, greater in seen:
        assert 0 <= less <= greater * (1 + 1e-8) + 1e-14
        assert greater <= 1


def test_retries_settle_where_the_issue_of_fluids_says():
    # 200 against 100 with one retry: p^2 = 1/2, attempts 200 (1 + p).
    p, attempts = retry_fixed_point(200, 100, 1)
    assert p == pytest.approx(math.sqrt(0.5))
    assert attempts == pytest.approx(200 * (1 + math.sqrt(0.5)))
    assert attempts * (1 - p) == pytest.approx(100)
    assert failed_after_retries(p, 1) == pytest.approx(0.5)
    assert retry_fixed_point(90, 100, 5) == (0.0, 90)
    assert retry_fixed_point(90, 0, 5) == (1.0, 540)


@pytest.mark.parametrize("fano", [1.0, 6.0])
def test_the_inverse_of_a_rejection_is_the_rate(fano):
    rate = rate_for_rejection(500, 0.01, 10, fano)
    assert rejected_fraction(rate, 500, 10, fano) == pytest.approx(0.01, rel=1e-9)
    assert rate_for_rejection(59, 0.01, 1.0) == 0.0


def test_the_inverse_of_a_bucket_is_the_rate():
    # One token: load / (1 + load) = 1/5 at a load of a quarter.
    assert bucket_rate_for_rejection(60, 1, 0.2) == pytest.approx(15)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: window_exceedance(-1, 10), "rate is -1"),
        (lambda: window_exceedance(1, 0), "limit is 0"),
        (lambda: rejected_fraction(1, 10, 0), "window_s is 0"),
        (lambda: rejected_fraction(1, 10, 60, 0.5), "fano is 0.5"),
        (lambda: bucket_rejection(1, 1, 1.5), "burst is 1.5"),  # type: ignore[arg-type]
        (lambda: bucket_rejection(1, 1, 0), "burst is 0"),
        (lambda: bucket_rejection(1, 0, 1), "refill_rate is 0"),
        (lambda: retry_fixed_point(1, 1, -1), "retries is -1"),
        (lambda: failed_after_retries(1.5, 1), "rejection is 1.5"),
        (lambda: rate_for_rejection(10, 1.0), "share is 1.0"),
    ],
)
def test_what_is_outside_the_domain_is_named(call, said):
    with pytest.raises(ValueError, match=said):
        call()
