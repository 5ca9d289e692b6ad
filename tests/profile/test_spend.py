"""What a run will cost, by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from profiler.profile.spend import Prices, spend_of


def profile(**metrics: Any) -> Any:
    return SimpleNamespace(
        interaction={
            name: SimpleNamespace(mean=mean, mean_ci95=interval, coverage=coverage)
            for name, (mean, interval, coverage) in metrics.items()
        }
    )


PRICES = Prices(input_usd=2.5, output_usd=10)


def test_dollars_by_hand():
    """200 * (4,000 * 2.5 + 100 * 10) / 1,000,000; the ends with 3,000 and 80, 5,000 and 120."""
    found = spend_of(
        profile(
            input_tokens=(4000, (3000, 5000), 1.0),
            output_tokens=(100, (80, 120), 0.9),
        ),
        200,
        PRICES,
    )
    assert found is not None
    assert found.usd == pytest.approx(2.2)
    assert found.interval_usd == pytest.approx((1.66, 2.74))
    assert found.coverage == 0.9


def test_an_interval_does_not_go_below_nothing_and_may_be_missing():
    found = spend_of(
        profile(input_tokens=(10, (-5, 25), 1.0), output_tokens=(0, (0, 0), 1.0)), 1, PRICES
    )
    assert found is not None
    assert found.interval_usd is not None
    assert found.interval_usd[0] == 0
    one = spend_of(profile(input_tokens=(10, None, 1), output_tokens=(1, (1, 1), 1)), 1, PRICES)
    assert one is not None
    assert one.interval_usd is None


def test_tokens_that_nobody_observed_cost_what_nobody_knows():
    assert spend_of(profile(input_tokens=(10, None, 1.0)), 5, PRICES) is None
