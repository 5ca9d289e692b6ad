"""Tokens per window: by enumeration, by Panjer's recursion, by moments, by sampling."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from profiler.planner.compound import CompoundSum, oversize_share, window_sum
from profiler.planner.limits import limited_time_share, rejected_fraction, window_exceedance

MEASURED = np.rint(np.random.default_rng(7).lognormal(8, 1, 2000))


def panjer(requests: float, fano: float, masses: list[float], length: int) -> np.ndarray:
    """The textbook recursion: Klugman, Panjer and Willmot, *Loss Models*, theorem 9.8."""
    if fano == 1:
        a, b = 0.0, requests
        found = [math.exp(-requests * (1 - masses[0]))]
    else:
        spread, shape = fano - 1, requests / (fano - 1)
        a, b = spread / fano, (shape - 1) * spread / fano
        found = [(1 + spread * (1 - masses[0])) ** -shape]
    for s in range(1, length):
        terms = (
            (a + b * x / s) * masses[x] * found[s - x]
            for x in range(1, min(s, len(masses) - 1) + 1)
        )
        found.append(sum(terms) / (1 - a * masses[0]))
    return np.array(found)


@pytest.mark.parametrize("fano", [1.0, 2.5])
def test_a_few_requests_are_enumerated(fano):
    # Sizes 100 (a quarter), 300: the sum of n is 300 n - 200 k, k binomial. n below 150 is all.
    found = window_sum(3.0, [100, 300], weights=[1, 3], fano=fano)
    count = stats.poisson(3.0) if fano == 1 else stats.nbinom(3.0 / (fano - 1), 1 / fano)
    n, k = np.meshgrid(np.arange(150), np.arange(150), indexing="ij")
    shares = count.pmf(n) * stats.binom.pmf(k, n, 0.25)
    for admitted in (0, 99, 100, 650, 1200, 3000):
        above = np.maximum(300 * n - 200 * k - admitted, 0)
        assert found.exceedance(admitted) == pytest.approx(shares[above > 0].sum(), abs=1e-11)
        assert found.excess_share(admitted) == pytest.approx(
            (shares * above).sum() / 750, abs=1e-11
        )


@pytest.mark.parametrize("fano", [1.0, 4.0])
def test_sums_are_those_of_panjers_recursion(fano):
    masses = [0.1, 0.0, 0.3, 0.2, 0.0, 0.0, 0.0, 0.4]
    expected = np.cumsum(panjer(20.0, fano, masses, 500))
    found = window_sum(20.0, range(8), weights=masses, fano=fano)
    for s in (0, 1, 40, 86, 120, 200, 300):
        assert found.exceedance(s) == pytest.approx(1 - expected[s], abs=1e-11)


@pytest.mark.parametrize("fano", [1.0, 3.0, 101.0, 150.0])
def test_requests_of_one_size_are_a_count_of_requests(fano):
    found = window_sum(100, [8000], fano=fano)
    assert found.step_tokens == 8000
    assert found.rebinned_variance_share == 0.0
    expected = window_exceedance(100, 110, fano=fano)
    assert found.exceedance(880_000) == pytest.approx(expected, abs=1e-11)
    assert found.exceedance(887_999) == pytest.approx(expected, abs=1e-11)
    refused = rejected_fraction(100, 110, fano=fano)
    assert found.excess_share(880_000) == pytest.approx(refused, abs=1e-11)
    # Passed with the 111th request: used up, in the sense of requests, by a limit of 111.
    used_up = limited_time_share(100, 111, fano=fano)
    assert found.limited_time_share(880_000) == pytest.approx(used_up, abs=1e-10)


@pytest.mark.parametrize("rate", [0.5, 40.0, 3_000.0, 100_000.0])
@pytest.mark.parametrize("fano", [1.0, 5.0])
def test_the_lattice_keeps_the_mean_and_widens_by_what_it_says(rate, fano):
    found = window_sum(rate, MEASURED, fano=fano)
    masses = -np.diff(np.append(1.0, found.tails))
    tokens = (found.lattice.first + np.arange(len(found.tails))) * found.step_tokens
    mean = rate * MEASURED.mean()
    variance = rate * ((MEASURED**2).mean() + (fano - 1) * MEASURED.mean() ** 2)
    assert found.mean == pytest.approx(mean)
    assert found.variance == pytest.approx(variance)
    assert float(masses @ tokens) == pytest.approx(mean, rel=1e-9)
    wider = variance * (1 + found.rebinned_variance_share)
    assert float(masses @ (tokens - mean) ** 2) == pytest.approx(wider, rel=1e-6)
    assert found.rebinned_variance_share < 5e-4


@pytest.mark.parametrize("fano", [1.0, 6.0])
def test_a_sampled_sum_exceeds_as_often(fano):
    rng = np.random.default_rng(3)
    rates = np.full(40_000, 30.0) if fano == 1 else rng.gamma(30 / (fano - 1), fano - 1, 40_000)
    counts = rng.poisson(rates)
    drawn = rng.choice(MEASURED, counts.sum())
    sums = np.bincount(np.repeat(np.arange(len(counts)), counts), drawn, len(counts))
    found = window_sum(30.0, MEASURED, fano=fano)
    for share in (0.5, 0.9, 0.99):
        admitted = found.quantile(share)
        low, high = stats.binomtest(int((sums > admitted).sum()), 40_000).proportion_ci(0.999)
        assert low <= found.exceedance(admitted) <= high
    excess = np.maximum(sums - found.quantile(0.9), 0) / found.mean
    error = 3.3 * excess.std() / math.sqrt(len(sums))
    assert found.excess_share(found.quantile(0.9)) == pytest.approx(excess.mean(), abs=error)


@pytest.mark.parametrize("fano", [1.0, 3.0])
@pytest.mark.parametrize("rate", [4.0, 20_000.0])
def test_limited_time_is_the_integral_over_parts_of_the_window(fano, rate):
    whole = window_sum(rate, MEASURED, fano=fano)
    admitted = 0.98 * whole.mean
    at, weights = np.polynomial.legendre.leggauss(60)
    begin = 0.0 if rate < 10 else 0.9
    parts = begin + (at + 1) / 2 * (1 - begin)
    expected = (
        (1 - begin)
        / 2
        * sum(
            weight * window_sum(rate * u, MEASURED, fano=1 + (fano - 1) * u).exceedance(admitted)
            for u, weight in zip(parts, weights, strict=True)
        )
    )
    assert whole.limited_time_share(admitted) == pytest.approx(expected, rel=2e-4)


@given(
    rate=st.floats(0.01, 500),
    fano=st.floats(1, 20),
    sizes=st.lists(st.integers(0, 50_000), min_size=1, max_size=30),
    factor=st.floats(0, 3),
)
def test_probabilities_are_probabilities_and_fall(rate, fano, sizes, factor):
    found = window_sum(rate, sizes, fano=fano)
    admitted = factor * found.mean
    assert 0 <= found.exceedance(admitted + 1) <= found.exceedance(admitted) <= 1
    assert 0 <= found.excess_share(admitted) <= 1
    assert found.limited_time_share(admitted) <= found.exceedance(admitted) + 1e-9


def test_nothing_arrives_and_nothing_is_asked_for():
    for empty in (window_sum(0, [100]), window_sum(10, [0])):
        assert isinstance(empty, CompoundSum)
        assert empty.exceedance(0) == pytest.approx(0.0, abs=1e-12)
        assert empty.excess_share(0) == 0.0
        assert empty.limited_time_share(0) == pytest.approx(0.0, abs=1e-12)


def test_what_is_larger_than_a_window_never_passes():
    assert oversize_share([10, 20, 30, 40], 20) == 0.5
    assert oversize_share([10, 40], 20, weights=[3, 1]) == 0.25


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: window_sum(-1, [1]), "rate_per_minute"),
        (lambda: window_sum(1, []), "tokens"),
        (lambda: window_sum(1, [-1]), "tokens"),
        (lambda: window_sum(1, [1], weights=[0]), "weights are all 0"),
        (lambda: window_sum(1, [1], weights=[1, 2]), "weights"),
        (lambda: window_sum(1, [1], fano=0.9), "fano is 0.9"),
        (lambda: window_sum(1, [1]).exceedance(-1), "admitted_tokens"),
        (lambda: window_sum(1, [1]).quantile(1), "share is 1"),
    ],
)
def test_what_is_outside_the_domain_is_named(call, said):
    with pytest.raises(ValueError, match=said):
        call()
