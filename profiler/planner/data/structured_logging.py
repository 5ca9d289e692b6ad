"""Logs in JSON, one object per line, with the request's id and the trace's id on each line.

Standard library only: copy this file into the agent.

    import structured_logging as logs

    logs.configure(service="support-agent")
    with logs.request(session_id=session, traceparent=headers.get("traceparent")) as request:
        logging.getLogger(__name__).info("answered", extra={"llm_calls": 2})
        answer.headers["x-request-id"] = request.request_id

Whatever is logged inside, in whichever module, task (asyncio) or thread that was started with the
context (`asyncio.to_thread`, `contextvars.copy_context().run`), bears the same ids. Calls of a
provider or a tool pass them on: `logs.outgoing_headers()`.

A running OpenTelemetry span, where that package is there, gives the trace and span ids; otherwise
they come from `traceparent` (W3C Trace Context), or are made up, so that no line is without.
"""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
import datetime
import json
import logging
import re
import secrets
import sys
import traceback
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_UTC = datetime.timezone.utc  # noqa: UP017 - agents may run on a Python before 3.11
_RESERVED = frozenset(
    {"timestamp", "level", "logger", "message", "service", "exception"}
    | {"request_id", "session_id", "trace_id", "span_id"}
)


@dataclasses.dataclass(frozen=True)
class Request:
    """The ids of what is being worked on."""

    request_id: str
    trace_id: str
    span_id: str
    session_id: str | None = None
    trace_flags: str = "01"


_current: contextvars.ContextVar[Request | None] = contextvars.ContextVar("request", default=None)


@contextlib.contextmanager
def request(
    request_id: str | None = None,
    *,
    session_id: str | None = None,
    traceparent: str | None = None,
) -> Iterator[Request]:
    """Give everything logged inside the same ids; those not given are made up."""
    trace_id, parent_id, flags = _parsed(traceparent)
    made = Request(
        request_id=request_id or secrets.token_hex(8),
        trace_id=trace_id or secrets.token_hex(16),
        span_id=parent_id or secrets.token_hex(8),
        session_id=session_id,
        trace_flags=flags,
    )
    token = _current.set(made)
    try:
        yield made
    finally:
        _current.reset(token)


def current() -> Request | None:
    """Return the ids of what is being worked on; None outside of any request."""
    return _current.get()


def outgoing_headers() -> dict[str, str]:
    """Return the headers that tell a provider, a tool or another service whose request it is."""
    now = _current.get()
    if now is None:
        return {}
    trace_id, span_id = _span() or (now.trace_id, now.span_id)
    return {
        "x-request-id": now.request_id,
        "traceparent": f"00-{trace_id}-{span_id}-{now.trace_flags}",
    }


def configure(
    *, service: str, level: int | str = logging.INFO, stream: IO[str] | None = None
) -> None:
    """Send the log of all loggers to `stream` (standard output) as JSON lines, and only there."""
    handler = logging.StreamHandler(sys.stdout if stream is None else stream)
    handler.setFormatter(JsonLines(service=service))
    logging.basicConfig(level=level, handlers=[handler], force=True)


class JsonLines(logging.Formatter):
    """One JSON object per record. Fields of `extra` come beside the standard ones."""

    def __init__(self, *, service: str) -> None:
        super().__init__()
        self.service = service

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; a field of `extra` whose name is taken has `extra_` before it."""
        line: dict[str, Any] = {
            "timestamp": datetime.datetime.fromtimestamp(record.created, _UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "service": self.service,
            **_ids(),
        }
        for name, value in vars(record).items():
            if name not in _STANDARD:
                line[f"extra_{name}" if name in _RESERVED else name] = value
        if record.exc_info:
            line["exception"] = "".join(traceback.format_exception(*record.exc_info))
        return json.dumps(line, default=str, ensure_ascii=False)


def _ids() -> dict[str, str | None]:
    now, span = _current.get(), _span()
    trace_id, span_id = span or ((now.trace_id, now.span_id) if now else (None, None))
    ids = {"request_id": now.request_id if now else None, "trace_id": trace_id, "span_id": span_id}
    if now is not None and now.session_id is not None:
        ids["session_id"] = now.session_id
    return ids


def _span() -> tuple[str, str] | None:
    """Return trace and span id of OpenTelemetry's current span, where there is one."""
    api = sys.modules.get("opentelemetry.trace")  # imported by whoever makes spans, or not at all
    if api is None:
        return None
    context = api.get_current_span().get_span_context()
    if not context.is_valid:
        return None
    return format(context.trace_id, "032x"), format(context.span_id, "016x")


def _parsed(traceparent: str | None) -> tuple[str | None, str | None, str]:
    """Return trace id, parent's id and flags; what does not follow the standard is ignored."""
    found = _TRACEPARENT.fullmatch((traceparent or "").strip())
    if found is None:
        return None, None, "01"
    version, trace_id, parent_id, flags, more = found.groups()
    is_void = set(trace_id) == {"0"} or set(parent_id) == {"0"}
    if version == "ff" or is_void or (version == "00" and more):
        return None, None, "01"
    return trace_id, parent_id, flags
