"""Quantities are written as people read them: three digits, one unit for number and interval."""

from __future__ import annotations

import pytest

from profiler.report.quantities import (
    mean_with_interval,
    percent,
    plural,
    printable,
    quantity,
    value_with_interval,
)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "s", "—"),
        (0, "s", "0"),
        (0.0000123, "s", "12.3 µs"),
        (0.0009996, "s", "1.00 ms"),
        (0.812, "s", "812 ms"),
        (0.9996, "s", "1.00 s"),
        (1.2399, "s", "1.24 s"),
        (99.96, "s", "100 s"),
        (252.0, "s", "4.20 min"),
        (9000.0, "s", "2.50 h"),
        (-0.005, "s", "-5.00 ms"),
        (0, "count", "0"),
        (1.7472, "count", "1.75"),
        (12.34, "count", "12.3"),
        (4213.4, "tokens", "4,213"),
        (12_345, "tokens", "12.3k"),
        (1_234_567, "tokens", "1.23M"),
        (2.5e9, "tokens", "2.50G"),
        (62.04, "tokens/s", "62.0/s"),
        (0, "tokens/s", "0/s"),
    ],
)
def test_one_value(value: float | None, unit: str, text: str):
    assert quantity(value, unit) == text


@pytest.mark.parametrize(
    ("mean", "interval", "unit", "text"),
    [
        (1.24, (1.18, 1.30), "s", "1.24 s ±0.06"),
        (0.812, (0.777, 0.847), "s", "812 ms ±35"),
        (14_700, (12_800, 16_600), "tokens", "14.7k ±1.9"),
        (2.0, (2.0, 2.0), "count", "2.00 ±0"),
        (2.0, (1.999, 2.001), "count", "2.00 ±<0.01"),
        (2.0, None, "count", "2.00 ±?"),
    ],
)
def test_a_mean_and_half_its_interval_share_a_unit(
    mean: float, interval: tuple[float, float] | None, unit: str, text: str
):
    assert mean_with_interval(mean, interval, unit) == text


@pytest.mark.parametrize(
    ("value", "interval", "unit", "text"),
    [
        (3.1, (2.8, 3.6), "s", "3.10 s [2.80, 3.60]"),
        (5, (4, 7), "count", "5 [4, 7]"),
        (9007, (9007, 15007), "tokens", "9,007 [9,007, 15,007]"),
        (34_800, (28_800, 43_800), "tokens", "34.8k [28.8, 43.8]"),
        (210e-3, None, "s", "210 ms [?]"),
        (None, None, "s", "—"),
    ],
)
def test_a_percentile_and_its_interval_share_a_unit(
    value: float | None, interval: tuple[float, float] | None, unit: str, text: str
):
    assert value_with_interval(value, interval, unit) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0, "0 %"),
        (0.0004, "<0.1 %"),
        (0.008, "0.8 %"),
        (0.5, "50 %"),
        (0.9871, "98.7 %"),
        (0.9999, ">99.9 %"),
        (1, "100 %"),
    ],
)
def test_a_share_is_never_all_or_nothing_unless_it_is(share: float, text: str):
    assert percent(share) == text


def test_counts_of_things():
    assert plural(1, "session") == "1 session"
    assert plural(12_345, "session") == "12,345 sessions"


def test_text_from_outside_is_shown_without_control_characters_and_not_endlessly():
    assert printable("a\x1b[2J\nb\u202ec") == "a\ufffd[2J\ufffdb\ufffdc"
    assert printable("x" * 100, 10) == "x" * 9 + "…"
    assert printable("x" * 10, 10) == "x" * 10
