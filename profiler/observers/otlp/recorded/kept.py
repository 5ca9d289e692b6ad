"""A span as it is kept on disk until its trace is whole.

`marshal` copies texts where JSON escapes them and finds the ends of them again, which took most of
the time that gathering took: a span's attributes are the texts of whole conversations. What it
reads was written by this process, to a file that nobody else can open.
"""

from __future__ import annotations

import marshal
from typing import Any

from profiler.measure.records import Outcome
from profiler.observers.otlp.dialects import AGENTS
from profiler.observers.otlp.recorded.content import NAMING
from profiler.observers.otlp.seen import Other, Sighting
from profiler.observers.otlp.spans import Attributes, Event, Span, SpanKind, Status

_VERSION = 2  # without looking for what comes twice
_PLAIN_FIELDS = 9
_KINDS = tuple(SpanKind)
_STATUSES = tuple(Status)


def kept(line: int, span: Span) -> bytes:
    """Return a span of a line as bytes; its trace id stands elsewhere."""
    if is_plain(span.attributes, span.scope):
        place = (
            line,
            span.span_id,
            span.parent_id,
            span.remote_parent,
            int(span.kind),
            span.start_ns,
            span.end_ns,
            span.scope,
        )
        return kept_plain(place, span.resource)
    record = (
        line,
        span.span_id,
        span.parent_id,
        span.remote_parent,
        span.name,
        int(span.kind),
        span.start_ns,
        span.end_ns,
        span.attributes,
        [(event.name, event.attributes) for event in span.events],
        int(span.status),
        span.message,
        span.scope,
        span.resource,
    )
    return written(record)


def is_plain(attributes: Attributes, scope: str) -> bool:
    """Say whether a span is of no inference, tool or agent, and names no session.

    Of such a span an import needs where it stands in its trace, no more. Most that is exported is
    so: requests, queries, an application's own steps.
    """
    return scope not in AGENTS and _TELLING.isdisjoint(attributes)


_TELLING = AGENTS | NAMING


def kept_plain(place: tuple[Any, ...], resource: Attributes) -> bytes:
    """Return where a plain span stands, as `kept` has it, as bytes."""
    service = resource.get("service.name")
    return written((*place, service if isinstance(service, str) else ""))


def written(record: tuple[Any, ...]) -> bytes:
    """Return the fields of a span, as `kept` has them, as bytes."""
    return marshal.dumps(record, _VERSION)


def span_of(trace_id: str, record: bytes) -> tuple[int, Span | Sighting]:
    """Return the line and the span of a record that `kept` made; of a plain one what it shows."""
    fields = marshal.loads(record)  # noqa: S302 - what `kept` wrote
    if len(fields) == _PLAIN_FIELDS:
        return _plain(fields)
    (
        line,
        span_id,
        parent_id,
        remote_parent,
        name,
        kind,
        start_ns,
        end_ns,
        attributes,
        events,
        status,
        message,
        scope,
        resource,
    ) = fields
    span = Span(
        trace_id=trace_id,
        span_id=span_id,
        parent_id=parent_id,
        remote_parent=remote_parent,
        name=name,
        kind=_KINDS[kind],
        start_ns=start_ns,
        end_ns=end_ns,
        attributes=attributes,
        events=tuple(Event(name=name, attributes=told) for name, told in events),
        status=_STATUSES[status],
        message=message,
        scope=scope,
        resource=resource,
    )
    return line, span


def _plain(fields: tuple[Any, ...]) -> tuple[int, Sighting]:
    line, span_id, parent_id, remote_parent, kind, start_ns, end_ns, scope, service = fields
    return line, Sighting(
        span_id=span_id,
        parent_id=parent_id,
        remote_parent=remote_parent,
        kind=_KINDS[kind],
        start_ns=start_ns,
        end_ns=end_ns,
        status=Status.UNSET,
        outcome=Outcome.OK,
        failed_with=None,
        scope=scope,
        service=service,
        seen=_NOTHING,
    )


_NOTHING = Other()
