"""`otel`: a file of OTLP/JSON, one trace is one turn of a session.

As the collector's file exporter writes it, one `ExportTraceServiceRequest` on each line; or one
request as a document. Spans of a trace stand anywhere and in any order: they are gathered on disk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from profiler.observers.otlp.decode import RefusedError, attributes_of, span_from
from profiler.observers.otlp.recorded.kept import kept, span_of
from profiler.observers.otlp.recorded.turn import turn_of
from profiler.observers.otlp.recorded.usual import usual
from profiler.workload.importers.documents import records
from profiler.workload.importers.grouping import Groups
from profiler.workload.importers.messages import RefusedError as TooDeepError
from profiler.workload.importers.messages import json_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from profiler.observers.otlp.seen import Sighting
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
        for line, _, request in into.objects(records(stream, PATHS), advanced):
            for resource, scope, spans in _scopes(request, line, into):
                about = _about(resource) if type(scope) is str else None
                for span in spans:
                    if about is not None and type(span) is dict:
                        found = usual(line, span, scope, about)
                        if found is not None:
                            traces.add(found[0].encode(), found[1])
                            continue
                    _add(line, (resource, scope, span), traces, into)
        for key, parts in traces.groups():
            _trace(key.decode(), parts, into)
        into.dropped(traces.dropped)


def _about(resource: list[Any]) -> dict[str, Any] | None:
    """Return a resource's attributes, None where something is wrong with them."""
    try:
        json_text(resource)
        return attributes_of(resource)
    except (RefusedError, TooDeepError):
        return None


def _add(line: int, place: tuple[Any, Any, Any], traces: Groups, into: Gathering) -> None:
    """Take a span that may be of any form, with resource and scope, or say why not."""
    resource, scope, span = place
    if not isinstance(span, dict) or not isinstance(span.get("traceId"), str):
        into.skip(line, INVALID)
        return
    with into.refusing(line):
        _check_depth(resource, scope, span)
        found = _decoded(resource, scope, span)
        if found is None:
            into.skip(line, INVALID)
        else:
            traces.add(found.trace_id.encode(), kept(line, found))


def _check_depth(resource: Any, scope: Any, span: dict[str, Any]) -> None:
    """Refuse what is nested too deeply; texts, which are most of a file, are passed over."""
    attributes = span.get("attributes")
    if isinstance(attributes, list):
        attributes = [pair for pair in attributes if not _is_text(pair)]
    json_text([resource, scope, {**span, "attributes": attributes}])


def _is_text(pair: Any) -> bool:
    value = pair.get("value") if isinstance(pair, dict) else None
    return isinstance(value, dict) and isinstance(value.get("stringValue"), str)


def _decoded(resource: Any, scope: Any, span: dict[str, Any]) -> Span | None:
    try:
        return span_from(span, scope, resource)
    except RefusedError:
        return None


def _scopes(
    request: dict[str, Any], line: int, into: Gathering
) -> Iterator[tuple[list[Any], Any, list[Any]]]:
    """Yield the lists of spans of a request, or of an item of its list: resource, scope, spans."""
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
            if isinstance(spans, list):
                yield resource, name, spans


def _named(resource: Any) -> list[Any]:
    """Return what is needed of a resource: the service's name."""
    attributes = resource.get("attributes") if isinstance(resource, dict) else None
    return [pair for pair in _dicts(attributes) if pair.get("key") == "service.name"]


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _trace(trace_id: str, parts: list[bytes], into: Gathering) -> None:
    spans: list[Span | Sighting] = []
    lines: list[int] = []
    for part in parts:
        line, span = span_of(trace_id, part)
        if len(spans) >= MOST_SPANS:
            into.skip(line, TOO_MANY)
            continue
        spans.append(span)
        lines.append(line)
    if not spans:
        return
    with into.refusing(min(lines)):
        turn = turn_of(trace_id, spans, min(lines))
        if turn is None:
            into.skip(min(lines), NO_CALL)
        else:
            into.add(turn)
