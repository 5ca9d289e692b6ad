"""Burstiness of sessions as they began, against numpy's mean and variance."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.workload.importers.beginnings import Beginnings


def beginnings(times_s: list[float], **options: int) -> Beginnings:
    begun = Beginnings(**options)
    for at_s in times_s:
        begun.add(at_s)
    return begun


@given(st.lists(st.integers(0, 2_000_000), min_size=2, max_size=200), st.integers())
def test_the_indices_are_those_of_counts_in_whole_windows_whatever_the_order(
    times_ms: list[int], seed: int
) -> None:
    random.Random(seed).shuffle(times_ms)
    since_ms = np.array(times_ms) - min(times_ms)
    found = beginnings([1_700_000_000 + ms / 1000 for ms in times_ms]).dispersion()
    assert found is not None
    for length_ms, dispersion in zip((1000, 60_000), found, strict=True):
        whole = int(since_ms.max()) // length_ms
        counts = np.bincount(since_ms // length_ms, minlength=whole)[:whole]
        assert (dispersion.windows, dispersion.total) == (whole, counts.sum())
        if whole >= 10 and counts.sum():
            assert dispersion.index == pytest.approx(counts.var(ddof=1) / counts.mean())


def test_more_times_than_are_kept_still_give_the_rate() -> None:
    begun = beginnings([5.0, 1.0, 3.0, 2.0], most=3)
    assert begun.dispersion() is None
    assert (begun.count, begun.rate_per_s) == (4, 0.75)


def test_sessions_that_all_began_at_one_time_have_no_rate() -> None:
    assert beginnings([7.0, 7.0]).rate_per_s is None
    assert beginnings([]).rate_per_s is None
