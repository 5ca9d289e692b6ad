"""Real traces of real agents, beside what their LLM provider saw: `tests/data/otlp/`."""

from __future__ import annotations

import base64
import copy
import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

DATA = Path(__file__).parents[2] / "data" / "otlp"
NAMES = ("pydantic-ai", "openai-agents-openinference")
_IDS = ("traceId", "spanId", "parentSpanId")


@cache
def capture_bytes(name: str) -> bytes:
    return gzip.decompress((DATA / name / "00.otlp.json.gz").read_bytes())


def capture(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capture_bytes(name))
    return found


@cache
def truth(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((DATA / name / "truth.json").read_text())[
        "interactions"
    ]
    return found


def flat(request: dict[str, Any]) -> list[dict[str, Any]]:
    """One request for each span."""
    singles = []
    for resource in request["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                one_scope = {**scope, "spans": [span]}
                singles.append({"resourceSpans": [{**resource, "scopeSpans": [one_scope]}]})
    return singles


def joined(requests: list[dict[str, Any]]) -> dict[str, Any]:
    return {"resourceSpans": [r for request in requests for r in request["resourceSpans"]]}


def protobuf(request: dict[str, Any]) -> bytes:
    """The same request in the other encoding, made by the protobuf library."""
    request = copy.deepcopy(request)
    for resource in request["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            for span in (
                *scope["spans"],
                *(li for s in scope["spans"] for li in s.get("links", ())),
            ):
                for key in _IDS:
                    if key in span:
                        span[key] = base64.b64encode(bytes.fromhex(span[key])).decode()
    message = json_format.ParseDict(request, ExportTraceServiceRequest())
    return bytes(message.SerializeToString())


def expected(interaction: dict[str, Any]) -> dict[str, Any]:
    """What the provider's side says of an interaction: the calls, each with its HTTP requests."""
    calls: list[list[dict[str, Any]]] = []
    for request in interaction["llm_http_calls"]:
        if request["retry"] == "0":
            calls.append([])
        calls[-1].append(request)
    last = [requests[-1] for requests in calls]
    usage = [request["usage"] for request in last if request["usage"]]
    return {
        "llm_calls": len(calls),
        "attempts": [[request["status"] for request in requests] for requests in calls],
        "asked_for": [tuple(request["tool_calls"] or ()) for request in last],
        "failed": [request["status"] >= 400 for request in last],
        "input": sum(one["input"] for one in usage),
        "cached": sum(one["cached"] for one in usage),
        "output": sum(one["output"] for one in usage),
        "reasoning": sum(one["reasoning"] for one in usage),
    }
