"""Ticks are round as people read them, hold all values, and are told apart."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.report.charts.axis import SHARE, USD, Axis, axis, axis_around, nice_step

SIZES = st.floats(1e-6, 1e9)
UNITS = st.sampled_from(["s", "tokens", "count", SHARE, USD])


def texts(found: Axis) -> list[str]:
    return [words for _, words in found.ticks]


@pytest.mark.parametrize(
    ("span", "most", "step"),
    [(10, 5, 2), (11, 5, 2.5), (13, 5, 5), (0.9, 3, 0.5), (3000, 6, 500), (1, 1, 1)],
)
def test_a_step_is_the_smallest_round_one_of_which_few_are_enough(span, most, step):
    assert nice_step(span, most) == pytest.approx(step)


def test_ticks_are_written_in_one_unit_with_the_decimals_that_they_need():
    assert texts(axis([0.0012], "s")) == [
        "0",
        "0.25 ms",
        "0.50 ms",
        "0.75 ms",
        "1.00 ms",
        "1.25 ms",
    ]
    assert texts(axis([6.9], "s")) == ["0", "2 s", "4 s", "6 s", "8 s"]
    assert texts(axis([0.4], SHARE)) == ["0", "10 %", "20 %", "30 %", "40 %"]
    assert texts(axis([-150.0, 260.0], USD)) == ["-$200", "-$100", "0", "$100", "$200", "$300"]


def test_minutes_are_round_in_minutes():
    found = axis([600.0], "s")
    assert found.ticks == ((0, "0"), (120, "2 min"), (240, "4 min"), (360, "6 min"), (480, "8 min"),
                           (600, "10 min"))  # fmt: skip


def test_ticks_of_whole_things_are_whole():
    assert texts(axis([3.0], "count", is_whole=True)) == ["0", "1", "2", "3"]


def test_an_axis_around_values_need_not_begin_at_zero():
    found = axis_around([50_000.0, 60_000.0], USD)
    assert (found.low, found.high) == (pytest.approx(49_500), pytest.approx(60_500))
    assert texts(found) == ["$50k", "$55k", "$60k"]


@given(st.lists(SIZES, min_size=1, max_size=5), UNITS)
def test_all_values_and_zero_are_on_the_axis_and_no_two_ticks_read_the_same(values, unit):
    found = axis(values, unit)
    slack = 1e-6
    assert all(-slack <= found.share(value) <= 1 + slack for value in (0.0, *values))
    assert len(set(texts(found))) == len(found.ticks)
    assert len(found.ticks) <= 7


@given(SIZES, SIZES, UNITS)
def test_an_axis_around_two_values_has_both_and_its_ticks_within(low, high, unit):
    found = axis_around([low, high], unit)
    assert found.low < min(low, high) <= max(low, high) < found.high
    assert all(0 <= found.share(value) <= 1 for value, _ in found.ticks)


def test_an_axis_of_nothing_is_an_axis():
    found = axis([], "s")
    assert math.isclose(found.high, 1.0)
    assert found.ticks[0] == (0, "0")
