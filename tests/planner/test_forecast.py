"""Dates under compound growth, reckoned by hand."""

from __future__ import annotations

import math
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.planner.forecast import after, months_to, reached
from profiler.planner.ranges import Range, certain

START = date(2026, 1, 1)


def test_doubling_every_month_makes_eight_times_in_three_months():
    assert months_to(8.0, 1.0) == pytest.approx(3.0)


def test_ten_per_cent_a_month_triple_in_a_year():
    """1.1^12 = 3.138428376721."""
    assert months_to(3.138428376721, 0.1) == pytest.approx(12.0)
    assert after(START, 12.0) == date(2027, 1, 1)


def test_what_is_there_already_takes_no_time():
    assert months_to(0.5, 0.1) == 0
    assert reached(START, 1.0, certain(0.1)).likely == START


def test_without_growth_there_is_no_date():
    found = reached(START, 2.0, certain(0.0))
    assert (found.likely, found.has_range) == (None, False)


def test_without_draws_the_range_is_that_of_the_growth():
    """Doubling takes 7.27, 4.96 and 1 months of 30.436875 days at 10, 15 and 100 %."""
    found = reached(START, 2.0, Range(0.1, 0.15, 1.0))
    assert found.early == date(2026, 1, 31)
    assert found.likely == date(2026, 6, 1)
    assert found.late == date(2026, 8, 10)


def test_draws_that_never_come_to_it_leave_the_range_open():
    found = reached(START, 2.0, certain(1.0), [2.0] * 18 + [None] * 2)
    assert (found.early, found.likely, found.late) == (date(2026, 1, 31), date(2026, 1, 31), None)
    assert found.has_range


def test_the_range_holds_nine_draws_of_ten():
    """Ratios 2^0 to 2^20 double month by month: the 1st and the 19th are the 5 % and 95 % ends."""
    found = reached(START, 2.0, certain(1.0), [2.0**power for power in range(21)])
    assert found.early == date(2026, 1, 31)
    assert found.late == after(START, 19.0)


@given(st.floats(1.0, 1e6), st.floats(1e-3, 10.0))
def test_growing_for_so_many_months_makes_the_ratio(ratio: float, growth: float):
    assert (1 + growth) ** months_to(ratio, growth) == pytest.approx(ratio, rel=1e-9)


def test_beyond_thirty_years_no_day_is_named():
    assert after(START, 12 * 30 + 1) is None
    assert after(START, math.inf) is None
