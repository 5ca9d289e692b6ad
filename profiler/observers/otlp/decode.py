"""From an OTLP request's bytes to spans: protobuf or JSON, gzip or not, of bounded size.

Whatever is wrong with a request is a `RefusedError`; a single span without valid ids or times is
left out and counted. Names and encodings: the OpenTelemetry Protocol specification, "OTLP/HTTP".
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from profiler.observers.otlp.spans import Event, Span, SpanKind, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from enum import IntEnum

    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
    from opentelemetry.proto.trace.v1.trace_pb2 import Span as ProtoSpan

MAX_BYTES = 32 << 20
"""How large a request may be, compressed or not. The collector of OpenTelemetry takes 20 MiB."""

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
_MEDIA_TYPES = {PROTOBUF: PROTOBUF, "application/protobuf": PROTOBUF, JSON: JSON}

_MAX_DEPTH = 16
_HAS_IS_REMOTE, _IS_REMOTE = 0x100, 0x200
_TRACE_HEX, _SPAN_HEX = 32, 16
_MAX_TIME_NS = 1 << 63


class RefusedError(Exception):
    """A request that is not taken; `kind` is the word for it in the profile's notes."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        self.status = status
        self.kind = kind
        self.message = message
        super().__init__(message)


class Batch(NamedTuple):
    """The spans of one request, and how many had ids or times that cannot be used."""

    spans: list[Span]
    invalid: int


def media_type(content_type: str) -> str:
    """Return `PROTOBUF` or `JSON` for a content-type header; refuses every other (415)."""
    known = _MEDIA_TYPES.get(content_type.partition(";")[0].strip().lower())
    if known is None:
        raise RefusedError(
            415,
            "wrong_type",
            f"content type {content_type[:80]!r} is not OTLP: send {PROTOBUF} or {JSON}",
        )
    return known


def too_large(limit: int) -> RefusedError:
    """Return the error for a request above the limit (bytes)."""
    return RefusedError(
        413, "too_large", f"a request of more than {limit >> 20} MiB: export smaller batches"
    )


def unpacked(body: bytes, encoding: str, limit: int = MAX_BYTES) -> bytes:
    """Return the body without its content encoding; refuses what is larger than `limit` bytes."""
    match encoding.strip().lower():
        case "" | "identity":
            plain = body
        case "gzip":
            plain = _gunzip(body, limit)
        case other:
            raise RefusedError(
                415, "wrong_type", f"content encoding {other[:40]!r}: send gzip or none"
            )
    if len(plain) > limit:
        raise too_large(limit)
    return plain


def _gunzip(body: bytes, limit: int) -> bytes:
    stream = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        plain = stream.decompress(body, limit + 1)
    except zlib.error as exc:
        raise _malformed("gzip", exc) from exc
    if len(plain) <= limit and not stream.eof:
        raise _malformed("gzip", "it ends too early")
    return plain


def _malformed(what: str, why: object) -> RefusedError:
    return RefusedError(400, "malformed", f"malformed {what}: {str(why)[:200]}")


def decode(body: bytes, media: str) -> Batch:
    """Return the spans of an uncompressed request; `media` as `media_type` returns it."""
    return _from_json(body) if media == JSON else _from_protobuf(body)


# Protobuf.


def _from_protobuf(body: bytes) -> Batch:
    from google.protobuf.message import DecodeError  # noqa: PLC0415 - only where --otlp is used
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (  # noqa: PLC0415
        ExportTraceServiceRequest,
    )

    request = ExportTraceServiceRequest()
    try:
        request.ParseFromString(body)
    except DecodeError as exc:
        raise _malformed("protobuf", exc) from exc
    gathered = _Gathered()
    for of_resource in request.resource_spans:
        resource = _proto_attributes(of_resource.resource.attributes)
        for of_scope in of_resource.scope_spans:
            for span in of_scope.spans:
                gathered.add(_proto_span, span, of_scope.scope.name, resource)
    return gathered.batch()


