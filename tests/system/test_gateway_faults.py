"""300 LLM calls through the gateway while the provider has all faults at once.

The agent gets what the provider sent, or an error that says what it did; each attempt is recorded
as what it was; nothing hangs, nothing is left.
"""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from dataclasses import dataclass
from typing import Any

import anyio
import pytest

from profiler.endpoints.exchange import Exchange
from profiler.endpoints.http import LeanCaller, Message
from profiler.endpoints.openai_chat import OpenAiChat
from profiler.measure.records import LlmAttempt, LlmCall
from profiler.measure.tokens import TokenCounter
from profiler.mock.fault_plan import FaultPlan
from profiler.mock.options import LlmOptions
from profiler.mock.serve import running_llm
from profiler.observers.gateway import running_gateway
from tests.system.cli import json_lines
from tests.system.faulty_run import open_files

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]

CALLS, AGENTS = 300, 10
GATEWAY_TIMEOUT_S, AGENT_TIMEOUT_S = 4.0, 8.0
LIMIT_BYTES = 4_000_000

# Of each fault: what the gateway records of the attempt, and what the agent gets.
BECOMES: dict[str, tuple[str, set[str | None]]] = {
    "reset_before_headers": ("protocol_error", {"http_502"}),  # nothing to pass on: it says so
    "reset_in_headers": ("protocol_error", {"http_502"}),
    "reset_in_body": ("protocol_error", {"invalid_http"}),  # the agent's answer breaks off, too
    "reset_after_answer": ("ok", {None}),
    "stall": ("timeout", {"http_504"}),  # the gateway gives up before the agent does
    "drip": ("cancelled", {"deadline"}),  # each byte is a sign of life: the agent gives up
    "length_too_long": ("protocol_error", {"invalid_http"}),
    "length_too_short": ("protocol_error", {"stream_cut", "not_json"}),
    "garbage": ("protocol_error", {"http_502"}),
    "truncated": ("protocol_error", {"stream_cut", "not_json"}),
    "duplicate_events": ("ok", {None}),
    "status_429": ("http_429", {"http_429"}),
    "status_429_retry_after": ("http_429", {"http_429"}),
    "status_500": ("http_5xx", {"http_500"}),
    "status_502": ("http_5xx", {"http_502"}),
    "status_503": ("http_5xx", {"http_503"}),
    "status_504": ("http_5xx", {"http_504"}),
    "error_in_body": ("agent_error", {"error_in_stream", "error_in_body"}),
    "endless": ("cancelled", {"body_too_large", "deadline"}),  # by the agent, who has a limit
    "large": ("ok", {None}),
    "clock_jump": ("ok", {None}),
}
# A server that closes its socket refuses; or breaks off who was waiting there.
UNSEEN = {("connect_error", "http_502"), ("protocol_error", "http_502")}


def plan() -> FaultPlan:
    faults: list[dict[str, Any]] = [{"kind": "refuse", "from": "1s", "for": "100ms"}]
    for name in BECOMES:
        fault: dict[str, Any] = {"kind": name, "share": 0.03}
        if name.startswith("status_"):
            fault |= {"kind": "status", "status": int(name.split("_")[1])}
            fault |= {"retry_after": 2} if name.endswith("retry_after") else {}
        fault |= {"megabytes": 2} if name == "large" else {}
        fault |= {"jump": "-1h"} if name == "clock_jump" else {}
        faults.append(fault)
    return FaultPlan.model_validate({"seed": 5, "llm": faults})


@dataclass(frozen=True)
class Traffic:
    """What the agents got by trace id, what the gateway recorded, what the provider did."""

    got: dict[str, Exchange]
    attempts: dict[str, LlmAttempt]
    truth: list[dict[str, Any]]


async def calls(base: str) -> dict[str, Exchange]:
    """Let the agents make their calls, every other one as a stream."""
    got: dict[str, Exchange] = {}
    caller = LeanCaller(timeout_s=AGENT_TIMEOUT_S, max_body_bytes=LIMIT_BYTES)
    endpoints = [
        OpenAiChat(url=f"{base}/chat/completions", model="gpt-4o", stream=stream, headers={})
        for stream in (False, True)
    ]
    left = iter(range(CALLS))

    async def agent() -> None:
        for number in left:
            trace_id = f"{number + 1:032x}"
            headers = {"traceparent": f"00-{trace_id}-{number + 1:016x}-01"}
            dialogue = endpoints[number % 2].begin(trace_id)
            got[trace_id] = await caller.call(Message.of(dialogue, f"Question {number}", headers))
            await anyio.sleep(0.05)

    async with anyio.create_task_group() as tasks:
        for _ in range(AGENTS):
            tasks.start_soon(agent)
    await caller.aclose()
    return got


