"""Schedules are arithmetic: no clock, no I/O."""

from __future__ import annotations

import math
import random
from itertools import islice, pairwise

import pytest

from profiler.load.schedule import constant_offsets_ns, poisson_offsets_ns


def test_constant_arrivals_do_not_drift():
    offsets = list(islice(constant_offsets_ns(3.0), 3_000_001))
    assert offsets[:4] == [0, 333_333_333, 666_666_667, 1_000_000_000]
    assert offsets[3_000_000] == 1_000_000 * 1_000_000_000


def test_poisson_gaps_are_exponential():
    n, rate = 50_000, 20.0
    offsets = list(islice(poisson_offsets_ns(rate, random.Random(1)), n))
    gaps = [(b - a) / 1e9 for a, b in pairwise(offsets)]
    mean = sum(gaps) / len(gaps)
    # The mean of n exponential gaps has a standard error of 1/(rate sqrt n): five of them.
    assert mean == pytest.approx(1 / rate, rel=5 / math.sqrt(n))
    # An exponential gap exceeds t with probability exp(-rate t).
    for t in (0.01, 0.05, 0.2):
        share, p = sum(gap > t for gap in gaps) / len(gaps), math.exp(-rate * t)
        assert share == pytest.approx(p, abs=5 * math.sqrt(p * (1 - p) / n))


def test_the_same_generator_gives_the_same_arrivals():
    first = list(islice(poisson_offsets_ns(7.0, random.Random("a")), 100))
    second = list(islice(poisson_offsets_ns(7.0, random.Random("a")), 100))
    assert first == second
    assert first == sorted(first)
