"""The captures show what the provider saw, whatever way the spans come in."""

from __future__ import annotations

import gzip
import json
import random
from collections import Counter
from functools import cache

import httpx
import pytest

from profiler.clock import ClockAnchor, monotonic_ns
from profiler.measure.records import (
    LlmAttempt,
    LlmCall,
    ObserverNote,
    Outcome,
    StateKind,
    StateOp,
    ToolCall,
)
from profiler.observers.in_flight import InFlight
from profiler.observers.otlp.assemble import assemble
from profiler.observers.otlp.decode import JSON, PROTOBUF, decode
from profiler.observers.otlp.dialects import sighting
from profiler.observers.otlp.receiver import running_receiver
from profiler.observers.otlp.tree import Tree, complete_root
from tests.observers.otlp.captures import (
    NAMES,
    capture,
    capture_bytes,
    expected,
    flat,
    joined,
    protobuf,
    truth,
)

# Counted by hand from the statements in the captures, for the first interaction of each.
# pydantic-ai: GET, GET, SETEX, HSET, SET. openai-agents: LRANGE and GET, eight TYPE (two for each
# of four session writes); SETEX, HSET, and four pipelines of four writes; four WATCH.
STATE = {"pydantic-ai": (2, 3, 0), "openai-agents-openinference": (10, 18, 4)}


def observed(records, trace_id):
    of_it = [r for r in records if getattr(r, "trace_id", None) == trace_id]
    calls = sorted((r for r in of_it if isinstance(r, LlmCall)), key=lambda c: c.start_ns)
    attempts = [r for r in of_it if isinstance(r, LlmAttempt)]
    by_call = [
        [a.http_status for a in attempts if call.start_ns <= a.start_ns <= call.end_ns]
        for call in calls
    ]
    usage = [call.usage for call in calls if call.usage]
    assert [call.attempts for call in calls] == [len(statuses) for statuses in by_call]
    return {
        "llm_calls": len(calls),
        "attempts": by_call,
        "asked_for": [call.tool_calls or () for call in calls],
        "failed": [call.outcome is not Outcome.OK for call in calls],
        "input": sum(one.input_tokens for one in usage),
        "cached": sum(one.cached_input_tokens for one in usage),
        "output": sum(one.output_tokens for one in usage),
        "reasoning": sum(one.reasoning_tokens for one in usage),
    }


def check(name, records):
    for interaction in truth(name):
        trace_id = interaction["trace_id"]
        wanted = expected(interaction)
        assert observed(records, trace_id) == wanted
        tools = [r for r in records if isinstance(r, ToolCall) and r.trace_id == trace_id]
        assert Counter(t.name for t in tools) == Counter(
            tool for names in wanted["asked_for"] for tool in names
        )
        assert all(t.outcome is Outcome.OK and t.end_ns > t.start_ns for t in tools)


def assembled(name, batch):
    traces = {}
    for span in batch.spans:
        traces.setdefault(span.trace_id, []).append(sighting(span))
    records = []
    for interaction in truth(name):
        spans = traces[interaction["trace_id"]]
        window_ns = round(interaction["http_ms"] * 1e6)
        assert complete_root({span.span_id: span for span in spans}, window_ns) is not None
        records += assemble(interaction["trace_id"], Tree(spans)).records
    return records


@pytest.mark.parametrize("name", NAMES)
def test_a_capture_equals_its_truth(name):
    check(name, assembled(name, decode(capture_bytes(name), JSON)))


@pytest.mark.parametrize("name", NAMES)
def test_both_encodings_say_the_same(name):
    assert decode(protobuf(capture(name)), PROTOBUF) == decode(capture_bytes(name), JSON)


@pytest.mark.parametrize("name", NAMES)
def test_state_operations_are_counted_one_by_one(name):
    first = truth(name)[0]["trace_id"]
    records = assembled(name, decode(capture_bytes(name), JSON))
    ops = {r.kind: r.count for r in records if isinstance(r, StateOp) and r.trace_id == first}
    reads, writes, other = STATE[name]
    assert ops == {StateKind.READ: reads, StateKind.WRITE: writes, StateKind.OTHER: other}


@pytest.mark.parametrize("name", NAMES)
def test_failures_are_failures(name):
    records = assembled(name, decode(capture_bytes(name), JSON))
    boom = truth(name)[4]["trace_id"]
    (call,) = (r for r in records if isinstance(r, LlmCall) and r.trace_id == boom)
    assert (call.outcome, call.http_status, call.attempts) == (Outcome.HTTP_5XX, 500, 3)
    limited = truth(name)[3]["trace_id"]
    attempts = [r for r in records if isinstance(r, LlmAttempt) and r.trace_id == limited]
    assert [(a.retry, a.outcome) for a in attempts[:2]] == [
        (0, Outcome.HTTP_429),
        (1, Outcome.OK),
    ]


def test_times_count_from_the_moment_the_agent_took_the_interaction_in():
    records = assembled("pydantic-ai", decode(capture_bytes("pydantic-ai"), JSON))
    first = truth("pydantic-ai")[0]["trace_id"]
    calls = [r for r in records if isinstance(r, LlmCall) and r.trace_id == first]
    # From the capture: `chat mock-1` begins 18.791958 ms after `POST /chat`, ends at 132.940048.
    assert (calls[0].start_ns, calls[0].end_ns) == (18_791_958, 132_940_048)


def server_times(name):
    """When the agent took each interaction in, and when it was done with it: wall clock."""
    spans = decode(capture_bytes(name), JSON).spans
    return [(s.trace_id, s.start_ns, s.end_ns) for s in spans if s.remote_parent]


@cache
def anchor_of(name):
    """Clocks that agree, at a run that has just ended."""
    return ClockAnchor(
        wall_ns=max(end for *_, end in server_times(name)), monotonic_ns=monotonic_ns()
    )


@pytest.mark.parametrize("media", [PROTOBUF, JSON])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", NAMES)
async def test_through_the_receiver_shuffled_and_in_several_batches(name, media, packed):
    singles = flat(capture(name))
    random.Random(7).shuffle(singles)
    batches = [joined(singles[at : at + 40]) for at in range(0, len(singles), 40)]
    records, in_flight = [], InFlight()
    for interaction in truth(name):
        in_flight.begin(interaction["trace_id"], interaction["message"])
    async with (
        running_receiver(
            record=lambda *some: records.extend(some),
            in_flight=in_flight,
            anchor=anchor_of(name),
            port=0,
            hold_s=3600,  # all spans are there before any is late, however slow the machine is
        ) as receiver,
        httpx.AsyncClient(base_url=receiver.url) as client,
    ):
        for trace_id, start_ns, end_ns in server_times(name):
            send_ns = anchor_of(name).monotonic_at(start_ns) - 1_000_000
            receiver.interaction_ended(trace_id, send_ns, send_ns + end_ns - start_ns + 2_000_000)
        headers = {"content-type": media} | ({"content-encoding": "gzip"} if packed else {})
        for batch in batches:
            body = json.dumps(batch).encode() if media == JSON else protobuf(batch)
            content = gzip.compress(body) if packed else body
            answer = await client.post("/v1/traces", content=content, headers=headers)
            assert (answer.status_code, answer.headers["content-type"]) == (200, media)
            assert answer.content == (b"{}" if media == JSON else b"")
        await receiver.drain()
    check(name, records)
    notes = {r.kind: r.count for r in records if isinstance(r, ObserverNote)}
    assert notes == {"foreign_trace": 1}  # the health check from before the run