def open_sockets() -> int:
    """Count the sockets of this process."""
    return sum("socket:" in name for name in open_files())


async def test_what_a_faulty_provider_does_is_passed_on_and_recorded_as_it_was(tmp_path):
    records: list[Any] = []
    counter = TokenCounter("o200k_base")
    counter.prepare()
    sockets, tasks = open_sockets(), len(asyncio.all_tasks())
    async with (
        running_llm(
            llm=LlmOptions(speed=float("inf")), truth=tmp_path / "truth.jsonl", faults=plan()
        ) as urls,
        running_gateway(
            upstream=str(urls.llm),
            record=lambda *some: records.extend(some),
            in_flight=None,
            counter=counter,
            port=0,
            timeout_s=GATEWAY_TIMEOUT_S,
        ) as gateway,
    ):
        got = await calls(gateway.openai_base_url)
    attempts = [r for r in records if isinstance(r, LlmAttempt)]
    traffic = Traffic(got, {a.trace_id: a for a in attempts}, json_lines(tmp_path / "truth.jsonl"))
    assert len(got) == len(attempts) == len(traffic.attempts) == CALLS
    wrong = [x for x in (judged(traffic, trace_id) for trace_id in got) if x is not None]
    assert wrong == []
    assert usage_told(records, traffic) == usage_billed(traffic)
    injected = Counter(x["fault"] for x in traffic.truth if x["kind"] == "fault")
    assert set(injected) == {*BECOMES, "refuse"}
    gc.collect()
    await anyio.sleep(0.1)
    assert open_sockets() <= sockets
    assert len(asyncio.all_tasks()) == tasks


def sound(traffic: Traffic) -> set[str]:
    """Return the calls that were answered by the provider, whole, with their usage."""
    broken = {
        line["trace_id"]
        for line in traffic.truth
        if line.get("fault") not in {None, "duplicate_events", "clock_jump", "refuse"}
    }
    served = {line["trace_id"] for line in traffic.truth if line["kind"] == "llm_request"}
    return served - broken


def usage_billed(traffic: Traffic) -> dict[str, tuple[int, int]]:
    calls = sound(traffic)
    return {
        line["trace_id"]: (line["prompt_tokens"], line["completion_tokens"])
        for line in traffic.truth
        if line["kind"] == "llm_request" and line["trace_id"] in calls
    }


def usage_told(records: list[Any], traffic: Traffic) -> dict[str, Any]:
    """Return the usage that the gateway read: events that come twice are counted once."""
    calls = sound(traffic)
    return {
        record.trace_id: (record.usage.input_tokens, record.usage.output_tokens)
        for record in records
        if isinstance(record, LlmCall) and record.trace_id in calls and record.usage is not None
    }


def met_refusal(traffic: Traffic, exchange: Exchange) -> bool:
    """Say whether the provider refused connections at a time of the call."""
    refusals = [(x["from_s"], x["to_s"]) for x in traffic.truth if x.get("fault") == "refuse"]
    send_s, end_s = exchange.send_ns / 1e9, exchange.end_ns / 1e9
    return any(send_s <= to_s and end_s >= from_s for from_s, to_s in refusals)


def judged(traffic: Traffic, trace_id: str) -> Any:
    """Return what is wrong with a call; None: nothing. The last request of its attempt decides."""
    attempt, exchange = traffic.attempts[trace_id], traffic.got[trace_id]
    became = (attempt.outcome.value, exchange.error_kind)
    lines = [line for line in traffic.truth if line.get("trace_id") == trace_id]
    faults = [line["fault"] for line in lines if line["kind"] == "fault"]
    is_served = any(line["kind"] == "llm_request" for line in lines)
    # A reset of a reused connection is followed by a second one, which may be answered or refused.
    is_second = bool(faults) and faults[-1] == "reset_before_headers"
    if faults and not (is_second and (is_served or met_refusal(traffic, exchange))):
        recorded, may = BECOMES[faults[-1]]
        is_right = became[0] == recorded and became[1] in may
    elif is_served:
        is_right = became == ("ok", None)
    else:
        is_right = became in UNSEEN
    return None if is_right else (trace_id, faults, is_served, became, exchange.error_detail)
