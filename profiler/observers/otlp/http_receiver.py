"""OTLP over HTTP: `/v1/traces` is read, `/v1/logs` and `/v1/metrics` are taken and left alone.

Answers are as the OTLP specification says: in the request's encoding, an error as a
`google.rpc.Status`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from profiler.observers.otlp.decode import (
    JSON,
    MAX_BYTES,
    PROTOBUF,
    RefusedError,
    media_type,
    too_large,
)

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from profiler.observers.otlp.intake import Intake

_SIGNALS = {"/v1/traces": "traces", "/v1/logs": "logs", "/v1/metrics": "metrics"}
_PLAIN = "text/plain"
_MAX_DISCARDED = 1 << 30
_INVALID_ARGUMENT = 3  # of google.rpc.Code


class _GoneError(Exception):
    """The client left before its request was complete."""


def application(intake: Intake, max_bytes: int = MAX_BYTES) -> ASGIApp:
    """Return the receiver as an ASGI application; larger requests are refused unread."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        media = _PLAIN
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        try:
            signal = _signal(scope)
            media = media_type(headers.get(b"content-type", ""))
            body = await _body(receive, headers.get(b"content-length", ""), max_bytes)
            invalid = 0
            if signal == "traces":
                encoding = headers.get(b"content-encoding", "")
                invalid = await intake.traces(body, media, encoding)
            else:
                intake.ignored(signal)
            await _answer(send, 200, media, _success(invalid, media))
        except RefusedError as exc:
            intake.refused(exc)
            await _answer(send, exc.status, media, _error(exc.message, media))
        except _GoneError:
            intake.refused(RefusedError(400, "malformed", "a request that broke off"))

    return app


def _signal(scope: Scope) -> str:
    signal = _SIGNALS.get(scope["path"])
    if signal is None:
        raise RefusedError(404, "wrong_type", f"no OTLP at {scope['path'][:80]!r}: /v1/traces is")
    if scope["method"] != "POST":
        raise RefusedError(405, "wrong_type", f"{scope['method'][:20]} where OTLP is sent by POST")
    return signal


async def _body(receive: Receive, length: str, max_bytes: int) -> bytes:
    """Read a body of limited size.

    One that is too large is read on and thrown away: a client that is cut off in the middle of
    sending does not see the answer, and sends the same again.
    """
    refused = length.isdecimal() and int(length[:20]) > max_bytes
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _GoneError
        part = message.get("body", b"")
        size += len(part)
        refused = refused or size > max_bytes
        if refused:
            parts.clear()
        else:
            parts.append(part)
        if not message.get("more_body", False) or size > _MAX_DISCARDED:
            break
    if refused:
        raise too_large(max_bytes)
    return b"".join(parts)


async def _answer(send: Send, status: int, media: str, body: bytes) -> None:
    headers = [
        (b"content-type", media.encode()),
        (b"content-length", str(len(body)).encode()),
    ]
    if status == 405:  # noqa: PLR2004
        headers.append((b"allow", b"POST"))
    if status == 413:  # noqa: PLR2004
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def invalid_message(invalid: int) -> str:
    """Return what an exporter is told of spans that were left out."""
    return f"{invalid} spans without a valid trace id, span id or time"


def _success(invalid: int, media: str) -> bytes:
    if media == JSON:
        if invalid == 0:
            return b"{}"
        refused = {"rejectedSpans": str(invalid), "errorMessage": invalid_message(invalid)}
        return orjson.dumps({"partialSuccess": refused})
    return success(invalid)


def success(invalid: int) -> bytes:
    """Return an `ExportTraceServiceResponse`; the responses of other signals are as empty."""
    if invalid == 0:
        return b""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (  # noqa: PLC0415
        ExportTracePartialSuccess,
        ExportTraceServiceResponse,
    )

    refused = ExportTracePartialSuccess(
        rejected_spans=invalid, error_message=invalid_message(invalid)
    )
    response = ExportTraceServiceResponse(partial_success=refused)
    return bytes(response.SerializeToString())


def _error(message: str, media: str) -> bytes:
    """Return a `google.rpc.Status`: `code` is field 1, `message` field 2."""
    if media == JSON:
        return orjson.dumps({"code": _INVALID_ARGUMENT, "message": message})
    text = message.encode()[:1000]
    if media == PROTOBUF:
        length = len(text)
        varint = bytes([length]) if length < 0x80 else bytes([length & 0x7F | 0x80, length >> 7])  # noqa: PLR2004
        return bytes([0x08, _INVALID_ARGUMENT, 0x12]) + varint + text
    return text
