"""A distribution gives percentiles and intervals where the sample supports them, else says why."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.errors import ProfileError
from profiler.profile.distribution import Distribution
from profiler.profile.sample import (
    add_samples,
    distribution_of,
    sample_of_distribution,
    zeros_like,
)
from profiler.profile.tally import Tally


def sample(values, sessions=None, unit="tokens", method="reported", source="response"):
    of_session = defaultdict(list)
    for place, value in enumerate(values):
        of_session[place if sessions is None else sessions[place]].append(value)
    tally = Tally(unit)
    for session in of_session.values():
        tally.add(session)
    return tally.sample(method=method, source=source, eligible=len(values))


def distribution(values, *args, **kwargs) -> Distribution:
    return distribution_of(sample(values, *args, **kwargs))


@pytest.mark.parametrize(
    ("n", "given"),
    [
        (1, ()),
        (2, ("p50",)),
        (10, ("p50", "p90")),
        (20, ("p50", "p90", "p95")),
        (367, ("p50", "p90", "p95")),
        (368, ("p50", "p90", "p95", "p99")),
    ],
)
def test_a_percentile_is_given_from_enough_values_on(n: int, given: tuple[str, ...]):
    found = distribution(range(1, n + 1))
    percentiles = ("p50", "p90", "p95", "p99")
    assert tuple(p for p in percentiles if getattr(found, p) is not None) == given
    assert {p for p in percentiles if p in found.reasons} == set(percentiles) - set(given)


def test_percentiles_of_small_numbers_are_exact_by_nearest_rank():
    found = distribution(range(1, 101))
    assert (found.p50, found.p90, found.p95) == (50, 90, 95)
    # The exact binomial ranks for n = 100 are the 90th and the 100th.
    assert found.p95_ci95 == (90, 100)
    assert found.stable.p95 is True
    assert (found.mean, found.min, found.max) == (50.5, 1, 100)


def test_a_percentile_is_never_above_the_largest_value():
    found = distribution([2_000_001] * 30, unit="s")
    assert found.p95 == found.max == 2.000001


def test_fewer_than_72_values_have_no_interval_of_the_p95():
    found = distribution(range(1, 72))
    assert found.p95_ci95 is None
    assert found.stable.p95 is None
    assert found.reasons["p95_ci95"] == "needs 72 independent values, there are 71"
    assert distribution(range(1, 73)).p95_ci95 is not None


def test_values_of_few_sessions_are_not_72_independent_ones():
    # 8 sessions, one of them wholly slow.
    values = [1] * 95 + [100] * 5
    sessions = [i % 7 for i in range(95)] + [7] * 5
    found = distribution(values, sessions)
    assert found.p95_ci95 is None
    assert "100 of 8 session(s) are worth" in found.reasons["p95_ci95"]


def test_one_session_has_neither_interval_and_is_not_stable():
    found = distribution(range(1, 101), [0] * 100)
    assert found.mean_ci95 is found.p95_ci95 is None
    assert found.stable.mean is False
    assert "one session" in found.reasons["mean_ci95"]


def test_one_value_has_no_spread():
    found = distribution([5])
    assert found.stddev is None
    assert found.reasons["stddev"] == "one value has no spread"
    assert found.mean == 5


def test_stability_is_five_percent_of_the_mean_and_ten_of_the_p95():
    assert distribution([100] * 100).stable.mean is True
    wide = distribution([1, 1000] * 50)
    assert wide.stable.mean is False
    zero = distribution([0] * 100, unit="count")
    assert zero.stable.mean is True
    assert zero.stable.p95 is True


def test_values_out_of_range_are_counted_and_in_the_mean_but_in_no_percentile():
    found = distribution([1_000_000] * 99 + [7_200_000_000], unit="s")  # one of two hours
    assert (found.count, found.out_of_range) == (100, 1)
    assert found.max == 7200
    assert found.mean == pytest.approx((99 + 7200) / 100)
    assert found.p95 == pytest.approx(1, rel=1e-3)
    assert found.p95_ci95 is None
    assert found.reasons["p95_ci95"] == "1 values are out of range"
    lost = distribution([7_200_000_000] * 30, unit="s")
    assert lost.p50 is None


def test_sums_beyond_64_bits_are_exact():
    values = [3_000_000_000] * 400
    found = distribution(values, [0] * 200 + [1] * 200, unit="s")
    assert found.sum_squares == 400 * 9 * 10**18
    assert found.clusters.sum_ss == 2 * (600 * 10**9) ** 2
    assert found.mean == 3000
    assert Distribution.model_validate_json(found.model_dump_json()) == found


@given(
    st.lists(st.tuples(st.integers(0, 10**7), st.integers(0, 5)), min_size=1, max_size=60),
)
def test_a_distribution_can_be_read_back_without_loss(pairs: list[tuple[int, int]]):
    found = distribution([v for v, _ in pairs], [s for _, s in pairs], unit="s")
    again = Distribution.model_validate_json(found.model_dump_json())
    assert distribution_of(sample_of_distribution(again)) == found


@given(st.lists(st.integers(0, 10**6), min_size=2, max_size=80), st.data())
def test_merging_is_measuring_at_once(values: list[int], data: st.DataObject):
    cut = data.draw(st.integers(1, len(values) - 1))
    merged = distribution_of(add_samples(sample(values[:cut]), sample(values[cut:]), "x"))
    at_once = distribution(values)
    same = set(Distribution.model_fields) - {"p95_clusters", "p95_ci95", "stable", "reasons"}
    assert merged.model_dump(include=same) == at_once.model_dump(include=same)


def test_different_kinds_cannot_be_added():
    with pytest.raises(ProfileError, match="differ in the method of x: 'reported' and 'counted'"):
        add_samples(sample([1]), sample([1], method="counted"), "x")
    with pytest.raises(ProfileError, match="differ in the unit of x"):
        add_samples(sample([1]), sample([1], unit="count"), "x")


def test_sources_are_joined():
    merged = add_samples(sample([1], source="response"), sample([1], source="gateway"), "x")
    assert distribution_of(merged).source == "gateway+response"


def test_zeros_stand_in_the_same_sessions():
    zeros = distribution_of(zeros_like(sample([3, 4, 5], [0, 0, 1], unit="count")))
    assert zeros == distribution([0, 0, 0], [0, 0, 1], unit="count")


def test_a_histogram_that_does_not_fit_its_summary_is_refused():
    found = distribution([1, 2, 3])
    of_seconds = found.model_copy(update={"unit": "s"})
    with pytest.raises(ProfileError, match="a histogram in tokens under a summary in s"):
        sample_of_distribution(of_seconds)
    with pytest.raises(ProfileError, match="holds 3 values, its summary says 4"):
        sample_of_distribution(found.model_copy(update={"count": 4}))
