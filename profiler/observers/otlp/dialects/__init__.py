"""Conventions for spans: what each span says, read by attributes and never by its name.

One module for each convention. A span may follow several at once: the first that recognises it
reads it, from the most special to the most general.
"""

from __future__ import annotations

from functools import lru_cache
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
    from collections.abc import Callable

    from profiler.observers.otlp.spans import Span

_READERS = (
    (openinference.seen, openinference.NAMES),
    (langfuse.seen, langfuse.NAMES),
    (adk.seen, adk.NAMES),
    (pydantic_ai.seen, pydantic_ai.NAMES),
    (traceloop.seen, traceloop.NAMES),
    (genai.seen, genai.NAMES),
    (database.seen, database.NAMES),
    (http.seen, http.NAMES),
)
"""Each with the attributes, or scopes, of which a span has one if it is a span of that kind."""

_NAMES = frozenset[str]().union(*(names for _, names in _READERS))
AGENTS = frozenset[str]().union(
    *(names for reader, names in _READERS if reader not in {database.seen, http.seen})
)
"""The names of those that see inferences, tools and agents, beside what they use."""


def read(span: Span) -> Seen:
    """Return what a span says."""
    told = _NAMES.intersection(span.attributes)
    if span.scope in _NAMES:
        told |= {span.scope}
    for reader in _readers(told):
        found = reader(span)
        if found is not None:
            return found
    return Other()


@lru_cache(1024)
def _readers(told: frozenset[str]) -> tuple[Callable[[Span], Seen | None], ...]:
    """Return what may read a span that has these: most spans are of few forms."""
    return tuple(reader for reader, names in _READERS if not told.isdisjoint(names))


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
