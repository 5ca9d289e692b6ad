"""Numbers of a plan are written as a person would write them on a budget."""

from __future__ import annotations

import pytest

from profiler.planner.plan import Estimate
from profiler.report.plan_words import (
    bytes_text,
    estimate,
    exact,
    exact_money,
    factor_of,
    limit_unit,
    money,
    number,
    stated,
    unit_money,
    utilization,
    with_unit,
)


@pytest.mark.parametrize(
    ("usd", "text"),
    [
        (18000.25, "$18,000"),
        (99.996, "$100"),
        (99.99, "$99.99"),
        (9, "$9.00"),
        (-1, "-$1.00"),
        (0.9996, "$1.00"),
        (0.5, "$0.50"),
        (0.1301, "$0.130"),
        (0.0123, "$0.0123"),
        (0.000004567, "$0.00000457"),
        (0, "$0"),
    ],
)
def test_money_is_whole_when_large_and_has_its_digits_when_tiny(usd: float, text: str):
    assert money(usd) == text


@pytest.mark.parametrize(
    ("usd", "text"),
    [
        ("18000.250000", "$18,000.25"),
        ("0.000001", "$0.000001"),
        ("1E+3", "$1,000.00"),
        ("-12.5", "-$12.50"),
        ("12345678901234567890.123456", "$12,345,678,901,234,567,890.123456"),
    ],
)
def test_the_amounts_of_the_tree_keep_every_digit(usd: str, text: str):
    assert exact_money(usd) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (500, "500"),
        (2.0000000000000004, "2"),
        (1.7472222, "1.747"),
        (374.999999999999, "375"),
        (1746.6, "1,747"),
        (5_078_000, "5,078,000"),
        (0.15, "0.15"),
        (0.083333, "0.08333"),
        (0, "0"),
    ],
)
def test_factors_of_a_sum_have_four_digits_and_are_never_shortened(value: float, text: str):
    assert exact(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(12, "12"), (1.2, "1.20"), (0.00123, "0.00123"), (12_345, "12.3k"), (9_999, "9,999")],
)
def test_other_numbers_have_three_digits(value: float, text: str):
    assert number(value) == text


def test_a_full_limit_is_more_than_a_hundred_percent():
    assert utilization(4 / 3) == "133.3 %"
    assert utilization(13.3333) == "1,333.3 %"
    assert (stated(0.8), stated(0.975)) == ("80 %", "97.5 %")


def test_a_factor_has_the_digits_with_which_the_product_comes_out():
    assert factor_of(1000, 1.7472222, 1747.2222) == "1.747"
    assert factor_of(3000, 1.7472222, 5241.6667) == "1.7472"
    assert factor_of(1000, 5077.6694, 5_077_669.4) == "5,077.669"
    assert factor_of(500, 2, 1000) == "2"
    assert factor_of(10, 3, 31) == "3"  # no digits help: it is another number


def test_prices_per_unit_have_all_their_digits_but_no_endless_ones():
    assert unit_money("0.00000125") == "$0.00000125"
    assert unit_money("0.001571506944444444444444444444") == "$0.00157151"
    assert unit_money("90") == "$90.00"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("6300000 interactions", "6,300,000 interactions"),
        ("129.92378000000002 GB", "129.9 GB"),
        ("18.9 million requests", "18.9 million requests"),
        ("3 containers", "3 containers"),
        ("nan of it", "nan of it"),
        ("inf of it", "inf of it"),
        ("some", "some"),
        ("0 GB", "0 GB"),
    ],
)
def test_quantities_have_separators_and_no_tail(text: str, shown: str):
    assert with_unit(text) == shown


def test_limits_are_named_by_what_they_count():
    assert limit_unit("requests_per_minute") == "requests/min"
    assert limit_unit("input_tokens_per_minute") == "input tokens/min"
    assert limit_unit("concurrent_requests") == "requests in flight"


def test_an_estimate_has_the_simulation_s_interval_or_says_that_there_is_none():
    assert estimate(Estimate(value=0.62, ci95=(0.6, 0.64)), "count") == "0.62 [0.60, 0.64]"
    assert estimate(Estimate(value=3, ci95=None), "count") == "3 [?]"
    assert estimate(Estimate(value=2.34, ci95=None), "s") == "2.34 s [?]"
    assert estimate(Estimate(value=0.062, ci95=(0.05, 0.07)), "share") == "6.2 % [5.0 %, 7.0 %]"


def test_bytes_have_their_unit():
    assert (bytes_text(1.3e9), bytes_text(512), bytes_text(2e12)) == ("1.30 GB", "512 B", "2.00 TB")
