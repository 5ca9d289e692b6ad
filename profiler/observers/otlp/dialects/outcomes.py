"""How a span ended: from its status, the error's type, exception events and messages.

Libraries name errors by classes; the names here are those of httpx, aiohttp, and the SDKs of
OpenAI, Anthropic and Google.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from profiler.measure.records import Outcome
from profiler.observers.otlp.dialects import attributes as read
from profiler.observers.otlp.spans import Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from profiler.observers.otlp.spans import Span

_STATUS_IN_TEXT = re.compile(
    r"(?:status[ _]?code|error code|http(?:/\d(?:\.\d)?)?|status)\W{0,3}([45]\d\d)\b", re.IGNORECASE
)
_LEADING_STATUS = re.compile(r"([45]\d\d)\b")
_CLASSES = (
    (re.compile(r"RateLimit|TooManyRequests|ResourceExhausted|Throttl"), Outcome.HTTP_429),
    (re.compile(r"Timeout|DeadlineExceeded|timeout"), Outcome.TIMEOUT),
    (re.compile(r"Cancelled|Canceled|GeneratorExit"), Outcome.CANCELLED),
    (re.compile(r"Connect(ion)?(Error|Refused|Reset)|ClientConnector"), Outcome.CONNECT_ERROR),
    (re.compile(r"RemoteProtocol|ServerDisconnected|IncompleteRead"), Outcome.PROTOCOL_ERROR),
    (re.compile(r"InternalServer|ServiceUnavailable|Overloaded|BadGateway"), Outcome.HTTP_5XX),
    (
        re.compile(r"BadRequest|Authentication|PermissionDenied|NotFoundError|Unprocessable"),
        Outcome.HTTP_4XX,
    ),
)
_TOO_MANY = 429
_CLIENT_ERRORS, _SERVER_ERRORS, _LAST = 400, 500, 599
_MAX_TEXT = 2000


def of_status(status: int) -> Outcome:
    """Return the outcome that an HTTP status is."""
    if status == _TOO_MANY:
        return Outcome.HTTP_429
    if status < _CLIENT_ERRORS:
        return Outcome.OK
    return Outcome.HTTP_4XX if status < _SERVER_ERRORS else Outcome.HTTP_5XX


def of(span: Span) -> tuple[Outcome, int | None]:
    """Return how a span ended, and the HTTP status that its error names, if it names one."""
    error = read.text(span.attributes, "error.type")
    level = span.attributes.get("langfuse.observation.level")
    if span.status is not Status.ERROR and error is None and level != "ERROR":
        return Outcome.OK, None
    status = read.count(span.attributes, "http.response.status_code", "http.status_code")
    if status is not None and _CLIENT_ERRORS <= status <= _LAST:
        return of_status(status), status
    texts = list(_texts(span, error))
    for told in texts:
        match = _LEADING_STATUS.match(told) or _STATUS_IN_TEXT.search(told)
        if match is not None:
            return of_status(int(match[1])), int(match[1])
    for told in texts:
        for pattern, outcome in _CLASSES:
            if pattern.search(told):
                return outcome, None
    return Outcome.AGENT_ERROR, None


def _texts(span: Span, error: str | None) -> Iterator[str]:
    if error is not None:
        yield error
    for event in reversed(span.events):
        if event.name == "exception":
            for name in ("exception.type", "exception.message"):
                told = event.attributes.get(name)
                if isinstance(told, str):
                    yield told[:_MAX_TEXT]
    yield span.message[:_MAX_TEXT]
    yield (read.text(span.attributes, "langfuse.observation.status_message") or "")[:_MAX_TEXT]
