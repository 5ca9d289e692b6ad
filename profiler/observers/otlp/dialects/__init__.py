"""Conventions for spans: what each span says, read by attributes and never by its name.

One module for each convention. A span may follow several at once: the first that recognises it
reads it, from the most special to the most general.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from profiler.observers.otlp.dialects import (
    adk,
    database,
    genai,
    http,
    langfuse,
    openinference,
    outcomes,
    pydantic_ai,
    traceloop,
)
from profiler.observers.otlp.seen import Other, Seen, Sighting

if TYPE_CHECKING:
    from profiler.observers.otlp.spans import Span

_READERS = (
    openinference.seen,
    langfuse.seen,
    adk.seen,
    pydantic_ai.seen,
    traceloop.seen,
    genai.seen,
    database.seen,
    http.seen,
)


def read(span: Span) -> Seen:
    """Return what a span says."""
    for reader in _READERS:
        found = reader(span)
        if found is not None:
            return found
    return Other()


def sighting(span: Span) -> Sighting:
    """Return a span as it is kept: what it says and where it belongs, without its texts."""
    seen = read(span)
    outcome, failed_with = outcomes.of(span)
    service = span.resource.get("service.name")
    return Sighting(
        span_id=span.span_id,
        parent_id=span.parent_id,
        remote_parent=span.remote_parent,
        kind=span.kind,
        start_ns=span.start_ns,
        end_ns=span.end_ns,
        status=span.status,
        outcome=outcome,
        failed_with=failed_with,
        scope=span.scope,
        service=service if isinstance(service, str) else "",
        seen=seen,
    )
