"""What an exception or a status means: an outcome, a kind, one line of detail."""

from __future__ import annotations

import errno
import ssl
from typing import TYPE_CHECKING

import httpx

from profiler.endpoints.receiver import BodyTooLargeError, DeadlineError
from profiler.measure.records import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

_DETAIL_CHARACTERS = 200
_ERRORS_FROM, _SERVER_ERRORS_FROM, _TOO_MANY = 400, 500, 429

_KINDS: tuple[tuple[type[Exception], Outcome, str], ...] = (
    (DeadlineError, Outcome.TIMEOUT, "deadline"),
    (BodyTooLargeError, Outcome.PROTOCOL_ERROR, "body_too_large"),
    (httpx.ConnectTimeout, Outcome.CONNECT_ERROR, "connect_timeout"),
    (httpx.PoolTimeout, Outcome.TIMEOUT, "pool_timeout"),
    (httpx.TimeoutException, Outcome.TIMEOUT, "read_timeout"),
    (httpx.DecodingError, Outcome.PROTOCOL_ERROR, "bad_content_encoding"),
    (httpx.ProxyError, Outcome.CONNECT_ERROR, "proxy"),
)


def outcome_of_status(status: int) -> Outcome:
    """Say what a status that is no success means. A redirect is not followed: it is an error."""
    if status == _TOO_MANY:
        return Outcome.HTTP_429
    if status >= _SERVER_ERRORS_FROM:
        return Outcome.HTTP_5XX
    return Outcome.HTTP_4XX if status >= _ERRORS_FROM else Outcome.PROTOCOL_ERROR


def classify(exc: BaseException) -> tuple[Outcome, str, str]:
    """Turn an exception of httpx or the operating system into an outcome, a kind and a detail."""
    detail = (" ".join(str(exc).split()) or type(exc).__name__)[:_DETAIL_CHARACTERS]
    for kind, outcome, name in _KINDS:
        if isinstance(exc, kind):
            return outcome, name, detail
    if isinstance(exc, httpx.ConnectError) or not isinstance(exc, httpx.HTTPError):
        return Outcome.CONNECT_ERROR, _connect_kind(exc), detail
    if isinstance(exc, httpx.NetworkError):
        return Outcome.PROTOCOL_ERROR, "connection_lost", detail
    return Outcome.PROTOCOL_ERROR, "invalid_http", detail


def _connect_kind(exc: BaseException) -> str:
    for cause in _causes(exc):
        if isinstance(cause, ssl.SSLError):
            return "tls"
        if isinstance(cause, ConnectionRefusedError):
            return "refused"
        if isinstance(cause, OSError) and cause.errno in (errno.EMFILE, errno.ENFILE):
            return "too_many_open_files"
        if type(cause).__name__ == "gaierror":
            return "dns"
    return "connect"


def _causes(exc: BaseException) -> Iterator[BaseException]:
    """Yield the exception, what caused it, and the members of groups among them."""
    seen: set[int] = set()
    queue: list[BaseException] = [exc]
    while queue:
        current = queue.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        if isinstance(current, BaseExceptionGroup):
            queue.extend(current.exceptions)
        queue.extend(c for c in (current.__cause__, current.__context__) if c is not None)
