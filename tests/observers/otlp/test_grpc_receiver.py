from __future__ import annotations

import builtins

import pytest

from profiler.clock import ClockAnchor, monotonic_ns
from profiler.errors import UsageError
from profiler.measure.records import LlmCall, ObserverNote
from profiler.observers.in_flight import InFlight
from profiler.observers.otlp.decode import MAX_BYTES
from profiler.observers.otlp.receiver import running_receiver
from tests.observers.otlp.captures import capture, expected, protobuf, truth

grpc = pytest.importorskip("grpc")
pytest.importorskip("grpc.aio")

TRACES = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
LOGS = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
METRICS = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
NAME = "openai-agents-openinference"


def receiver(records, in_flight):
    return running_receiver(
        record=lambda *some: records.extend(some),
        in_flight=in_flight,
        anchor=ClockAnchor.now(),
        port=0,
        grpc_port=0,
    )


@pytest.mark.parametrize("packed", [False, True])
async def test_spans_logs_and_metrics_come_in_over_grpc(packed):
    records, in_flight = [], InFlight()
    for interaction in truth(NAME):
        in_flight.begin(interaction["trace_id"], "hello")
    compression = grpc.Compression.Gzip if packed else grpc.Compression.NoCompression
    async with receiver(records, in_flight) as it:
        now = monotonic_ns()
        for interaction in truth(NAME):
            it.interaction_ended(interaction["trace_id"], now - 1_000_000, now)
        assert it.grpc_address.startswith("127.0.0.1:")
        async with grpc.aio.insecure_channel(it.grpc_address, compression=compression) as channel:
            answer = await channel.unary_unary(TRACES)(protobuf(capture(NAME)))
            assert answer == b""
            assert await channel.unary_unary(LOGS)(b"anything") == b""
            assert await channel.unary_unary(METRICS)(b"anything") == b""
        await it.drain()
    calls = [r for r in records if isinstance(r, LlmCall)]
    assert len(calls) == sum(expected(interaction)["llm_calls"] for interaction in truth(NAME))
    notes = {r.kind: r.count for r in records if isinstance(r, ObserverNote)}
    assert (notes["logs_ignored"], notes["metrics_ignored"]) == (1, 1)


async def test_what_is_wrong_is_refused_and_counted():
    records = []
    async with (
        receiver(records, InFlight()) as it,
        grpc.aio.insecure_channel(it.grpc_address) as channel,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await channel.unary_unary(TRACES)(b"\x0a\xff\xff\xff")
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "malformed protobuf" in refused.value.details()
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await channel.unary_unary(TRACES)(bytes(MAX_BYTES + 1))
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        await it.drain(0)
    assert {r.kind: r.count for r in records} == {"malformed": 1, "too_large": 1}


async def test_without_grpcio_it_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **more):
        if name.partition(".")[0] == "grpc":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UsageError, match=r"agent-profiler\[grpc\]"):
        async with receiver([], InFlight()):
            pass


async def test_a_port_that_is_taken_is_a_usage_error():
    async with receiver([], InFlight()) as it:
        port = int(it.grpc_address.rpartition(":")[2])
        with pytest.raises(UsageError, match="cannot listen"):
            async with running_receiver(
                record=print,
                in_flight=InFlight(),
                anchor=ClockAnchor.now(),
                port=0,
                grpc_port=port,
            ):
                pass
