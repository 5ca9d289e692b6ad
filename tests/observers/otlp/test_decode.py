from __future__ import annotations

import gzip
import json
import tracemalloc

import pytest

from profiler.observers.otlp.decode import (
    JSON,
    PROTOBUF,
    RefusedError,
    decode,
    media_type,
    unpacked,
)
from profiler.observers.otlp.spans import SpanKind, Status


def request(**span):
    whole = {
        "traceId": "5B8EFFF798038103D269B633813FC60C",  # the example of the specification
        "spanId": "EEE19B7EC3C1B174",
        "parentSpanId": "EEE19B7EC3C1B173",
        "name": "I'm a server span",
        "startTimeUnixNano": "1544712660000000000",
        "endTimeUnixNano": "1544712661000000000",
        "kind": 2,
        **span,
    }
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [whole]}]}]}).encode()


def only(body):
    (span,) = decode(body, JSON).spans
    return span


def test_the_example_of_the_specification():
    span = only(request(attributes=[{"key": "my.span.attr", "value": {"stringValue": "v"}}]))
    assert span.trace_id == "5b8efff798038103d269b633813fc60c"
    assert (span.span_id, span.parent_id) == ("eee19b7ec3c1b174", "eee19b7ec3c1b173")
    assert span.kind is SpanKind.SERVER
    assert span.end_ns - span.start_ns == 1_000_000_000
    assert span.attributes == {"my.span.attr": "v"}


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ({"intValue": "12"}, 12),
        ({"intValue": 12}, 12),
        ({"doubleValue": 1.5}, 1.5),
        ({"doubleValue": "1.5"}, 1.5),
        ({"boolValue": False}, False),
        ({"stringValue": ""}, ""),
        ({"arrayValue": {"values": [{"intValue": "1"}, {"stringValue": "b"}]}}, [1, "b"]),
        ({"arrayValue": {}}, []),
        ({"kvlistValue": {"values": [{"key": "k", "value": {"intValue": 1}}]}}, {"k": 1}),
        ({}, None),
        (None, None),
        ({"newValue": 1}, None),
    ],
)
def test_values(written, value):
    assert only(request(attributes=[{"key": "a", "value": written}])).attributes == {"a": value}


@pytest.mark.parametrize("kind", [3, "3", "SPAN_KIND_CLIENT"])
def test_enums_are_numbers_or_names(kind):
    assert only(request(kind=kind)).kind is SpanKind.CLIENT
    assert only(request(kind=99)).kind is SpanKind.UNSPECIFIED
    assert only(request(kind="NEW")).kind is SpanKind.UNSPECIFIED
    status = only(request(status={"code": "STATUS_CODE_ERROR", "message": "no"}))
    assert (status.status, status.message) == (Status.ERROR, "no")


@pytest.mark.parametrize(
    "span",
    [
        {"traceId": "0" * 32},
        {"traceId": "ab"},
        {"traceId": "z" * 32},
        {"spanId": ""},
        {"parentSpanId": "xyz"},
        {"startTimeUnixNano": "0"},
        {"endTimeUnixNano": str(2**64 - 1)},
    ],
)
def test_one_bad_span_is_left_out_and_counted(span):
    batch = decode(request(**span), JSON)
    assert (batch.spans, batch.invalid) == ([], 1)


def test_a_span_that_ends_before_it_starts_takes_no_time():
    span = only(request(endTimeUnixNano="5"))
    assert span.end_ns == span.start_ns


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b'{"resourceSpans": {}}',
        b'{"resourceSpans": [1]}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": 5}]}]}]}',
        b'{"resourceSpans": [{"resource": {"attributes": [{"key": 5}]}}]}',
        request(startTimeUnixNano="soon"),
        request(startTimeUnixNano=1.5),
        request(kind=[]),
        request(attributes=[{"key": "a", "value": {"intValue": "x"}}]),
        b"[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_malformed_json_is_refused_in_one_line(body):
    with pytest.raises(RefusedError) as refused:
        decode(body, JSON)
    assert (refused.value.status, refused.value.kind) == (400, "malformed")
    assert "\n" not in refused.value.message
    assert refused.value.message.startswith("malformed JSON")


def test_malformed_protobuf_is_refused():
    with pytest.raises(RefusedError, match="malformed protobuf"):
        decode(b"\x0a\xff\xff\xff", PROTOBUF)


def test_values_within_values_have_an_end():
    value = {"intValue": 1}
    for _ in range(200):
        value = {"arrayValue": {"values": [value]}}
    found = only(request(attributes=[{"key": "a", "value": value}])).attributes["a"]
    depth = 0
    while isinstance(found, list):
        found, depth = found[0], depth + 1
    assert depth < 20
    assert found is None


def test_content_types():
    assert media_type("application/json; charset=utf-8") == JSON
    assert media_type("application/x-protobuf") == PROTOBUF
    for other in ("text/html", "", "application/grpc"):
        with pytest.raises(RefusedError) as refused:
            media_type(other)
        assert refused.value.status == 415


def test_gzip_has_a_limit_before_it_takes_memory():
    bomb = gzip.compress(bytes(200 << 20), 1)
    tracemalloc.start()
    with pytest.raises(RefusedError) as refused:
        unpacked(bomb, "gzip", limit=1 << 20)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert refused.value.status == 413
    assert peak < 8 << 20


def test_encodings():
    assert unpacked(b"x", "") == b"x"
    assert unpacked(gzip.compress(b"x"), "GZIP") == b"x"
    for body, encoding, status in [
        (b"not gzip", "gzip", 400),
        (gzip.compress(b"x" * 100)[:-9], "gzip", 400),
        (b"x", "br", 415),
    ]:
        with pytest.raises(RefusedError) as refused:
            unpacked(body, encoding)
        assert refused.value.status == status
