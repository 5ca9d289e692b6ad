"""The short form of `make soak`: 50,000 interactions, nothing lost, nothing leaked."""

from __future__ import annotations

from itertools import pairwise

import pytest

from benchmarks.soak import Sample, _steady, slope, soak

pytestmark = pytest.mark.system

INTERACTIONS = 50_000
MOST_KB_PER_1000 = 50.0
"""50 bytes an interaction: less than one object. To keep each one's record is 20 times that."""


@pytest.mark.timeout(300)
def test_fifty_thousand_interactions_lose_nothing_and_leak_nothing(tmp_path):
    found = soak(tmp_path, interactions=INTERACTIONS, users=32, workers="2", every_s=0.25)
    assert found.problems == ()
    assert found.processes == 3
    low, high = found.descriptors
    assert high - low <= 2
    assert found.rss_kb_per_1000 < MOST_KB_PER_1000


def test_the_slope_of_memory_is_that_of_the_line_of_least_squares():
    """By hand: y = 3 x + 1, and with one point off by 4 at its end, 3 + 4 · 1.5 / 5."""
    line = [(float(x), 3.0 * x + 1) for x in range(4)]
    assert slope(line) == pytest.approx(3)
    assert slope([*line[:3], (3.0, 14.0)]) == pytest.approx(3 + 4 * 1.5 / 5)
    assert slope(line[:1]) == 0


def test_only_samples_of_all_processes_at_work_are_looked_at():
    counts = [3, 20, 60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 20]
    samples = [
        Sample(at_s=at, processes=3, rss_kb=at, descriptors=count)
        for at, count in enumerate(counts)
    ]
    steady = _steady(samples)
    assert [sample.at_s for sample in steady] == [5, 6, 7, 8, 9, 10, 11]
    assert all(later.at_s > earlier.at_s for earlier, later in pairwise(steady))
