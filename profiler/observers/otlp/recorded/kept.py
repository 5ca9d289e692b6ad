"""A span as it is kept on disk until its trace is whole.

`marshal` copies texts where JSON escapes them and finds the ends of them again, which took most of
the time that gathering took: a span's attributes are the texts of whole conversations. What it
reads was written by this process, to a file that nobody else can open.
"""

from __future__ import annotations

import marshal
from typing import Any

from profiler.observers.otlp.spans import Event, Span, SpanKind, Status

_VERSION = 2  # without looking for what comes twice
_KINDS = tuple(SpanKind)
_STATUSES = tuple(Status)


def kept(line: int, span: Span) -> bytes:
    """Return a span of a line as bytes; its trace id stands elsewhere."""
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


def written(record: tuple[Any, ...]) -> bytes:
    """Return the fields of a span, as `kept` has them, as bytes."""
    return marshal.dumps(record, _VERSION)


def span_of(trace_id: str, record: bytes) -> tuple[int, Span]:
    """Return the line and the span of a record that `kept` made."""
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
    ) = marshal.loads(record)  # noqa: S302 - what `kept` wrote
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
