"""What the targets begin with: small inputs that are taken, of the tests' own examples."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from pathlib import Path
from typing import Any

from profiler.measure.histogram import DURATION, Histogram
from profiler.workload.importers.kinds import ImportKind
from tests.endpoints import langgraph_events, test_a2a, test_ag_ui, test_vercel_ai
from tests.endpoints.wire import brotli_compress
from tests.observers.gateway import payloads
from tests.observers.otlp.captures import NAMES, capture, flat, joined, protobuf
from tests.workload.importers import test_har, test_langfuse

OK = 200
_ROOT = Path(__file__).parents[2]
_DATA = _ROOT / "tests" / "data"


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _first_lines(path: Path, lines: int) -> bytes:
    return b"".join(path.read_bytes().splitlines(keepends=True)[:lines])


def _chosen(choice: int, body: bytes) -> bytes:
    """The first byte chooses status and content type: see `targets._protocol`."""
    return bytes([choice]) + body


def _streamed(body: bytes) -> bytes:
    return _chosen(0, body)


def _plain(value: Any) -> bytes:
    return _chosen(0x40 + 2, _json(value))  # 66 = 13 * 5 + 1: application/json, no stream


_CHAT_STREAM = payloads.sse(*payloads.CHAT_TOOL_EVENTS, done=True)
_RESPONSES_STREAM = payloads.sse(*payloads.RESPONSES_EVENTS, named=True)
_TOOL = payloads.tool_call("c1", "look", '{"q": 1}')
_RPC_TASK = {"jsonrpc": "2.0", "id": "1", "result": test_a2a.task("TASK_STATE_COMPLETED", "Done.")}
_REPLY = {
    "reply": "Hello.",
    "session_id": "s",
    "usage": {"input_tokens": 3, "output_tokens": 4},
    "trace": {"version": 1, "llm_calls": [{"model": "m", "duration_ns": 5}], "tool_calls": []},
}
_ADK = _DATA / "google-adk"

SSE = (_CHAT_STREAM[:1500], b"\xef\xbb\xbf: hi\r\nevent: a\rdata: 1\ndata\n\nid: 3\n\n")
HTTP = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nT: 1\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.0 429 No\r\nRetry-After: 1\r\n\r\nwait",
    b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(b"hello" * 99, mtime=0),
)
CODED = (
    b"\0" + gzip.compress(b"\0" * 100_000, mtime=0),
    b"\1" + zlib.compress(b"hello" * 100),
    b"\2" + brotli_compress(b"\0" * 100_000),
    b"\3" + gzip.compress(gzip.compress(b"\0" * 100_000, mtime=0), mtime=0),
)
PROTOCOLS: dict[str, tuple[bytes, ...]] = {
    "openai-chat": (_streamed(_CHAT_STREAM), _plain(payloads.chat_answer(tool_calls=[_TOOL]))),
    "openai-responses": (
        _streamed(_RESPONSES_STREAM),
        _plain({"id": "r", "status": "completed", "output": [payloads.MESSAGE_ITEM]}),
    ),
    "anthropic-messages": (
        _plain({"type": "message", "content": [{"type": "text", "text": "Hi"}, payloads.TOOL_USE]}),
        _streamed(
            payloads.sse(
                {"type": "message_start", "message": {"model": "c", "usage": {"input_tokens": 3}}},
                {"type": "content_block_start", "index": 0, "content_block": payloads.TOOL_USE},
                {"type": "content_block_delta", "index": 0, "delta": {"text": "x"}},
                {"type": "message_stop"},
                named=True,
            )
        ),
    ),
    "ag-ui": (
        _streamed(payloads.sse(*test_ag_ui.SEARCHED)),
        _streamed(payloads.sse(*test_ag_ui.HELLO)),
    ),
    "vercel-ai": (
        _streamed(b"".join(map(test_vercel_ai.sse, test_vercel_ai.WEATHER))),
        _streamed(b"".join(map(test_vercel_ai.sse, test_vercel_ai.HELLO))),
    ),
    "langgraph": (
        _streamed(b"".join(map(langgraph_events.sse, langgraph_events.WEATHER))),
        _plain({"messages": [langgraph_events.ASKS, langgraph_events.SAYS]}),
    ),
    "a2a": (
        _streamed(
            payloads.sse(*({"jsonrpc": "2.0", "id": "1", "result": r} for r in test_a2a.STREAMED))
        ),
        _plain(_RPC_TASK),
    ),
    "http-json": (_plain(_REPLY), _streamed(payloads.sse(_REPLY))),
    "google-adk": (
        _streamed((_ADK / "turn.sse").read_bytes()),
        _chosen(0x40 + 2, (_ADK / "turn.json").read_bytes()),
    ),
}
UNKNOWN = (
    _json({"answer": {"text": "hello to you"}, "usage": {"prompt_tokens": 3}}),
    payloads.sse({"type": "token", "text": "hello"}, {"type": "end", "tokens": 3}),
    _json({"openapi": "3.1.0", "paths": {"/chat": {"post": {"requestBody": {"content": {
        "application/json": {"schema": {"$ref": "#/components/schemas/Ask"}}}}}}},
        "components": {"schemas": {"Ask": {"properties": {"message": {"type": "string"}}}}}}),
    _json({"name": "agent", "url": "http://127.0.0.1:1/a2a", "protocolVersion": "0.3.0",
           "capabilities": {"streaming": True}}),
)  # fmt: skip

_SPANS = [joined(flat(capture(name))[:2]) for name in NAMES]
OTLP_PROTOBUF = (*map(protobuf, _SPANS), gzip.compress(protobuf(_SPANS[0]), mtime=0))
OTLP_JSON = tuple(map(_json, _SPANS))

_ASK = [{"role": "user", "content": "Where?"}, {"role": "assistant", "tool_calls": [_TOOL]},
        {"role": "tool", "tool_call_id": "c1", "content": "There."}]  # fmt: skip
_TOOLS = [{"type": "function", "function": {"name": "look", "description": "Looks.",
           "parameters": {"type": "object", "properties": {"q": {"type": "null"}}}}}]  # fmt: skip
GATEWAY: dict[str, tuple[bytes, ...]] = {
    "/v1/chat/completions": (
        _json({"model": "gpt-4o", "stream": True, "messages": _ASK, "tools": _TOOLS}),
        _json(payloads.chat_answer(tool_calls=[_TOOL])),
        _CHAT_STREAM,
    ),
    "/v1/responses": (
        _json({"model": "gpt-4o", "input": [{"role": "user", "content": "Where?"},
               payloads.FUNCTION_ITEM, {"type": "function_call_output", "call_id": "c",
               "output": "There."}], "tools": [{"type": "function", "name": "look"}]}),
        _RESPONSES_STREAM,
    ),
    "/v1/messages": (
        _json({"model": "claude", "system": "Be kind.", "messages": [
            {"role": "user", "content": "Where?"}, {"role": "assistant", "content":
             [payloads.TOOL_USE]}, {"role": "user", "content": [{"type": "tool_result",
             "tool_use_id": "t", "content": "There."}]}]}),
        _json({"type": "message", "model": "claude", "usage": payloads.ANTHROPIC_USAGE,
               "content": [{"type": "text", "text": "Hi"}, payloads.TOOL_USE]}),
        PROTOCOLS["anthropic-messages"][1][1:],
    ),
    "/v1/embeddings": (
        _json({"model": "e", "input": ["a", [1, 2]]}),
        _json(payloads.EMBEDDINGS_ANSWER),
    ),
}  # fmt: skip
RATE_LIMITS = (
    (
        b"x-ratelimit-limit-requests: 60\nx-ratelimit-remaining-tokens: 149984\n"
        b"x-ratelimit-reset-tokens: 6m0s\nretry-after: 3\nretry-after-ms: 20"
    ),
    (
        b"anthropic-ratelimit-requests-limit: 5\nanthropic-ratelimit-tokens-reset: "
        b"2025-03-01T10:00:00Z\nretry-after: Sat, 01 Mar 2025 10:00:00 GMT"
    ),
)
PROMETHEUS = (
    _json({"status": "success", "data": {"resultType": "vector", "result": [
        {"metric": {"le": "0.5"}, "value": [1700000000.5, "12"]}]}}),
    _json({"status": "success", "data": {"resultType": "matrix", "result": [
        {"metric": {}, "values": [[1700000000, "1"], [1700000060, "NaN"]]}]}}),
    _json({"status": "error", "errorType": "bad_data", "error": "no such query"}),
)  # fmt: skip
STATE = (
    (
        b"# Server\r\nredis_version:7.0.15\r\nrun_id:abc\r\nuptime:3\r\n# Commandstats\r\n"
        b"cmdstat_get:calls=3,usec=8,usec_per_call=2.67,rejected_calls=0,failed_calls=0\r\n"
    ),
    b"WITH x AS (DELETE FROM a /* in /* it */ */ RETURNING *) SELECT 'it''s' -- no\nFROM x",
)
_MESSAGES = {"id": "a", "messages": [*_ASK, {"role": "user", "content": "Thanks"}]}
_SHAREGPT = {"id": "a", "conversations": [{"from": "human", "value": "Hi"},
             {"from": "gpt", "value": '<tool_call>{"name": "look"}</tool_call>'}]}  # fmt: skip
IMPORTS: dict[ImportKind, tuple[bytes, ...]] = {
    ImportKind.OPENAI_MESSAGES: (_json(_MESSAGES) + b"\n" + _json(_ASK),),
    ImportKind.SHAREGPT: (_json([_SHAREGPT, _SHAREGPT]), _json(_SHAREGPT) + b"\n"),
    ImportKind.OTEL: tuple(data + b"\n" for data in OTLP_JSON),
    ImportKind.HAR: (
        test_har.har(
            test_har.entry({"message": "Hi", "session_id": "a"}, {"reply": "Hello"}),
            test_har.entry({"model": "m", "messages": _ASK}, _CHAT_STREAM.decode(), begin=3),
        ).encode(),
    ),
    ImportKind.LANGFUSE: tuple(data.encode() for data in test_langfuse.FORMS.values()),
    ImportKind.MOONCAKE: (_first_lines(_DATA / "traces" / "mooncake-conversation-60.jsonl", 5),),
    ImportKind.AZURE_LLM: (_first_lines(_DATA / "traces" / "azure-llm-conv-60.csv", 8),),
}
REDACTION = (
    b"mail a.b+c@example.org or call +49 (30) 123 4567, 0049 30 123456, (212) 555-1234",
    b"card 4111 1111 1111 1111, Bearer abcdefgh1234, api_key: 'sk-abcdefghijklmnopqrst'",
    b"-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- eyJhbGciOi.eyJzdWIiOi.x",
)

_WORKLOAD = b"""name: fuzzed
target: {url: http://127.0.0.1:1/v1, protocol: http-json, timeout: 30s,
  http_json: {body: {m: "{{ user }}", s: "{{ session_id }}"}, reply: reply, error: error.message}}
