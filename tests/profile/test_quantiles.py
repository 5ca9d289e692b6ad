"""Our quantiles are SciPy's."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import special, stats

from profiler.profile.quantiles import (
    beta_quantile,
    binomial_cdf,
    incomplete_beta,
    student_t_quantile,
    student_t_upper,
)

positive = st.floats(0.05, 5000)


@given(st.integers(1, 10**6), st.sampled_from([0.9, 0.95, 0.975, 0.995]))
def test_students_t_is_scipys_to_twelve_digits(degrees: int, share: float):
    expected = special.stdtrit(degrees, share)
    assert student_t_quantile(degrees, share) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 999, 1000, 1001, 1002, 10**9])
def test_students_t_has_no_seam(degrees: int):
    expected = special.stdtrit(degrees, 0.975)
    assert student_t_quantile(degrees, 0.975) == pytest.approx(expected, rel=1e-12)


def test_students_t_of_one_degree_is_a_tangent():
    assert student_t_quantile(1, 0.975) == pytest.approx(12.706204736174704)  # tan(0.475 pi)


@given(st.floats(-50, 50), st.floats(0.5, 5000))
@example(1.6e-9, 2.0)
@example(9e-4, 5000.0)
@example(-30.0, 900.5)
def test_the_tail_of_students_t_is_scipys(t: float, degrees: float):
    expected = stats.t.sf(t, degrees)
    assert student_t_upper(t, degrees) == pytest.approx(expected, rel=1e-9, abs=1e-300)


@given(positive, positive, st.floats(0, 1))
def test_the_incomplete_beta_function_is_scipys(a: float, b: float, x: float):
    assert incomplete_beta(a, b, x) == pytest.approx(special.betainc(a, b, x), rel=1e-9, abs=1e-12)


@given(positive, positive, st.floats(0.001, 0.999))
def test_quantiles_of_the_beta_distribution_are_scipys(a: float, b: float, share: float):
    expected = special.betaincinv(a, b, share)
    assert beta_quantile(a, b, share) == pytest.approx(expected, rel=1e-8, abs=1e-12)


@given(st.integers(1, 10**6), st.sampled_from([0.5, 0.95, 0.99]), st.integers(-4, 4))
def test_the_binomial_distribution_is_scipys(n: int, p: float, deviations: int):
    k = min(n, max(0, round(n * p + deviations * (n * p * (1 - p)) ** 0.5)))
    assert binomial_cdf(k, n, p) == pytest.approx(special.bdtr(k, n, p), rel=1e-7, abs=1e-12)
