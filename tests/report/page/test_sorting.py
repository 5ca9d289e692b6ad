"""Cells sort by the number that they begin with, in its base unit."""

from __future__ import annotations

import pytest

from profiler.report.page.sorting import number_in


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("12.3k", 12_300),
        ("51.8M (43.3M to 77.7M)", 51.8e6),
        ("1,747", 1747),
        ("$51,379 ($38,060 to $77,785)", 51_379),
        ("-$0.50", -0.5),
        ("856 ms ±145", 0.856),
        ("591 µs [440, 885]", 591e-6),
        ("3.22 min", 193.2),
        ("174.7 % (149.6 % to 255.9 %)", 174.7),
        ("<0.1 %", 0.1),
        ("≈ 4 [3, 6]", 4),
        ("2.50 GB", 2.5e9),
        ("+38", 38),
        ("130/s ±5", 130),
        ("3 (2 to 4), 8 slots each", 3),
    ],
)
def test_a_number_as_people_write_it_is_read_in_its_base_unit(text, number):
    assert number_in(text) == pytest.approx(number)


@pytest.mark.parametrize("text", ["", "—", "— (no limit)", "gpt-4o requests/min", "none", "±?"])
def test_words_are_no_number(text):
    assert number_in(text) is None
