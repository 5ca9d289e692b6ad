"""HTTP as the mocks speak it: bodies within a limit, JSON and errors as OpenAI has them, SSE.

The endpoints are plain ASGI applications: a streamed answer sends its status only when its first
token is there, so that a failure before it still has a status of its own.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import orjson

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import Receive, Scope, Send

MAX_BODY_BYTES = 32 * 1024 * 1024
DONE = b"data: [DONE]\n\n"
HINT = "agent_profiler.conversation"
LENGTH = "agent_profiler.output_tokens"
MOST_OUTPUT_TOKENS = 1_000_000

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


class HttpError(Exception):
    """A request that is answered with an error in OpenAI's shape."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})
        self.body = {"error": {"message": message, "type": kind, "param": param, "code": code}}


async def read_json(scope: Scope, receive: Receive, limit: int = MAX_BODY_BYTES) -> dict[str, Any]:
    """Read a request's body as a JSON object. Raises `HttpError`: 413 over the limit, 400 else."""
    body = await read_body(scope, receive, limit)
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise HttpError(400, f"We could not parse the JSON body of your request: {exc}") from exc
    if not isinstance(value, dict):
        raise HttpError(400, "The body of your request is not a JSON object.")
    return value


async def read_body(scope: Scope, receive: Receive, limit: int = MAX_BODY_BYTES) -> bytes:
    """Read a request's body. Raises `HttpError` 413 as soon as it is known to be over the limit."""
    too_large = HttpError(413, f"The body of your request is larger than {limit} bytes.")
    declared = headers_of(scope).get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise too_large
    chunks: list[bytes] = []
    size = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise HttpError(400, "The client went away before its request was complete.")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise too_large
        chunks.append(chunk)
        more = message.get("more_body", False)
    return b"".join(chunks)


def headers_of(scope: Scope) -> dict[str, str]:
    """Return the request's headers, names in lower case; of a repeated one the last."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


@dataclass(frozen=True, slots=True)
class TraceContext:
    """The W3C context of a request: its trace id, the baggage as it came, and two hints in it.

    `hint` is the recorded conversation, `output_tokens` how long the recorded answer was.
    """

    trace_id: str
    flags: str
    baggage: str | None
    hint: str | None
    output_tokens: int | None = None

    def onward(self) -> dict[str, str]:
        """Return headers for a request made on behalf of this one: same trace, a new span."""
        headers = {"traceparent": f"00-{self.trace_id}-{secrets.token_hex(8)}-{self.flags}"}
        if self.baggage is not None:
            headers["baggage"] = self.baggage
        return headers


def trace_context(headers: Mapping[str, str]) -> TraceContext:
    """Read `traceparent` and `baggage`; a request without a valid trace id gets a new one."""
    match = _TRACEPARENT.fullmatch(headers.get("traceparent", ""))
    known = match is not None and match[1] != "0" * 32
    baggage = headers.get("baggage")
    return TraceContext(
        trace_id=match[1] if match is not None and known else secrets.token_hex(16),
        flags=match[3] if match is not None and known else "01",
        baggage=baggage,
        hint=_baggage_entry(baggage, HINT) if baggage is not None else None,
        output_tokens=_tokens(_baggage_entry(baggage, LENGTH)) if baggage is not None else None,
    )


def _tokens(text: str | None) -> int | None:
    if text is None or not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        return None
    return min(int(text), MOST_OUTPUT_TOKENS)


_MOST_DIGITS = 18


def _baggage_entry(baggage: str, name: str) -> str | None:
    for member in baggage.split(","):
        key, separator, value = member.partition(";")[0].partition("=")
        if separator and key.strip() == name:
            return unquote(value.strip())
    return None


def sse(chunk: Any) -> bytes:
    """Return a server-sent event with a JSON value."""
    return b"data: " + orjson.dumps(chunk) + b"\n\n"


async def send_json(
    send: Send, status: int, body: Any, headers: Mapping[str, str] | None = None
) -> None:
    """Send a whole JSON response."""
    content = orjson.dumps(body)
    extra = {"content-length": str(len(content)), **(headers or {})}
    await send_start(send, status, "application/json", extra)
    await send({"type": "http.response.body", "body": content})


async def send_start(
    send: Send, status: int, content_type: str, headers: Mapping[str, str]
) -> None:
    """Send status and headers; the body follows."""
    raw = [(b"content-type", content_type.encode())]
    raw.extend(
        (name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()
    )
    await send({"type": "http.response.start", "status": status, "headers": raw})


async def send_chunk(send: Send, chunk: bytes, *, last: bool = False) -> None:
    """Send a part of a streamed body."""
    await send({"type": "http.response.body", "body": chunk, "more_body": not last})
