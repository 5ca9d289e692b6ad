"""Spans of a trace are kept on disk until all of them have come, and come back as they were."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from profiler.observers.otlp.dialects import _NAMES, sighting
from profiler.observers.otlp.recorded.content import NAMING
from profiler.observers.otlp.recorded.kept import kept, span_of
from profiler.observers.otlp.recorded.turn import turn_of
from profiler.observers.otlp.seen import HttpRequest, Other, Sighting, StateAccess
from profiler.observers.otlp.spans import Event, Span, SpanKind, Status

TRACE = "5" * 32
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
ATTRIBUTES: st.SearchStrategy[dict[str, Any]] = st.dictionaries(TEXTS, VALUES, max_size=4)
TELLING = st.dictionaries(st.sampled_from(sorted(_NAMES | NAMING)), TEXTS, max_size=2)
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
    attributes=st.builds(lambda some, more: some | more, ATTRIBUTES, TELLING),
    events=st.lists(st.builds(Event, name=TEXTS, attributes=ATTRIBUTES), max_size=2).map(tuple),
    status=st.sampled_from(Status),
    message=TEXTS,
    scope=TEXTS,
    resource=ATTRIBUTES,
)


@given(line=st.integers(1, 2**40), span=SPANS)
def test_a_span_comes_back_as_it_was(line: int, span: Span) -> None:
    found_line, found = span_of(TRACE, kept(line, span))
    assert found_line == line
    assert type(found.kind) is SpanKind
    assert type(found.status) is Status
    if isinstance(found, Span):
        assert found == span
    else:
        assert_is_of_no_agent(found, span)


def assert_is_of_no_agent(found: Sighting, span: Span) -> None:
    shown = sighting(span)
    assert isinstance(shown.seen, HttpRequest | StateAccess | Other)
    assert NAMING.isdisjoint(span.attributes)
    place = ("span_id", "parent_id", "remote_parent", "kind", "start_ns", "end_ns", "service")
    assert [getattr(found, name) for name in place] == [getattr(shown, name) for name in place]


SAID = '[{"role": "user", "content": "q"}]'
OF_AN_AGENT: list[dict[str, Any]] = [
    {"gen_ai.operation.name": "chat", "gen_ai.input.messages": SAID},
    {"gen_ai.operation.name": "chat", "gen_ai.output.messages": SAID.replace("user", "assistant")},
    {"gen_ai.operation.name": "chat", "gen_ai.output.messages": '"text"', "error.type": "x"},
    {"gen_ai.operation.name": "chat", "gen_ai.output.messages": "{"},
    {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "find"},
    {"openinference.span.kind": "AGENT", "input.value": "hello"},
    {"session.id": "s"},
    {"user.id": "u", "http.method": "GET"},
]
OF_OTHERS: list[dict[str, Any]] = [
    {},
    {"http.method": "POST", "url.full": "https://api.openai.com/v1/chat/completions"},
    {"db.system": "redis", "db.operation": "GET"},
    {"error.type": "x", "input.value": "hello"},
]
IDS = st.sampled_from("abcdef")
TRACES = st.lists(
    st.builds(
        Span,
        trace_id=st.just(TRACE),
        span_id=IDS,
        parent_id=st.none() | IDS,
        remote_parent=st.none() | st.booleans(),
        kind=st.sampled_from(SpanKind),
        start_ns=st.integers(1, 5),
        end_ns=st.integers(5, 9),
        attributes=st.sampled_from(OF_AN_AGENT + OF_OTHERS).map(dict),
        status=st.sampled_from(Status),
        scope=st.sampled_from(["", "one", "two"]),
        resource=st.sampled_from([{}, {"service.name": "a"}, {"service.name": 5}]),
    ),
    min_size=1,
    max_size=8,
)


@given(spans=TRACES)
def test_a_trace_is_the_same_turn_as_if_all_of_each_span_were_kept(spans: list[Span]) -> None:
    records = [kept(7, span) for span in spans]
    whole = turn_of(TRACE, spans, 7)
    assert turn_of(TRACE, [span_of(TRACE, record)[1] for record in records], 7) == whole
