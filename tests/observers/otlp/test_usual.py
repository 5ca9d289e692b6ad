"""The short way to read a span gives what the long way does, or leaves the span to it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.observers.otlp.decode import RefusedError, attributes_of, span_from
from profiler.observers.otlp.dialects import _READERS, read
from profiler.observers.otlp.recorded.kept import kept, span_of
from profiler.observers.otlp.recorded.usual import MESSAGES, usual
from profiler.observers.otlp.seen import Other, Sighting
from profiler.observers.otlp.spans import Span
from tests.observers.otlp.captures import NAMES, capture

JUNK: st.SearchStrategy[Any] = st.one_of(
    st.none() | st.booleans() | st.integers(-2, 2**64) | st.floats() | st.text(max_size=3),
    st.sampled_from([[], {}, {"code": [1]}, ["x"]]),
)
HEX = st.text("0123456789abcdefA", min_size=16, max_size=16)
ITEMS = st.fixed_dictionaries({"stringValue": st.text(max_size=2)}) | st.just(
    {"intValue": "7", "stringValue": "x"}
)
VALUES = st.fixed_dictionaries(
    {},
    optional={
        "stringValue": st.text(max_size=4) | JUNK,
        "intValue": st.sampled_from(["1", "-5", " 7 ", "x", "1_0", "9" * 40]) | JUNK,
        "boolValue": st.booleans() | JUNK,
        "doubleValue": st.floats() | st.just("NaN") | JUNK,
        "arrayValue": st.fixed_dictionaries(
            {"values": st.lists(ITEMS | JUNK, max_size=3)}, optional={"more": JUNK}
        )
        | JUNK,
    },
)
PAIRS = st.fixed_dictionaries(
    {"key": st.sampled_from(["a", MESSAGES, "session.id"]) | JUNK, "value": VALUES | JUNK},
    optional={"more": JUNK},
)
TIMES = st.sampled_from(["1700000000000000000", "0", "9" * 19, " 5", "1e3"]) | JUNK
GOOD: dict[str, Any] = {
    "traceId": "5b8efff798038103d269b633813fc60c",
    "spanId": "eee19b7ec3c1b174",
    "parentSpanId": "eee19b7ec3c1b173",
    "name": "chat",
    "kind": "SPAN_KIND_CLIENT",
    "flags": 256,
    "startTimeUnixNano": "1544712660000000000",
    "endTimeUnixNano": "1544712661000000000",
    "attributes": [
        {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
        {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "12"}},
    ],
    "status": {"code": "STATUS_CODE_OK"},
}
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "traceId": st.just("0" * 32) | HEX.map(lambda text: text * 2) | JUNK,
        "spanId": st.just("0" * 16) | HEX | JUNK,
        "parentSpanId": st.just("0" * 16) | HEX | st.just("") | JUNK,
        "name": JUNK,
        "kind": st.integers(0, 7) | st.sampled_from(["SPAN_KIND_SERVER", "CLIENT", "3"]) | JUNK,
        "flags": st.sampled_from([0, 1, 256, 257, 768, 512, "256"]) | JUNK,
        "startTimeUnixNano": TIMES,
        "endTimeUnixNano": TIMES,
        "attributes": st.lists(PAIRS | JUNK, max_size=3) | JUNK,
        "status": st.fixed_dictionaries(
            {},
            optional={
                "code": st.sampled_from([1, 2, "STATUS_CODE_ERROR", "2"]) | JUNK,
                "message": JUNK,
                "more": JUNK,
            },
        )
        | JUNK,
        "events": st.just([{"name": "e"}]) | JUNK,
        "links": JUNK,
    },
)
NAMED = [{"key": "service.name", "value": {"stringValue": "agent"}}]


def long_way(span: dict[str, Any]) -> Span | Sighting | None:
    try:
        found = span_from(span, "scope", NAMED)
    except RefusedError:
        return None
    return None if found is None else span_of(found.trace_id, kept(7, found))[1]


def short_way(span: dict[str, Any]) -> Span | Sighting | None:
    found = usual(7, span, "scope", attributes_of(NAMED))
    if found is None:
        return None
    line, back = span_of(*found)
    assert line == 7
    if isinstance(back, Span) and isinstance(given := back.attributes.get(MESSAGES), bytes):
        back.attributes[MESSAGES] = given.decode()
    return back


@given(changes=CHANGES, left_out=st.sets(st.sampled_from(sorted(GOOD)), max_size=2))
def test_what_it_reads_is_what_the_long_way_reads(
    changes: dict[str, Any], left_out: set[str]
) -> None:
    span = {**GOOD, **changes}
    for name in left_out:
        span.pop(name, None)
    found = short_way(span)
    # By their texts: a number that is none is not equal to itself.
    assert found is None or repr(found) == repr(long_way(span))


LISTS: list[tuple[Any, list[str] | None]] = [
    ({"values": [{"stringValue": "stop"}, {"stringValue": ""}]}, ["stop", ""]),
    ({"values": []}, []),
    ({"values": [{"intValue": "7", "stringValue": "x"}]}, None),
    ({"values": [{"stringValue": 5}]}, None),
    ({"values": [{"arrayValue": {}}]}, None),
    ({"values": [], "more": [[]]}, None),  # and may be nested too deeply
    (["values"], None),
    ({}, None),
]


@pytest.mark.parametrize(("listed", "texts"), LISTS)
def test_of_lists_it_reads_those_of_texts(listed: Any, texts: list[str] | None) -> None:
    found = short_way({**GOOD, "attributes": [
        *GOOD["attributes"], {"key": "reasons", "value": {"arrayValue": listed}}]})  # fmt: skip
    if texts is None:
        assert found is None
    else:
        assert isinstance(found, Span)
        assert found.attributes["reasons"] == texts


@pytest.mark.parametrize("name", NAMES)
def test_nearly_all_spans_of_real_frameworks_are_read_the_short_way(name: str) -> None:
    spans = [
        span
        for of_resource in capture(name)["resourceSpans"]
        for of_scope in of_resource["scopeSpans"]
        for span in of_scope["spans"]
    ]
    found = [short_way(span) for span in spans]
    assert sum(span is not None for span in found) >= 0.9 * len(spans)
    for short, span in zip(found, spans, strict=True):
        assert short is None or short == long_way(span)


ATTRIBUTES = st.dictionaries(
    st.sampled_from(sorted(name for _, names in _READERS for name in names)),
    st.sampled_from(["chat", "tool", "LLM", "generation", "redis", "POST", "x"])
    | st.integers(0, 9),
)


@given(attributes=ATTRIBUTES, scope=st.sampled_from(["", "pydantic-ai", "gcp.vertex.agent"]))
def test_a_convention_is_asked_wherever_it_would_recognise_the_span(
    attributes: dict[str, Any], scope: str
) -> None:
    span = Span(
        trace_id="5" * 32,
        span_id="5" * 16,
        start_ns=1,
        end_ns=2,
        attributes=attributes,
        scope=scope,
    )
    asked = (reader(span) for reader, _ in _READERS)
    assert read(span) == next((found for found in asked if found is not None), Other())
