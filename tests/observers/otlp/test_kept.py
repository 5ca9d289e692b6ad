"""Spans of a trace are kept on disk until all of them have come, and come back as they were."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from profiler.observers.otlp.recorded.kept import kept, span_of
from profiler.observers.otlp.spans import Event, Span, SpanKind, Status

TRACE = "5" * 32
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
ATTRIBUTES: st.SearchStrategy[dict[str, Any]] = st.dictionaries(TEXTS, VALUES, max_size=4)
SPANS = st.builds(
    Span,
    trace_id=st.just(TRACE),
    span_id=TEXTS,
    parent_id=st.none() | TEXTS,
    remote_parent=st.none() | st.booleans(),
    name=TEXTS,
    kind=st.sampled_from(SpanKind),
    start_ns=st.integers(1, 2**63 - 1),
    end_ns=st.integers(1, 2**63 - 1),
    attributes=ATTRIBUTES,
    events=st.lists(st.builds(Event, name=TEXTS, attributes=ATTRIBUTES), max_size=2).map(tuple),
    status=st.sampled_from(Status),
    message=TEXTS,
    scope=TEXTS,
    resource=ATTRIBUTES,
)


@given(line=st.integers(1, 2**40), span=SPANS)
def test_a_span_comes_back_as_it_was(line: int, span: Span) -> None:
    found_line, found = span_of(TRACE, kept(line, span))
    assert (found_line, found) == (line, span)
    assert type(found.kind) is SpanKind
    assert type(found.status) is Status
