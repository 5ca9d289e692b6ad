"""A comparison in words: which way, how much, and what may hide."""

from __future__ import annotations

from collections import Counter

import pytest

from profiler.report.likeness import evidence, sentence
from profiler.workload.distance import Sample, compare
from profiler.workload.likeness import Dimension

HIDDEN = (
    "no difference beyond chance, which may hide a distance of up to 0.27; "
    "median 7 against 7 tokens"
)


def dimension(name, unit, ours, theirs):
    samples = [Sample(counts=Counter(v), independent=len(v)) for v in (ours, theirs)]
    return Dimension(name=name, unit=unit, comparison=compare(*samples))


def said(*arguments):
    found = dimension(*arguments)
    return sentence(found, found.comparison)


@pytest.mark.parametrize(
    ("ours", "theirs", "words"),
    [
        ([12] * 500, [85] * 500, "much shorter user messages: median 12 against 85 tokens"),
        ([100] * 500, [75] * 500, "longer user messages: median 100 against 75 tokens"),
        ([110] * 500, [100] * 500, "slightly longer user messages: median 110 against 100 tokens"),
        (
            [10] * 600 + [90] * 400,
            [10] * 900 + [50] * 100,
            "the same median, 10 tokens, but p95 90 against 50",
        ),
        ([7] * 500, [7] * 500, "no difference that matters; median 7 against 7 tokens"),
        (
            [7] * 50,
            [7] * 50,
            HIDDEN,
        ),
    ],
)
def test_which_way_and_how_much(ours, theirs, words):
    """50 against 50: chance explains 1.3581 * sqrt(2 / 50) = 0.272."""
    assert said("user tokens per message", "tokens", ours, theirs) == words


def test_pauses_are_durations():
    words = said("think time", "ms", [2000] * 500, [9000] * 500)
    assert words == "much shorter pauses: median 2.00 s against 9.00 s"


def test_arrivals_are_bunched_or_even():
    bursts, even = [0] * 450 + [10_000] * 50, [1000] * 500
    assert said("arrivals", "permille", bursts, even) == (
        "more bunched than production: 90 % against 0 % come within a tenth of the mean gap"
    )
    assert said("arrivals", "permille", even, bursts).startswith("more even than production")


def test_the_evidence_has_distance_threshold_and_sizes():
    """Half of ours is one token, all of theirs five: distance 0.5 at 1, moved by 2 on average."""
    found = dimension("user tokens per message", "tokens", [1, 5] * 100, [5] * 200)
    assert found.comparison is not None
    assert evidence(found, found.comparison, "sessions") == (
        "KS distance 0.500, in the share of values up to 1 token; chance exceeds 0.136 in 5.0 % "
        "of cases, 200 against 200 sessions; earth mover's distance 2 tokens"
    )
