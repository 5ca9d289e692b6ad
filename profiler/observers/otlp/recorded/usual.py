"""Spans in the form that nearly all have, from parsed OTLP/JSON straight to what is kept of them.

Whatever is rare or wrong is None here, and for `decode` to read: that takes five times as long.
"""

from __future__ import annotations

import re
from typing import Any

from profiler.observers.otlp.recorded.kept import is_plain, kept_plain, written
from profiler.observers.otlp.spans import SpanKind, Status

_FIELDS = frozenset(
    {
        "traceId",
        "spanId",
        "parentSpanId",
        "name",
        "kind",
        "startTimeUnixNano",
        "endTimeUnixNano",
        "attributes",
        "status",
        "flags",
    }
)
_TRACE = re.compile("(?!0{32})[0-9a-f]{32}")
_SPAN = re.compile("(?!0{16})[0-9a-f]{16}")
_TIME = re.compile("[1-8][0-9]{0,18}")
_KINDS = {key: int(kind) for kind in SpanKind for key in (int(kind), f"SPAN_KIND_{kind.name}")}
_STATUSES = {key: int(code) for code in Status for key in (int(code), f"STATUS_CODE_{code.name}")}
_REMOTE = {0: None, 0x1: None, 0x100: False, 0x101: False, 0x300: True, 0x301: True}
MESSAGES = "gen_ai.input.messages"
_PLAIN: dict[str, type] = {"intValue": int, "boolValue": bool, "doubleValue": float}
_NO_PARENT = (None, "")
_STATUS_FIELDS = frozenset({"code", "message"})
_PAIR = 2
_INT_CHARACTERS = 32


def usual(
    line: int, span: dict[str, Any], scope: str, resource: dict[str, Any]
) -> tuple[str, bytes] | None:
    """Return a span's trace and what `kept` returns of it, None where the span is not so.

    Nothing in such a span is nested: its attributes are texts, numbers, booleans and lists of
    texts. `MESSAGES`, most of a file and JSON for whoever reads it, stays in UTF-8.
    """
    if not _FIELDS.issuperset(span):
        return None
    try:
        trace_id, span_id, parent_id = span["traceId"], span["spanId"], span.get("parentSpanId")
        begin, end = span["startTimeUnixNano"], span["endTimeUnixNano"]
        kind, flags, name = span["kind"], span.get("flags", 0), span["name"]
        if not (
            _TRACE.fullmatch(trace_id)
            and _SPAN.fullmatch(span_id)
            and (parent_id in _NO_PARENT or _SPAN.fullmatch(parent_id))
            and _TIME.fullmatch(begin)
            and _TIME.fullmatch(end)
            and type(kind) is not float
            and type(kind) is not bool
            and type(flags) is int
            and type(name) is str
        ):
            return None
        code, message = _status(span.get("status"))
        attributes = _scalars(span["attributes"])
        known, remote = _KINDS[kind], _REMOTE[flags]
        if type(given := attributes.get(MESSAGES)) is str:
            attributes[MESSAGES] = given.encode()
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    start_ns = int(begin)
    end_ns = max(start_ns, int(end))
    parent_id = parent_id or None
    if is_plain(attributes, scope):
        place = (line, span_id, parent_id, remote, known, start_ns, end_ns, scope)
        return trace_id, kept_plain(place, resource)
    about = (name, known, start_ns, end_ns, attributes, (), code, message, scope, resource)
    return trace_id, written((line, span_id, parent_id, remote, *about))


def _status(status: Any) -> tuple[int, str]:
    """Return a status's code and message. Raises TypeError, KeyError or AttributeError."""
    if status is None or status == {}:
        return 0, ""
    code, message = status.get("code", 0), status.get("message", "")
    if (
        type(code) is float
        or type(code) is bool
        or type(message) is not str
        or not _STATUS_FIELDS.issuperset(status)
    ):
        raise TypeError
    return _STATUSES[code], message


def _scalars(pairs: Any) -> dict[str, Any]:
    """Return attributes. Raises TypeError and the like where one is no text, number or boolean."""
    found: dict[str, Any] = {}
    for pair in pairs:
        key, value = pair["key"], pair["value"]
        text = value.get("stringValue")
        if type(key) is not str or len(value) != 1:
            raise TypeError
        found[key] = text if type(text) is str else _number(pair, value)
    return found


def _number(pair: dict[str, Any], value: dict[str, Any]) -> Any:
    """Return an attribute's number, boolean or list. Raises TypeError, KeyError or ValueError."""
    ((kind, plain),) = value.items()
    if len(pair) != _PAIR:
        raise TypeError
    if kind == "arrayValue" and tuple(plain) == ("values",):
        return [_text(item) for item in plain["values"]]
    if kind == "intValue" and type(plain) is str:
        return int(plain[:_INT_CHARACTERS])
    is_so = type(plain) is _PLAIN[kind]
    if not is_so:
        raise TypeError
    return plain


def _text(item: dict[str, Any]) -> str:
    """Return an item of a list, which is a text. Raises TypeError or KeyError."""
    text = item["stringValue"]
    if type(text) is not str or len(item) != 1:
        raise TypeError
    return text
