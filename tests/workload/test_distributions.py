import random
from statistics import fmean, median, quantiles
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.workload.distributions import Exponential, Fixed, Lognormal, Uniform


def draw(distribution: Any, count: Any = 50_000) -> Any:
    rng = random.Random(1)
    return [distribution.sample_ns(rng) / 1e9 for _ in range(count)]


def test_fixed_is_always_the_same() -> None:
    assert set(draw(Fixed(value_s=0.3), 10)) == {0.3}


def test_uniform_fills_its_range_evenly() -> None:
    drawn = draw(Uniform(low_s=1.0, high_s=3.0))
    assert min(drawn) >= 1.0
    assert max(drawn) <= 3.0
    assert fmean(drawn) == pytest.approx(2.0, rel=0.01)


def test_exponential_has_its_mean_and_the_median_of_theory() -> None:
    drawn = draw(Exponential(mean_s=2.0))
    assert fmean(drawn) == pytest.approx(2.0, rel=0.02)
    assert median(drawn) == pytest.approx(1.3862943611, rel=0.02)  # mean * ln 2


def test_lognormal_has_its_median_and_p95() -> None:
    drawn = draw(Lognormal(median_s=2.0, p95_s=8.0))
    assert median(drawn) == pytest.approx(2.0, rel=0.02)
    assert quantiles(drawn, n=20)[18] == pytest.approx(8.0, rel=0.03)
    assert fmean(drawn) == pytest.approx(2.8526, rel=0.03)  # 2 * exp(0.84279^2 / 2)


@given(st.integers(min_value=0), st.floats(min_value=0.001, max_value=3600))
def test_no_think_time_is_negative(seed: Any, seconds: Any) -> None:
    distributions = (
        Fixed(value_s=seconds),
        Uniform(low_s=0.0, high_s=seconds),
        Exponential(mean_s=seconds),
        Lognormal(median_s=seconds, p95_s=seconds * 2),
    )
    for distribution in distributions:
        drawn = distribution.sample_ns(random.Random(seed))
        assert isinstance(drawn, int)
        assert drawn >= 0
