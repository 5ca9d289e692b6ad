"""Over real sockets: what is refused and how, and that a run gets on with its work meanwhile."""

from __future__ import annotations

import gzip
import json
import resource
import socket
from contextlib import asynccontextmanager
from time import process_time_ns

import anyio
import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from profiler.clock import ClockAnchor, monotonic_ns
from profiler.errors import UsageError
from profiler.measure.records import LlmCall, ObserverNote
from profiler.observers.in_flight import InFlight
from profiler.observers.otlp.decode import JSON, PROTOBUF
from profiler.observers.otlp.receiver import running_receiver
from tests.observers.otlp.captures import capture, capture_bytes, flat, joined, protobuf, truth

NAME = "pydantic-ai"
MIB = 1 << 20


class Bench:
    def __init__(self, receiver, client, records):
        self.receiver, self.client, self.records = receiver, client, records

    async def post(self, content, media=PROTOBUF, path="/v1/traces", **headers):
        return await self.client.post(
            path, content=content, headers={"content-type": media, **headers}
        )

    async def notes(self):
        await self.receiver.drain(0)
        return {r.kind: r.count for r in self.records if isinstance(r, ObserverNote)}


@asynccontextmanager
async def bench(**options):
    records, in_flight = [], InFlight()
    for interaction in truth(NAME):
        in_flight.begin(interaction["trace_id"], interaction["message"])
    async with (
        running_receiver(
            record=lambda *some: records.extend(some),
            in_flight=in_flight,
            anchor=ClockAnchor.now(),
            port=0,
            **options,
        ) as receiver,
        httpx.AsyncClient(base_url=receiver.url, timeout=30) as client,
    ):
        yield Bench(receiver, client, records)


async def test_it_listens_on_loopback_unless_told_otherwise():
    async with bench() as it:
        assert it.receiver.url.startswith("http://127.0.0.1:")
        assert it.receiver.grpc_address is None


async def test_a_port_that_is_taken_is_a_usage_error():
    async with bench() as it:
        port = httpx.URL(it.receiver.url).port
        with pytest.raises(UsageError, match="cannot listen"):
            async with running_receiver(
                record=print, in_flight=InFlight(), anchor=ClockAnchor.now(), port=port
            ):
                pass


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"\x0a\xff\xff\xff\xff", {}, 400),
        (b"not gzip", {"content-encoding": "gzip"}, 400),
        (b"", {"content-encoding": "br"}, 415),
    ],
)
async def test_errors_in_protobuf_are_a_google_rpc_status(content, headers, status):
    async with bench() as it:
        answer = await it.post(content, **headers)
        assert (answer.status_code, answer.headers["content-type"]) == (status, PROTOBUF)
        # Code 3 in field 1, the message in field 2: OTLP's own `Status` has its message there too.
        assert answer.content[:2] == b"\x08\x03"
        message = Status.FromString(answer.content).message
        assert message
        assert message.isprintable()
        assert set(await it.notes()) == {"malformed" if status == 400 else "wrong_type"}


async def test_errors_in_json_and_in_no_encoding_at_all():
    async with bench() as it:
        answer = await it.post(b"{", JSON)
        assert answer.status_code == 400
        assert answer.json()["message"].startswith("malformed JSON")
        answer = await it.post(b"<html>", "text/html")
        assert answer.status_code == 415
        assert "text/html" in answer.text
        answer = await it.client.get("/v1/traces")
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
        answer = await it.post(b"", path="/v1/spans")
        assert answer.status_code == 404
        assert await it.notes() == {"malformed": 1, "wrong_type": 3}


@pytest.mark.parametrize("media", [PROTOBUF, JSON])
async def test_logs_and_metrics_are_taken_and_left_alone(media):
    async with bench() as it:
        for path in ("/v1/logs", "/v1/metrics", "/v1/metrics"):
            answer = await it.post(b"anything", media, path)
            assert (answer.status_code, answer.content) == (200, b"{}" if media == JSON else b"")
        assert await it.notes() == {"logs_ignored": 1, "metrics_ignored": 2}


