"""Which kind of file it looks like, from how it begins: for who named none, or a wrong one."""

from __future__ import annotations

import re
from typing import Any

import orjson

from profiler.workload.importers.kinds import ImportKind

BEGINNING_BYTES = 2**16
"""How much of a file is looked at: a browser's recording names itself, its first entry is long."""

# A quotation mark within a string has a backslash before it, so that no text looks like a key.
_KEY = re.compile(rb'"(\w+)"\s*:')
_AZURE = re.compile(rb'\s*"?TIMESTAMP"?\s*,\s*"?ContextTokens', re.IGNORECASE)
_BOM = b"\xef\xbb\xbf"
_LANGFUSE = frozenset({"traceId", "trace_id", "observations", "parentObservationId"})


def likely_kind(beginning: bytes) -> ImportKind | None:
    """Return the kind of the file that begins so; None: it is like none of them."""
    text = beginning.removeprefix(_BOM).lstrip()
    if _AZURE.match(text):
        return ImportKind.AZURE_LLM
    first = _first(text.split(b"\n", 1)[0])
    keys = {key.decode() for key in _KEY.findall(text)}
    if isinstance(first, dict) and "messages" in first:
        return ImportKind.OPENAI_MESSAGES
    for kind, found in (
        (ImportKind.OTEL, "resourceSpans" in keys),
        (ImportKind.HAR, {"log", "creator"} <= keys or {"log", "entries"} <= keys),
        (ImportKind.MOONCAKE, {"timestamp", "input_length"} <= keys),
        (ImportKind.SHAREGPT, "conversations" in keys),
        (ImportKind.LANGFUSE, bool(keys & _LANGFUSE)),
        (ImportKind.OPENAI_MESSAGES, "messages" in keys or (_is_list(text) and "role" in keys)),
    ):
        if found:
            return kind
    return None


def _first(line: bytes) -> Any:
    """Return what the first line holds; None where that is no JSON by itself."""
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return None


def _is_list(text: bytes) -> bool:
    return text.startswith(b"[")
