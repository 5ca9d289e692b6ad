"""HTTP client spans: old names (`http.url`, `http.status_code`) and new (`url.full`, ...)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from profiler.observers.otlp.dialects import attributes as read
from profiler.observers.otlp.seen import HttpRequest, Seen
from profiler.observers.otlp.spans import SpanKind

if TYPE_CHECKING:
    from profiler.observers.otlp.spans import Attributes, Span

_LLM_PATH = re.compile(
    r"/chat/completions$|/completions$|/responses$|/v1/messages$|/v\d/chat$|/api/(chat|generate)$"
    r"|:(g|streamG)enerateContent$|:(r|streamR)awPredict$"
    r"|/model/[^/]+/(converse|invoke)(-stream|-with-response-stream)?$"
)

NAMES = frozenset({"http.request.method", "http.method"})


def seen(span: Span) -> Seen | None:
    """Read an HTTP client span; None if it is not one."""
    found = span.attributes
    method = read.text(found, "http.request.method", "http.method")
    if method is None or span.kind is not SpanKind.CLIENT:
        return None
    return HttpRequest(
        status=read.count(found, "http.response.status_code", "http.status_code"),
        to_llm=method.upper() == "POST" and _LLM_PATH.search(_path(found)) is not None,
    )


def _path(found: Attributes) -> str:
    url = read.text(found, "url.full", "http.url")
    if url is None:
        return (read.text(found, "url.path", "http.target") or "").partition("?")[0]
    try:
        return urlsplit(url).path
    except ValueError:
        return ""