async def test_bad_spans_among_good_ones_are_a_partial_success():
    requests = flat(capture(NAME))[:4]
    requests[0]["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["traceId"] = "00" * 16
    async with bench() as it:
        answer = await it.post(json.dumps(joined(requests)).encode(), JSON)
        assert answer.json()["partialSuccess"]["rejectedSpans"] == "1"
        answer = await it.post(protobuf(joined(requests)))
        response = ExportTraceServiceResponse.FromString(answer.content)
        assert response.partial_success.rejected_spans == 1
        assert (await it.notes())["invalid_span"] == 2


@pytest.mark.parametrize("declared", [True, False])
async def test_a_batch_of_100_mb_is_refused_without_taking_memory(declared):
    sent = 100 * MIB

    async def chunks():
        for _ in range(100):
            yield bytes(MIB)

    headers = {"content-length": str(sent)} if declared else {}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB
    async with bench() as it:
        with anyio.fail_after(20):
            answer = await it.post(chunks(), **headers)
        assert answer.status_code == 413
        assert b"export smaller batches" in answer.content
        assert (await it.post(capture_bytes(NAME), JSON)).status_code == 200  # it goes on
        notes = await it.notes()
        assert notes["too_large"] == 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 90 * 1024


async def test_a_gzip_bomb_is_refused():
    async with bench() as it:
        answer = await it.post(gzip.compress(bytes(100 * MIB), 1), **{"content-encoding": "gzip"})
        assert answer.status_code == 413
        assert await it.notes() == {"too_large": 1}


async def test_a_client_that_breaks_off_is_counted():
    async with bench() as it:
        url = httpx.URL(it.receiver.url)
        with socket.create_connection((url.host, url.port)) as raw:
            head = f"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: {PROTOBUF}\r\n"
            raw.sendall((head + "content-length: 100\r\n\r\nabc").encode())
            await anyio.sleep(0.05)
        for _ in range(100):
            await anyio.sleep(0.01)
            if it.receiver._collector.notes.count("malformed"):
                break
        assert await it.notes() == {"malformed": 1}


async def test_the_event_loop_goes_on_while_a_large_batch_is_read():
    big = joined([capture(NAME)] * 150)  # 12,000 spans, 30 MB of JSON
    body = gzip.compress(json.dumps(big).encode(), 1)
    longest_ns = 0

    async def beat():  # by processor time: a machine that stands still is no loop that does
        nonlocal longest_ns
        while True:
            before = process_time_ns()
            await anyio.sleep(0.001)
            longest_ns = max(longest_ns, process_time_ns() - before)

    async with bench() as it, anyio.create_task_group() as group:
        group.start_soon(beat)
        before = process_time_ns()
        answer = await it.post(body, JSON, **{"content-encoding": "gzip"})
        took_ns = process_time_ns() - before
        group.cancel_scope.cancel()
    assert answer.status_code == 200
    assert longest_ns < took_ns / 2


async def test_a_run_that_nobody_told_of_spans_says_so_and_does_not_wait_long():
    async with bench() as it:
        now = monotonic_ns()
        for interaction in truth(NAME):
            it.receiver.interaction_ended(interaction["trace_id"], now - 1_000_000, now)
        told = []
        with anyio.fail_after(5):
            await it.receiver.drain(0.3, lambda missing, left_s: told.append(missing))
        assert told[0] == 5
        assert not any(isinstance(r, LlmCall) for r in it.records)
        assert {r.kind: r.count for r in it.records} == {"no_spans": 5}


async def test_the_chunks_of_a_streamed_answer_are_not_kept():
    async with bench() as it:
        await it.post(capture_bytes(NAME), JSON)
        spans = [
            span
            for request in flat(capture(NAME))
            for span in request["resourceSpans"][0]["scopeSpans"][0]["spans"]
            if span["traceId"] in {interaction["trace_id"] for interaction in truth(NAME)}
        ]
        chunks = [span for span in spans if " http " in span["name"]]
        assert it.receiver._collector.spans_held == len(spans) - len(chunks)