load: {rate: 5/s, arrivals: poisson, requests: 20, warmup: 2, seed: 1}
scenarios:
  - name: a
    weight: 5
    think_time: {lognormal: {median: 2s, p95: 8s}}
    variables: {order: {values: [A, B]}, n: {int: [1, 9]}}
    turns:
      - user: "Where is {{ order }}?"
        check: {contains: order, regex: "a+b", json_path: a.b, status: 200}
      - user: "And {{ n }}?"
"""
WORKLOADS = (_WORKLOAD, (_ROOT / "scenarios" / "smoke.yaml").read_bytes())
DEMANDS = ((_ROOT / "docs" / "example-plan" / "demand.yaml").read_bytes(),)


def _small_profile() -> bytes:
    plain = json.loads((_ROOT / "results" / "sample" / "profile.json").read_bytes())
    for name in ("joint", "joint_calls"):
        plain[name]["rows"] = plain[name]["rows"][:2]
    return _json(plain)


PROFILES = (_small_profile(),)
PLANS = ((_ROOT / "docs" / "example-plan" / "plan.json").read_bytes(),)


def _histogram() -> bytes:
    histogram = Histogram(DURATION)
    histogram.record_many((1, 5, 900, 10**6, 10**9))
    return histogram.encode().encode()


HISTOGRAMS = (_histogram(), base64.b64encode(zlib.compress(b"\0" * 5000)))


def _journal() -> bytes:
    events = (
        {"event": "run", "schema_version": 1, "run_id": "r", "tool_version": "0", "argv": []},
        {"event": "interaction", "session": "s", "scenario": "a", "turn": 0, "phase": "measure",
         "send_ns": 5, "end_ns": 9, "outcome": "ok", "trace_id": "0" * 31 + "1"},
        {"event": "end", "reason": "complete"},
    )  # fmt: skip
    return b"".join(_json(event) + b"\n" for event in events)


JOURNALS = (_journal(),)
