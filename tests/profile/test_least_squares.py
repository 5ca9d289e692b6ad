"""Fits from integer sums are those that numpy and scipy find from the values."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from profiler.profile.least_squares import Fit, least_squares


def fit(columns: list[list[int]], y: list[int]) -> Fit | None:
    return least_squares(
        [[dot(a, b) for b in columns] for a in columns],
        [dot(a, y) for a in columns],
        dot(y, y),
        len(y),
    )


def dot(a: list[int], b: list[int]) -> int:
    return sum(x * z for x, z in zip(a, b, strict=True))


def test_a_line_through_points_that_lie_on_it_has_no_error():
    found = fit([[1, 2, 3, 4], [1, 1, 1, 1]], [5, 7, 9, 11])
    assert found == Fit(coefficients=(2.0, 3.0), standard_errors=(0.0, 0.0), residual_sd=0.0)


def test_a_ratio_by_hand():
    # sum xy = 1*2 + 2*3 = 8, sum xx = 5: 1.6. Left: 0.4 and -0.2, squares 0.2, one degree.
    found = fit([[1, 2]], [2, 3])
    assert found is not None
    assert found.coefficients == (1.6,)
    assert found.residual_sd == pytest.approx(math.sqrt(0.2))
    assert found.standard_errors == pytest.approx((math.sqrt(0.2 / 5),))


rows = st.lists(
    st.tuples(st.integers(0, 5000), st.integers(0, 900), st.integers(0, 9000)),
    min_size=6,
    max_size=30,
)


@settings(max_examples=50, deadline=None)
@given(rows)
def test_three_terms_are_those_of_numpy(values: list[tuple[int, int, int]]):
    m, t, y = (list(column) for column in zip(*values, strict=True))
    x = np.array([m, t, [1] * len(y)], dtype=float).T
    assume(np.linalg.cond(x) < 1e7)
    found = fit([m, t, [1] * len(y)], y)
    assert found is not None
    expected, *_ = np.linalg.lstsq(x, np.array(y, dtype=float), rcond=None)
    left = np.array(y) - x @ expected
    variance = left @ left / (len(y) - 3)
    errors = np.sqrt(variance * np.diag(np.linalg.inv(x.T @ x)))
    assert found.coefficients == pytest.approx(expected, rel=1e-6, abs=1e-6)
    assert found.residual_sd == pytest.approx(math.sqrt(variance), rel=1e-6, abs=1e-5)
    assert found.standard_errors == pytest.approx(errors, rel=1e-5, abs=1e-5)


@settings(max_examples=50, deadline=None)
@given(rows)
def test_a_line_is_that_of_scipy(values: list[tuple[int, int, int]]):
    x, _, y = (list(column) for column in zip(*values, strict=True))
    assume(len(set(x)) > 1 and len(set(y)) > 1)
    found = fit([x, [1] * len(y)], y)
    assert found is not None
    expected = stats.linregress(x, y)
    assert found.coefficients == pytest.approx((expected.slope, expected.intercept), abs=1e-6)
    assert found.standard_errors == pytest.approx(
        (expected.stderr, expected.intercept_stderr), rel=1e-6, abs=1e-6
    )


def test_nothing_is_lost_where_floating_point_would_lose_all():
    # Counts of 10^12 that differ by units: their squares have 24 digits, a float 16.
    x = [10**12 + i for i in (0, 1, 2, 3)]
    found = fit([x, [1] * 4], [2 * value + 7 for value in x])
    assert found is not None
    assert found.coefficients == (2.0, 7.0)
    assert found.residual_sd == 0.0


def test_columns_that_depend_on_each_other_have_no_fit():
    assert fit([[1, 2, 3], [2, 4, 6]], [1, 2, 3]) is None
    assert fit([[0, 0]], [1, 2]) is None
