"""Pushing to a collector, which may not be there."""

from __future__ import annotations

import anyio
import httpx
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from profiler.export.board import Board
from profiler.export.otlp import Pusher, endpoint_of, headers_of
from profiler.planner import metric_names as names

COLLECTOR = "http://127.0.0.1:4318"


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (COLLECTOR, f"{COLLECTOR}/v1/metrics"),
        (f"{COLLECTOR}/", f"{COLLECTOR}/v1/metrics"),
        (f"{COLLECTOR}/otlp/v1/metrics", f"{COLLECTOR}/otlp/v1/metrics"),
    ],
)
def test_a_base_url_is_enough(given, meant):
    assert endpoint_of(given) == meant


def test_headers_are_read_as_opentelemetry_writes_them():
    assert headers_of("api-key=a%3Db, x-tenant = t") == {"api-key": "a=b", "x-tenant": "t"}
    assert headers_of(None) == {}


async def test_everything_is_pushed_once_more_at_the_end(respx_mock):
    route = respx_mock.post(f"{COLLECTOR}/v1/metrics").mock(return_value=httpx.Response(200))
    board, said = Board(), list[str]()
    pusher = Pusher(board, COLLECTOR, say=said.append, headers={"api-key": "k"}, every_s=3600)
    async with pusher.running():
        board.add(names.INTERACTIONS, 5, outcome="ok")
    (sent,) = [called.request for called in route.calls]
    assert sent.headers["content-type"] == "application/x-protobuf"
    assert sent.headers["api-key"] == "k"
    request = ExportMetricsServiceRequest.FromString(sent.content)
    (metric,) = request.resource_metrics[0].scope_metrics[0].metrics
    assert metric.sum.data_points[0].as_double == 5
    assert (pusher.sent, pusher.failed, said) == (1, 0, [])


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"side_effect": httpx.ConnectError("connection refused")}, "connection refused"),
        ({"return_value": httpx.Response(503)}, "it answers 503"),
    ],
)
async def test_a_collector_that_does_not_take_it_is_said_once(respx_mock, answer, why):
    respx_mock.post(f"{COLLECTOR}/v1/metrics").mock(**answer)
    said: list[str] = []
    pusher = Pusher(Board(), "http://me:hunter2@127.0.0.1:4318", say=said.append, every_s=0.01)
    async with pusher.running():
        while pusher.failed < 3:  # noqa: ASYNC110 - nobody tells
            await anyio.sleep(0.01)
    assert said == [f"metrics cannot be pushed to {COLLECTOR}/v1/metrics: {why}"]
