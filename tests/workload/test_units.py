import math
from decimal import Decimal
from typing import Any

import pytest

from profiler.workload.units import dollars, duration_s, rate_per_s, size_bytes, token_count


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("120s", 120.0),
        ("500ms", 0.5),
        ("2m", 120.0),
        ("2 min", 120.0),
        ("1h", 3600.0),
        ("1.5s", 1.5),
        ("7", 7.0),
        (3, 3.0),
        (0.25, 0.25),
    ],
)
def test_durations_are_read_as_people_write_them(written: Any, seconds: Any) -> None:
    assert seconds == duration_s(written)


@pytest.mark.parametrize(
    ("written", "per_second"),
    [("5/s", 5.0), ("300/min", 5.0), ("300/m", 5.0), ("7200 / h", 2.0), (0.5, 0.5), ("4", 4.0)],
)
def test_rates_are_read_as_people_write_them(written: Any, per_second: Any) -> None:
    assert per_second == rate_per_s(written)


@pytest.mark.parametrize("written", ["", "soon", "-1s", "1:30", "5 parsecs", None, True, [1]])
def test_what_is_no_quantity_is_refused(written: Any) -> None:
    with pytest.raises(ValueError, match="is not a"):
        duration_s(written)
    with pytest.raises(ValueError, match="is not a"):
        rate_per_s(written)


@pytest.mark.parametrize("number", [-1, -0.5, math.inf, math.nan])
def test_negative_and_endless_numbers_are_refused(number: Any) -> None:
    with pytest.raises(ValueError, match="finite"):
        duration_s(number)


@pytest.mark.parametrize(
    ("written", "size"),
    [("64MB", 64_000_000), ("512 KiB", 524_288), ("1GiB", 1_073_741_824), ("7B", 7), (4096, 4096)],
)
def test_sizes_are_read_as_people_write_them(written: Any, size: int) -> None:
    assert size == size_bytes(written)


@pytest.mark.parametrize("written", ["", "big", "-1MB", "1.5MB", "64", "64mb", None, True, -1, 1.0])
def test_what_is_no_size_is_refused(written: Any) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        size_bytes(written)


@pytest.mark.parametrize(
    ("written", "usd"),
    [("5USD", "5"), ("$5", "5"), ("0.10 usd", "0.10"), (0.1, "0.1"), (5, "5"), ("$1.25", "1.25")],
)
def test_dollars_are_exact(written: Any, usd: str) -> None:
    assert dollars(written) == Decimal(usd)


@pytest.mark.parametrize(
    ("written", "tokens"),
    [("2M", 2_000_000), ("500k", 500_000), ("0.5 m", 500_000), ("20000", 20_000), (7, 7)],
)
def test_tokens_are_counted_in_thousands_and_millions(written: Any, tokens: int) -> None:
    assert token_count(written) == tokens


@pytest.mark.parametrize("written", ["5EUR", "-5", "", True, None, math.inf, "1e9"])
def test_what_is_no_amount_is_refused(written: Any) -> None:
    with pytest.raises(ValueError, match="is no"):
        dollars(written)
    with pytest.raises(ValueError, match="is no number of tokens"):
        token_count(written)
