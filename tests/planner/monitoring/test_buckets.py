from __future__ import annotations

import json

from profiler.measure.histogram import COUNT, DURATION, Histogram
from profiler.planner.monitoring.buckets import boundary_text, buckets
from profiler.planner.monitoring.files import monitoring_files
from profiler.planner.monitoring.instruments import CONVENTION_SECONDS, CONVENTION_TOKENS
from tests.planner.monitoring.sample import sample_plan, sample_profile


def test_the_conventions_boundaries_are_theirs():
    """As https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/ lists them."""
    seconds = (
        "0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92"
    )
    tokens = (
        "1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864"
    )
    assert ", ".join(map(boundary_text, CONVENTION_SECONDS)) == seconds
    assert ", ".join(map(boundary_text, CONVENTION_TOKENS)) == tokens


def test_a_bucket_ends_at_the_promise_and_at_every_threshold_of_a_p95():
    ends = buckets(sample_plan())
    assert 5.0 in ends["agent_interaction_duration_seconds"]  # answer_latency_p95: 5s
    for trigger in sample_plan().triggers:
        if "histogram_quantile" in trigger.expression:
            assert trigger.threshold in ends[trigger.metric]


def test_boundaries_rise():
    for ends in buckets(sample_plan()).values():
        assert list(ends) == sorted(set(ends))


def test_programs_find_the_same_boundaries_in_a_file():
    content = monitoring_files(sample_plan(), sample_profile())["opentelemetry/buckets.json"]
    assert {name: tuple(ends) for name, ends in json.loads(content).items()} == buckets(
        sample_plan()
    )


def test_a_histogram_counts_what_is_at_or_below_a_bound():
    histogram = Histogram(COUNT)
    histogram.record_many([0, 1, 1, 5, 9])
    assert [histogram.at_or_below(bound) for bound in (-1, 0, 1, 4.9, 5, 8, 9, 1e9)] == [
        *(0, 1, 3, 3, 4, 4, 5, 5)
    ]
    assert Histogram(DURATION).at_or_below(1) == 0
