"""The board, and the two forms in which others get it."""

from __future__ import annotations

from itertools import pairwise

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from profiler.export.board import Board, Histogram, bounds_of
from profiler.export.otlp import request_of
from profiler.export.prometheus import text_of
from profiler.planner import metric_names as names
from profiler.planner.monitoring.instruments import INSTRUMENTS
from tests.system.stores import program


@pytest.fixture
def board() -> Board:
    """Three answers, one refusal, a call that failed beside one that did not, and a gauge."""
    board = Board()
    for seconds in (0.5, 5.0, 5.5):
        board.observe(names.INTERACTION_DURATION, seconds)
        board.add(names.INTERACTIONS, outcome="ok")
    board.add(names.INTERACTIONS, outcome="http_429")
    board.observe(names.LLM_DURATION, 0.02, gen_ai_request_model='a "b"')
    board.observe(names.LLM_DURATION, 9, gen_ai_request_model='a "b"', error_type="timeout")
    board.gauge(names.QUEUE_DEPTH, lambda: 7)
    return board


async def lines(board: Board) -> list[str]:
    return (await text_of(board)).decode().splitlines()


def otlp(board: Board):
    request = ExportMetricsServiceRequest.FromString(
        request_of(board, since_wall_ns=1_000, at_wall_ns=2_000)
    )
    (resource,) = request.resource_metrics
    (scope,) = resource.scope_metrics
    return {metric.name: metric for metric in scope.metrics}


async def test_a_bucket_holds_everything_up_to_its_end_and_the_end_itself(board):
    found = await lines(board)
    assert 'agent_interaction_duration_seconds_bucket{le="0.64"} 1.0' in found
    assert 'agent_interaction_duration_seconds_bucket{le="4.0"} 1.0' in found
    assert 'agent_interaction_duration_seconds_bucket{le="5.0"} 2.0' in found
    assert 'agent_interaction_duration_seconds_bucket{le="6.0"} 3.0' in found
    assert "agent_interaction_duration_seconds_sum 11.0" in found
    assert "agent_interaction_duration_seconds_count 3.0" in found


async def test_what_was_never_observed_is_absent(board):
    text = "\n".join(await lines(board))
    assert names.TOOL_DURATION not in text
    assert names.LLM_RATE_LIMITED not in text
    assert set(otlp(board)) == {
        "agent.interaction.duration",
        "agent.interactions",
        "gen_ai.client.operation.duration",
        "agent.queue.depth",
    }


async def test_a_zero_that_is_known_is_shown(board):
    board.add(names.LLM_RATE_LIMITED, 0, gen_ai_request_model="m")
    assert 'agent_llm_rate_limited_total{gen_ai_request_model="m"} 0.0' in await lines(board)


async def test_a_gauge_is_read_when_somebody_asks():
    depths = iter([3, 8])
    board = Board()
    board.gauge(names.QUEUE_DEPTH, lambda: next(depths))
    assert "agent_queue_depth 3.0" in await lines(board)
    assert "agent_queue_depth 8.0" in await lines(board)


async def test_promtool_reads_the_text(board):
    """`promtool check metrics` parses as Prometheus does; what it says beyond that is style."""
    command = [program("promtool"), "check", "metrics"]
    done = await anyio.run_process(command, input=await text_of(board), check=False)
    assert b"error while linting" not in done.stderr
    assert b"agent_interactions" not in done.stderr


def test_otlp_says_the_same_in_its_own_words(board):
    found = otlp(board)
    (felt,) = found["agent.interaction.duration"].histogram.data_points
    assert (felt.count, felt.sum) == (3, 11.0)
    assert (felt.start_time_unix_nano, felt.time_unix_nano) == (1_000, 2_000)
    counted = dict(zip([*felt.explicit_bounds, None], felt.bucket_counts, strict=True))
    assert {end: n for end, n in counted.items() if n} == {0.64: 1, 5.0: 1, 6.0: 1}
    ended = {
        point.attributes[0].value.string_value: point.as_double
        for point in found["agent.interactions"].sum.data_points
    }
    assert ended == {"ok": 3.0, "http_429": 1.0}
    assert found["agent.interactions"].sum.is_monotonic
    assert found["agent.queue.depth"].gauge.data_points[0].as_double == 7


def test_otlp_spells_attributes_as_the_conventions_do(board):
    calls = otlp(board)["gen_ai.client.operation.duration"].histogram.data_points
    spelled = [{each.key: each.value.string_value for each in call.attributes} for call in calls]
    assert spelled == [
        {"gen_ai.request.model": 'a "b"'},
        {"gen_ai.request.model": 'a "b"', "error.type": "timeout"},
    ]


def test_otlp_is_cumulative(board):
    cumulative = 2  # AGGREGATION_TEMPORALITY_CUMULATIVE in metrics.proto
    found = otlp(board)
    assert found["agent.interactions"].sum.aggregation_temporality == cumulative
    felt = found["agent.interaction.duration"].histogram
    assert felt.aggregation_temporality == cumulative


def test_an_answer_in_round_seconds_can_be_promised():
    """A share of late answers is read off a bucket that ends at the promise."""
    bounds = bounds_of(INSTRUMENTS[names.INTERACTION_DURATION])
    assert {2.0, 5.0, 10.0, 30.0, 60.0, 120.0} <= {*bounds}
    assert {*INSTRUMENTS[names.INTERACTION_DURATION].boundaries} <= {*bounds}


@given(st.lists(st.floats(0, 1e6), max_size=40), st.sets(st.floats(0, 1e6), min_size=1, max_size=9))
def test_every_observation_is_in_exactly_one_bucket(values, ends):
    bounds = tuple(sorted(ends))
    histogram = Histogram(bounds)
    for value in values:
        histogram.observe(value)
    edges = [float("-inf"), *bounds, float("inf")]
    assert histogram.counts == [
        sum(low < value <= high for value in values) for low, high in pairwise(edges)
    ]
