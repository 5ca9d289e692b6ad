"""What shards show of themselves adds up to what one process would have shown."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from profiler.load.glimpse import (
    LONGEST_KIND,
    MOST_BUCKETS,
    Glimpse,
    Overview,
    from_json,
    glimpses,
    to_json,
)
from profiler.load.lines import LONGEST_LINE
from profiler.load.so_far import MOST_ERROR_KINDS, SoFar
from profiler.measure.records import DriverSample, Observer, Outcome, Usage
from tests.profile.journals import interaction, llm_call

NS_PER_US = 1000
LATENCIES_US = st.lists(st.integers(0, 10**9), max_size=40)


def watch(lag_ns: int | None = None, cpu_share: float = 0.1, dropped: int = 0) -> Any:
    latest = None
    if lag_ns is not None:
        latest = DriverSample(
            at_ns=0, in_flight=0, sent=0, ended=0, dropped=dropped, loop_lag_max_ns=lag_ns,
            cpu_share=cpu_share,
        )  # fmt: skip
    return SimpleNamespace(latest=latest, dropped=dropped)


def sent(so_far: SoFar, harness: Any) -> list[Glimpse]:
    """What arrives of it, by way of JSON."""
    messages = [orjson.dumps(to_json(each)) for each in glimpses(so_far, harness)]
    return [from_json(orjson.loads(message)) for message in messages]


@given(st.lists(st.tuples(LATENCIES_US, LATENCIES_US), min_size=1, max_size=4))
def test_percentiles_of_shards_are_those_of_one_process_that_did_it_all(shards):
    """Whatever each had, and however it is spread over what it tells at first and later."""
    alone, overview = SoFar(clock=lambda: 0), Overview(clock=lambda: 0)
    for shard, parts in enumerate(shards):
        of_shard = SoFar(clock=lambda: 0)
        for part in parts:
            for latency_us in part:
                ended = interaction("t", send_ns=0, end_ns=latency_us * NS_PER_US)
                alone.take(ended, ())
                of_shard.take(ended, ())
            for each in sent(of_shard, watch()):
                overview.take(shard, each)
    assert overview.latency.count == alone.latency.count
    for percent in (50, 95, 100):
        assert overview.latency.percentile(percent) == alone.latency.percentile(percent)
    assert overview.sessions_begun == alone.sessions_begun


def test_errors_and_calls_are_added_up_and_told_again_without_counting_twice():
    overview = Overview()
    for shard in range(2):
        so_far = SoFar()
        call = llm_call("t", usage=Usage(input_tokens=100, output_tokens=10))
        so_far.take(interaction("t"), (call, call))
        so_far.take(interaction("u", outcome=Outcome.TIMEOUT), (call,))
        for _ in range(3):
            for each in sent(so_far, watch(dropped=4)):
                overview.take(shard, each)
    calls = overview.calls()
    assert calls is not None
    assert (calls.observer, calls.interactions, calls.llm_calls) == (Observer.RESPONSE, 4, 6)
    assert (calls.input_tokens, calls.output_tokens) == (600, 60)
    assert (overview.errors, overview.dropped, overview.latency.count) == ({"timeout": 2}, 8, 2)


def test_the_harness_is_as_well_as_its_worst_shard():
    overview = Overview()
    assert overview.worst() is None
    for shard, harness in enumerate((watch(2_000, 0.9), watch(9_000, 0.2), watch())):
        for each in sent(SoFar(), harness):
            overview.take(shard, each)
    assert overview.worst() == (9_000, 0.9)
    assert overview.shards == 3


def test_messages_stay_shorter_than_a_line_and_lose_nothing():
    """Every bucket from microseconds to an hour, and errors of the longest names."""
    so_far = SoFar()
    buckets = [high << shift for shift in range(24) for high in range(128, 256)]
    assert len(buckets) > MOST_BUCKETS
    for bucket in buckets:
        so_far.latency.record(bucket, 99_999)
    for number in range(MOST_ERROR_KINDS + 1):
        so_far.errors[f"{number}{'é' * 3 * LONGEST_KIND}"] = 10**9
    told = list(glimpses(so_far, watch(1)))
    assert len(told) == 2
    for each in told:
        assert len(orjson.dumps({"say": "glimpse", "glimpse": to_json(each)})) < LONGEST_LINE
    assert sum(sum(each.latency_us.values()) for each in told) == len(buckets) * 99_999


def test_nobody_saw_calls_is_not_none_were_made():
    overview = Overview()
    for each in sent(SoFar(), watch()):
        overview.take(0, each)
    assert overview.calls() is None
    assert overview.latency.percentile(50) is None
