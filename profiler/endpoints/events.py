"""What the adapters of protocols with typed stream events share: JSON events, and how a body ends.

An event has a `type`; those of a type that is not known mean nothing, as the protocols want it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

import orjson

from profiler.endpoints.exchange import Reply
from profiler.endpoints.json_values import parsed
from profiler.endpoints.sse import EventTooLongError, timed_events
from profiler.values import value

if TYPE_CHECKING:
    from collections.abc import Iterable

STREAM_TYPE = "text/event-stream"
FIRST_ERROR_STATUS = 400
_DONE = b"[DONE]"
"""Ends streams of other protocols; some servers send it in all of theirs. Here it means nothing."""


@value
class Fault:
    """What is wrong with a body: a fixed word, and a sentence."""

    kind: str
    detail: str


def json_events(
    pieces: Iterable[bytes], times_ns: Iterable[int]
) -> tuple[list[tuple[dict[str, Any], int]], Fault | None]:
    """Return all events up to one that breaks the protocol, each with its arrival, and how."""
    events: list[tuple[dict[str, Any], int]] = []
    try:
        for data, at_ns in timed_events(pieces, times_ns):
            if data == _DONE:
                continue
            event = parsed(data)
            if not isinstance(event, dict):
                detail = "an event of the stream is no JSON object"
                return events, Fault(kind="event_not_json", detail=detail)
            events.append((event, at_ns))
    except EventTooLongError as exc:
        return events, Fault(kind="event_too_long", detail=str(exc))
    return events, None


class Ending(TypedDict):
    """The part of a `Reply` that says how a body ended."""

    error_kind: str | None
    error_detail: str | None
    is_protocol_error: bool


def ending(fault: Fault | None, error: str | None) -> Ending:
    """Say how a stream ended: a fault of its own comes before an error that it reports."""
    if fault is not None:
        return Ending(error_kind=fault.kind, error_detail=fault.detail, is_protocol_error=True)
    kind = None if error is None else "error_in_stream"
    return Ending(error_kind=kind, error_detail=error, is_protocol_error=False)


def json_object(data: bytes) -> dict[str, Any] | Reply:
    """Parse a plain body; what is no JSON object is a reply that says so."""
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError:
        return Reply(
            error_kind="not_json",
            error_detail="the response body is no JSON",
            is_protocol_error=True,
        )
    if not isinstance(body, dict):
        return wrong_shape(body, "the response is no JSON object")
    return body


def wrong_shape(body: Any, detail: str) -> Reply:
    """Return the reply of a body that is JSON, and not what the protocol has."""
    return Reply(body=body, error_kind="wrong_shape", error_detail=detail, is_protocol_error=True)
