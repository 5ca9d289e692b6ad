"""`otel`: a file of OTLP/JSON, one trace is one turn of a session.

As the collector's file exporter writes it, one `ExportTraceServiceRequest` on each line; or one
request as a document. Spans of a trace stand anywhere and in any order: they are gathered on disk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from profiler.observers.otlp.decode import RefusedError, from_object
from profiler.observers.otlp.recorded.turn import turn_of
from profiler.workload.importers.documents import records
from profiler.workload.importers.grouping import Groups
from profiler.workload.importers.messages import json_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from profiler.observers.otlp.spans import Span
    from profiler.workload.importers.frames import Frame
    from profiler.workload.importers.gathering import Gathering

PATHS = (("resourceSpans",),)
NO_SPANS = "no spans: neither resourceSpans nor scopeSpans"
LOGS = "log records or metrics, not spans"
INVALID = "a span without ids or times that can be used"
MOST_SPANS = 10_000
TOO_MANY = f"a span beyond the first {MOST_SPANS:,} of its trace"
NO_CALL = "a trace without an LLM call, a tool or an agent"


def gather(stream: BinaryIO, into: Gathering, advanced: Callable[[Frame], None] | None) -> None:
    """Read a file and give its turns to `into`."""
    with Groups() as traces:
        for line, request in into.objects(records(stream, PATHS), advanced):
            for resource, scope, span in _spans(request, line, into):
                trace_id = span.get("traceId") if isinstance(span, dict) else None
                if not isinstance(trace_id, str):
                    into.skip(line, INVALID)
                    continue
                with into.refusing(line):
                    record = json_text([line, resource, scope, span]).encode()
                    traces.add(trace_id.lower().encode(errors="replace"), record)
        for key, parts in traces.groups():
            _trace(key.decode(errors="replace"), parts, into)
        into.dropped(traces.dropped)


def _spans(request: dict[str, Any], line: int, into: Gathering) -> Iterator[tuple[Any, Any, Any]]:
    """Yield the spans of a request, or of an item of its list, with resource and scope."""
    if "resourceSpans" not in request and "scopeSpans" not in request:
        is_other = "resourceLogs" in request or "resourceMetrics" in request
        into.skip(line, LOGS if is_other else NO_SPANS)
        return
    for of_resource in _dicts(request.get("resourceSpans", [request])):
        resource = _named(of_resource.get("resource"))
        for of_scope in _dicts(of_resource.get("scopeSpans")):
            scope = of_scope.get("scope")
            name = scope.get("name") if isinstance(scope, dict) else None
            spans = of_scope.get("spans")
            for span in spans if isinstance(spans, list) else ():
                yield resource, name, span


def _named(resource: Any) -> list[Any]:
    """Return what is needed of a resource: the service's name."""
    attributes = resource.get("attributes") if isinstance(resource, dict) else None
    return [pair for pair in _dicts(attributes) if pair.get("key") == "service.name"]


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _trace(trace_id: str, parts: list[bytes], into: Gathering) -> None:
    spans: list[Span] = []
    lines: list[int] = []
    for part in parts:
        line, resource, scope, span = orjson.loads(part)
        if len(spans) >= MOST_SPANS:
            into.skip(line, TOO_MANY)
            continue
        of_scope = {"scope": {"name": scope}, "spans": [span]}
        request = {"resource": {"attributes": resource}, "scopeSpans": [of_scope]}
        try:
            batch = from_object({"resourceSpans": [request]})
        except RefusedError:
            into.skip(line, INVALID)
            continue
        if batch.invalid:
            into.skip(line, INVALID)
            continue
        spans.extend(batch.spans)
        lines.append(line)
    if not spans:
        return
    with into.refusing(min(lines)):
        turn = turn_of(trace_id, spans, min(lines))
        if turn is None:
            into.skip(min(lines), NO_CALL)
        else:
            into.add(turn)