def _proto_span(span: ProtoSpan, scope: str, resource: dict[str, Any]) -> Span:
    return Span(
        trace_id=_id(span.trace_id.hex(), _TRACE_HEX),
        span_id=_id(span.span_id.hex(), _SPAN_HEX),
        parent_id=_parent(span.parent_span_id.hex()),
        remote_parent=_remote(span.flags),
        name=span.name,
        kind=_member(SpanKind, span.kind),
        start_ns=_time(span.start_time_unix_nano),
        end_ns=max(_time(span.end_time_unix_nano), span.start_time_unix_nano),
        attributes=_proto_attributes(span.attributes),
        events=tuple(
            Event(name=event.name, attributes=_proto_attributes(event.attributes))
            for event in span.events
        ),
        status=_member(Status, span.status.code),
        message=span.status.message,
        scope=scope,
        resource=resource,
    )


def _proto_attributes(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    return {pair.key: _proto_value(pair.value, _MAX_DEPTH) for pair in pairs}


def _proto_value(any_value: AnyValue, depth: int) -> Any:
    if depth == 0:
        return None
    match any_value.WhichOneof("value"):
        case "array_value":
            return [_proto_value(item, depth - 1) for item in any_value.array_value.values]
        case "kvlist_value":
            pairs = any_value.kvlist_value.values
            return {pair.key: _proto_value(pair.value, depth - 1) for pair in pairs}
        case None:
            return None
        case kind:
            return getattr(any_value, kind)


# JSON: camelCase names, hex ids, 64-bit numbers as strings or numbers, enums as numbers or names.


def _from_json(body: bytes) -> Batch:
    try:
        request = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise _malformed("JSON", exc) from exc
    return _from_object(request)


def span_from(span: dict[str, Any], scope: Any, resource: Any) -> Span | None:
    """Return one span of OTLP/JSON that was parsed already, None for one without ids or times.

    `scope` is the name of its scope, `resource` its resource's attributes, as they stand there.
    """
    try:
        return _json_span(span, _text(scope), attributes_of(resource))
    except _InvalidSpanError:
        return None


def attributes_of(pairs: Any) -> dict[str, Any]:
    """Return a list of attributes, as OTLP/JSON has them, by name. Raises `RefusedError`."""
    return _json_attributes({"attributes": pairs}, _MAX_DEPTH)


def _from_object(request: Any) -> Batch:
    """Return the spans of a request."""
    gathered = _Gathered()
    for of_resource in _objects(_object(request, "the request"), "resourceSpans"):
        about = _object(of_resource.get("resource"), "resource")
        resource = _json_attributes(about, _MAX_DEPTH)
        for of_scope in _objects(of_resource, "scopeSpans"):
            scope = _text(_object(of_scope.get("scope"), "scope").get("name"))
            for span in _objects(of_scope, "spans"):
                gathered.add(_json_span, span, scope, resource)
    return gathered.batch()


def _json_span(span: dict[str, Any], scope: str, resource: dict[str, Any]) -> Span:
    status = _object(span.get("status"), "status")
    events = _items(span, "events")
    start_ns = _time(_integer(span.get("startTimeUnixNano")))
    return Span(
        trace_id=_id(_text(span.get("traceId")).lower(), _TRACE_HEX),
        span_id=_id(_text(span.get("spanId")).lower(), _SPAN_HEX),
        parent_id=_parent(_text(span.get("parentSpanId")).lower()),
        remote_parent=_remote(_integer(span.get("flags", 0))),
        name=_text(span.get("name")),
        kind=_json_member(SpanKind, span.get("kind"), "SPAN_KIND_"),
        start_ns=start_ns,
        end_ns=max(_time(_integer(span.get("endTimeUnixNano"))), start_ns),
        attributes=_json_attributes(span, _MAX_DEPTH),
        events=tuple(
            Event(name=_text(event.get("name")), attributes=_json_attributes(event, _MAX_DEPTH))
            for event in _objects(span, "events")
        )
        if events
        else (),
        status=_json_member(Status, status.get("code"), "STATUS_CODE_"),
        message=_text(status.get("message")),
        scope=scope,
        resource=resource,
    )


def _json_attributes(owner: dict[str, Any], depth: int, key: str = "attributes") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for pair in _objects(owner, key):
        node = pair.get("value")
        if depth > 1 and isinstance(node, dict) and len(node) == 1 and "stringValue" in node:
            plain = node["stringValue"]  # most are
            value = plain if isinstance(plain, str | bool) else None
        else:
            value = _json_value(node, depth - 1)
        found[_text(pair.get("key"))] = value
    return found


def _json_value(node: Any, depth: int) -> Any:  # noqa: PLR0911 - one for each kind of value
    if not isinstance(node, dict) or not node or depth <= 0:
        return None
    kind, plain = next(iter(node.items()))
    match kind:
        case "intValue":
            return _integer(plain)
        case "arrayValue":
            items = _items(_object(plain, kind), "values")
            return [_json_value(item, depth - 1) for item in items]
        case "kvlistValue":
            return _json_attributes(_object(plain, kind), depth, "values")
        case "doubleValue":
            return _double(plain)
        case "stringValue" | "boolValue" | "bytesValue":
            return plain if isinstance(plain, str | bool) else None
        case _:
            return None


def _double(plain: Any) -> float | None:
    try:
        return float(plain) if isinstance(plain, str | int | float) else None
    except (ValueError, OverflowError):
        return None


def _object(node: Any, what: str) -> dict[str, Any]:
    if node is None:
        return {}
    if not isinstance(node, dict):
        raise _malformed("JSON", f"{what} is not an object")
    return node


def _items(owner: dict[str, Any], key: str) -> list[Any]:
    items = owner.get(key)
    if items is None:
        return []
    if not isinstance(items, list):
        raise _malformed("JSON", f"{key} is not a list")
    return items


def _objects(owner: dict[str, Any], key: str) -> Iterator[dict[str, Any]]:
    for item in _items(owner, key):
        yield item if isinstance(item, dict) else _object(item, f"an item of {key}")


def _text(node: Any) -> str:
    if node is None:
        return ""
    if not isinstance(node, str):
        raise _malformed("JSON", f"{str(node)[:40]!r} where a string belongs")
    return node


def _integer(node: Any) -> int:
    if isinstance(node, str):
        try:
            return int(node[:32])
        except ValueError:
            pass
    elif isinstance(node, int) and not isinstance(node, bool):
        return node
    raise _malformed("JSON", f"{str(node)[:40]!r} where an integer belongs")


def _json_member(enum: type[_Enum], node: Any, prefix: str) -> _Enum:
    if node is None:
        return enum(0)
    if isinstance(node, str) and not node.lstrip("-").isdigit():
        return enum.__members__.get(node.removeprefix(prefix), enum(0))
    return _member(enum, _integer(node))


# Both.

if TYPE_CHECKING:
    from typing import TypeVar

    _Enum = TypeVar("_Enum", bound=IntEnum)


class _InvalidSpanError(Exception):
    """A span that cannot be placed; the others of its request can."""


class _Gathered:
    def __init__(self) -> None:
        self._spans: list[Span] = []
        self._invalid = 0

    def add(self, read: Callable[[Any, str, dict[str, Any]], Span], *span: Any) -> None:
        try:
            self._spans.append(read(*span))
        except _InvalidSpanError:
            self._invalid += 1

    def batch(self) -> Batch:
        return Batch(self._spans, self._invalid)


def _id(text: str, length: int) -> str:
    if len(text) != length or text.strip("0") == "" or text.strip("0123456789abcdef"):
        raise _InvalidSpanError
    return text


def _parent(text: str) -> str | None:
    return _id(text, _SPAN_HEX) if text.strip("0") else None


def _time(unix_ns: int) -> int:
    if not 0 < unix_ns < _MAX_TIME_NS:
        raise _InvalidSpanError
    return unix_ns


def _remote(flags: int) -> bool | None:
    return bool(flags & _IS_REMOTE) if flags & _HAS_IS_REMOTE else None


def _member(enum: type[_Enum], number: int) -> _Enum:
    try:
        return enum(number)
    except ValueError:
        return enum(0)
