"""Whatever comes in: a result or a refusal, nothing else."""

from __future__ import annotations

import contextlib

import orjson
from hypothesis import given
from hypothesis import strategies as st

from profiler.observers.otlp.assemble import assemble
from profiler.observers.otlp.decode import JSON, PROTOBUF, RefusedError
from profiler.observers.otlp.dialects import sighting
from profiler.observers.otlp.intake import read
from profiler.observers.otlp.spans import SpanKind, Status
from profiler.observers.otlp.tree import Tree, complete_root
from tests.observers.otlp.captures import NAMES, capture, flat, joined, protobuf
from tests.observers.otlp.making import TRACE, error, span

SCRAPS = [protobuf(joined(flat(capture(name))[:6])) for name in NAMES]
NAMES_OF_FIELDS = st.sampled_from(
    [
        "resourceSpans",
        "scopeSpans",
        "spans",
        "resource",
        "scope",
        "attributes",
        "key",
        "value",
        "traceId",
        "spanId",
        "startTimeUnixNano",
        "kind",
        "status",
        "events",
        "flags",
        "code",
        "intValue",
        "stringValue",
        "arrayValue",
        "kvlistValue",
        "values",
        "doubleValue",
    ]
)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES_OF_FIELDS, inner, max_size=5),
    max_leaves=30,
)


def taken(body, media, encoding=""):
    with contextlib.suppress(RefusedError):
        read(body, media, encoding)


@given(st.binary(max_size=300), st.sampled_from([PROTOBUF, JSON]), st.sampled_from(["", "gzip"]))
def test_random_bytes(body, media, encoding):
    taken(body, media, encoding)


@given(st.sampled_from(SCRAPS), st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255))))
def test_protobuf_with_wrong_bytes_in_it(body, changes):
    changed = bytearray(body)
    for at, byte in changes:
        changed[at % len(changed)] = byte
    taken(bytes(changed), PROTOBUF)


@given(ANY_JSON)
def test_random_json(value):
    with contextlib.suppress(TypeError):  # orjson has no integers beyond 64 bits
        taken(orjson.dumps(value), JSON)


@given(st.dictionaries(NAMES_OF_FIELDS, ANY_JSON))
def test_random_json_as_a_span(value):
    request = {"resourceSpans": [{"scopeSpans": [{"spans": [value]}]}]}
    with contextlib.suppress(TypeError):
        taken(orjson.dumps(request), JSON)


KEYS = st.sampled_from(
    [
        "gen_ai.operation.name",
        "gen_ai.request.model",
        "gen_ai.usage.input_tokens",
        "llm.model_name",
        "gen_ai.usage.output_tokens",
        "gen_ai.usage.reasoning.output_tokens",
        "gen_ai.tool.name",
        "gen_ai.output.messages",
        "openinference.span.kind",
        "llm.token_count.prompt",
        "error.type",
        "langfuse.observation.type",
        "langfuse.observation.usage_details",
        "db.system",
        "http.url",
        "langfuse.observation.completion_start_time",
        "langfuse.observation.output",
        "http.method",
        "gcp.vertex.agent.llm_response",
        "traceloop.span.kind",
        "llm.request.type",
        "db.statement",
        "db.operation.name",
        "db.operation.batch.size",
        "http.status_code",
        "tool.name",
    ]
)
WORDS = st.sampled_from(
    [
        "chat",
        "execute_tool",
        "invoke_agent",
        "LLM",
        "TOOL",
        "generation",
        "tool",
        "redis",
        "GET ?",
        "postgresql",
        "SELECT 1; WITH",
        "POST",
        "[]",
        "{}",
        '[{"parts": [1]}]',
        '{"input": -1}',
        "x",
        '{"usage_metadata": {"prompt_token_count": 1}}',
        "2023-11-14T22:13:20+00:00",
        "9999-99-99",
        "http://h/v1/chat/completions",
        "\u0000",
        "429",
    ]
)
VALUES = (
    WORDS
    | st.integers(-5, 2**63)
    | st.floats()
    | st.booleans()
    | st.none()
    | st.lists(WORDS, max_size=3)
    | st.dictionaries(WORDS, WORDS, max_size=2)
)


@st.composite
def spans(draw):
    start = draw(st.integers(0, 100))
    return span(
        draw(st.integers(1, 12)),
        draw(st.none() | st.integers(1, 12)),
        at=(start, start + draw(st.integers(0, 100))),
        attributes=draw(st.dictionaries(KEYS, VALUES, max_size=6)),
        kind=draw(st.sampled_from(SpanKind)),
        status=draw(st.sampled_from(Status)),
        scope=draw(st.sampled_from(["", "pydantic-ai", "gcp.vertex.agent", "a", "b"])),
        events=draw(st.sampled_from([(), (error("E", "status code 429"),)])),
    )


@given(st.lists(spans(), max_size=15))
def test_random_traces(made):
    by_id = {one.span_id: sighting(one) for one in made}
    complete_root(by_id, 1000)
    if not by_id:
        return
    tree = Tree(by_id.values())
    found = assemble(TRACE, tree)
    inferences = sum(type(one.seen).__name__ == "Inference" for one in by_id.values())
    assert found.calls <= inferences
    assert (found.calls == 0) == (inferences == 0)
