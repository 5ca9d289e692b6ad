"""Spans made by hand: one trace of one agent, times in milliseconds after its server's start."""

from __future__ import annotations

from typing import Any

from profiler.observers.otlp.dialects import sighting
from profiler.observers.otlp.spans import Event, Span, SpanKind, Status
from profiler.observers.otlp.tree import Tree

TRACE = "ab" * 16
OURS = "cd" * 8
WALL_NS = 1_700_000_000_000_000_000
MS = 1_000_000
HTTPX = "opentelemetry.instrumentation.httpx"


def sid(number: int) -> str:
    return f"{number:016x}"


def span(
    number: int = 1,
    parent: int | str | None = None,
    *,
    at: tuple[float, float] = (0, 10),
    attributes: dict[str, Any] | None = None,
    **more: Any,
) -> Span:
    return Span(
        **{
            "trace_id": TRACE,
            "span_id": sid(number),
            "parent_id": sid(parent) if isinstance(parent, int) else parent,
            "start_ns": WALL_NS + round(at[0] * MS),
            "end_ns": WALL_NS + round(at[1] * MS),
            "attributes": attributes or {},
            **more,
        }
    )


def server(number: int = 1, *, at: tuple[float, float] = (0, 100), **more: Any) -> Span:
    attributes = {"http.method": "POST", "http.route": "/chat", "http.status_code": 200}
    return span(number, OURS, at=at, attributes=attributes, kind=SpanKind.SERVER, **more)


def chat(
    number: int, parent: int, *, at: tuple[float, float], scope: str = "framework", **more: Any
) -> Span:
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "m",
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 20,
        **more.pop("attributes", {}),
    }
    return span(number, parent, at=at, attributes=attributes, scope=scope, **more)


def failed_chat(number: int, parent: int, *, at: tuple[float, float], **more: Any) -> Span:
    attributes = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}
    return span(number, parent, at=at, attributes=attributes, status=Status.ERROR, **more)


def tool(
    number: int, parent: int, name: str, *, at: tuple[float, float], scope: str = "framework"
) -> Span:
    attributes = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name}
    return span(number, parent, at=at, attributes=attributes, scope=scope)


def post(
    number: int,
    parent: int,
    status: int | None,
    *,
    at: tuple[float, float],
    url: str = "https://api.openai.com/v1/chat/completions",
    **more: Any,
) -> Span:
    attributes = {"http.method": "POST", "http.url": url}
    if status is not None:
        attributes["http.status_code"] = status  # type: ignore[assignment]
    ended = Status.ERROR if status is None or status >= 400 else Status.UNSET
    return span(
        number,
        parent,
        at=at,
        attributes=attributes,
        kind=SpanKind.CLIENT,
        scope=HTTPX,
        status=ended,
        **more,
    )


def redis(number: int, parent: int, statement: str, *, at: tuple[float, float]) -> Span:
    attributes = {"db.system": "redis", "db.statement": statement}
    return span(number, parent, at=at, attributes=attributes, kind=SpanKind.CLIENT, scope="redis")


def error(type_: str, message: str = "") -> Event:
    attributes = {"exception.type": type_, "exception.message": message}
    return Event(name="exception", attributes=attributes)


def tree(*spans: Span) -> Tree:
    return Tree(sighting(one) for one in spans)
