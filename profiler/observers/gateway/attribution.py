"""Whose call it is: the interaction that a request to a provider belongs to.

Tried in this order, and what was used is recorded: the trace that the request carries; a marker in
the user's text; the tool calls whose results it brings; the user's text. Where these leave more
than one interaction, or none, the call is ambiguous and belongs to none: it is never guessed.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING
from urllib.parse import unquote

from profiler.measure.records import NO_TRACE, Attribution
from profiler.values import value
from profiler.workload.marker import marked_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    from profiler.observers.gateway.apis.values import CallRequest
    from profiler.observers.gateway.tool_chain import ToolChain
    from profiler.observers.in_flight import InFlight

LEAST_CONTAINED_CHARS = 12
"""A shorter text is not looked for within another: "yes" is in many."""

_SESSION = "agent_profiler.session"
# W3C Trace Context, 3.2: version 00 has these four fields, a later one may have more; ff is none.
_TRACEPARENT = re.compile(
    r"(?:00-([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
    r"|(?!00|ff)[0-9a-f]{2}-([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?)"
)
_NO_ID = "0" * 32


class How(Enum):
    """A finer word than `Attribution`: the text itself, or found within a longer one."""

    PLAIN = "plain"
    CONTAINED = "contained"


@value
class Owner:
    """The interaction of a call and how it was found."""

    trace_id: str
    attribution: Attribution
    how: How = How.PLAIN


AMBIGUOUS = Owner(trace_id=NO_TRACE, attribution=Attribution.AMBIGUOUS)


class Attributor:
    """Assigns requests. Without `in_flight` (an agent under real traffic) any trace id is good."""

    def __init__(self, in_flight: InFlight | None, chain: ToolChain) -> None:
        self._in_flight = in_flight
        self._chain = chain

    def owner(self, headers: Mapping[str, str], request: CallRequest) -> Owner:
        """Return the interaction of a request; headers by name in lower case."""
        trace_id = self._by_trace(headers)
        if trace_id is not None:
            return Owner(trace_id=trace_id, attribution=Attribution.TRACE)
        trace_id = self._by_marker(request.user)
        if trace_id is not None:
            return Owner(trace_id=trace_id, attribution=Attribution.MARKER)
        trace_id = self._by_tools(request)
        if trace_id is not None:
            return Owner(trace_id=trace_id, attribution=Attribution.TOOL_CHAIN)
        return self._by_text(request.user)

    def _by_trace(self, headers: Mapping[str, str]) -> str | None:
        trace_id = trace_id_of(headers.get("traceparent", ""))
        flying = self._in_flight
        if flying is None:
            return trace_id
        if trace_id is not None and flying.seen(trace_id):
            return trace_id
        session = session_of(headers.get("baggage", ""))
        return None if session is None else _only(flying.of_session(session))

    def _by_marker(self, user: str | None) -> str | None:
        if user is None or self._in_flight is None:
            return None
        begins = marked_in(user)
        if begins is None:
            return None
        return _only(frozenset(id_ for id_ in self._in_flight if id_.startswith(begins)))

    def _by_tools(self, request: CallRequest) -> str | None:
        if not request.brings:
            return None
        trace_id = self._chain.trace_of(request.brings)
        if trace_id is None or self._in_flight is None or request.ends_in_results:
            return trace_id
        # A user's message follows the results: another interaction's, if theirs has ended.
        return trace_id if trace_id in self._in_flight else None

    def _by_text(self, user: str | None) -> Owner:
        flying = self._in_flight
        if flying is None or not user:
            return AMBIGUOUS
        same = flying.with_text(user)
        how = How.PLAIN
        if not same:  # frameworks wrap the text
            same = flying.within(user, least_chars=LEAST_CONTAINED_CHARS)
            how = How.CONTAINED
        trace_id = _only(same)
        if trace_id is None:
            return AMBIGUOUS
        return Owner(trace_id=trace_id, attribution=Attribution.USER_TEXT, how=how)


def trace_id_of(traceparent: str) -> str | None:
    """Return the trace id of a valid `traceparent`."""
    match = _TRACEPARENT.fullmatch(traceparent.strip())
    if match is None:
        return None
    trace_id = match[1] or match[2]
    return None if trace_id == _NO_ID else trace_id


def session_of(baggage: str) -> str | None:
    """Return the session that our own baggage entry names."""
    for member in baggage.split(","):
        key, separator, content = member.partition(";")[0].partition("=")
        if separator and key.strip() == _SESSION:
            return unquote(content.strip())
    return None


def _only(ids: frozenset[str]) -> str | None:
    return next(iter(ids)) if len(ids) == 1 else None
