"""A span as OTLP delivers it, whatever encoding it came in."""

from __future__ import annotations

from dataclasses import field
from enum import IntEnum
from typing import Any

from profiler.values import value


class SpanKind(IntEnum):
    """OTLP's `SpanKind`, by its numbers."""

    UNSPECIFIED = 0
    INTERNAL = 1
    SERVER = 2
    CLIENT = 3
    PRODUCER = 4
    CONSUMER = 5


class Status(IntEnum):
    """OTLP's `StatusCode`, by its numbers."""

    UNSET = 0
    OK = 1
    ERROR = 2


Attributes = dict[str, Any]
"""Attribute values as Python values: str, bool, int, float, bytes, list, dict or None."""


@value
class Event:
    """Something that happened at one moment of a span."""

    name: str
    attributes: Attributes


@value
class Span:
    """One span. Times are nanoseconds on the wall clock of the process that made it; ids are hex.

    `remote_parent` is what the span's flags say: whether its parent is in another process, or
    None where they do not say.
    """

    trace_id: str
    span_id: str
    parent_id: str | None = None
    remote_parent: bool | None = None
    name: str = ""
    kind: SpanKind = SpanKind.UNSPECIFIED
    start_ns: int
    end_ns: int
    attributes: Attributes = field(default_factory=dict)
    events: tuple[Event, ...] = ()
    status: Status = Status.UNSET
    message: str = ""
    scope: str = ""
    resource: Attributes = field(default_factory=dict)
