"""Reads an answer of events by the rules of an `http-json` workload.

Times in the account are seconds since the first bytes came, the moment nearest to the agent's own
zero that is seen; a JSON body that came whole has none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from profiler.endpoints.body import Body
from profiler.endpoints.event_rules import key_of
from profiler.endpoints.event_source import MOST_EVENTS, events_of, is_stream, items_of
from profiler.endpoints.event_stream import BrokenStreamError, Ending, ending, in_one_line
from profiler.endpoints.exchange import Reply
from profiler.endpoints.told_calls import ToldCalls
from profiler.measure.records import Outcome, Usage
from profiler.workload.expressions import is_true

if TYPE_CHECKING:
    from collections.abc import Iterable

    from profiler.endpoints.event_rules import Event, EventRules, Rule

_UNNAMED_TOOL = "unknown"


class EventsReader(Body):
    """Reads a stream of events, or a JSON body with the list of them."""

    __slots__ = ("_content_type", "_rules")

    def __init__(self, rules: EventRules, content_type: str) -> None:
        super().__init__()
        self._rules = rules
        self._content_type = content_type

    def finish(self) -> Reply:
        """Say what the events meant."""
        answer = _Answer(self._rules)
        body, streams, broken = None, is_stream(self._content_type), None
        try:
            if streams:
                answer.take_all(events_of(self, self._content_type, self._rules))
            else:
                body = _whole(self)
                answer.take_all(items_of(body, self._rules))
        except BrokenStreamError as exc:
            broken = exc
        end = answer.ending(broken, streams=streams)
        return Reply(
            text=answer.text(),
            first_token_ns=answer.first_ns,
            last_token_ns=answer.last_ns,
            usage=Usage(**answer.usage) if answer.usage else None,
            trace=answer.account(self.times_ns[0] if self.times_ns else 0, is_ok=end.kind is None),
            answer_id=answer.session_id,
            body=body,
            error_kind=end.kind,
            error_detail=end.detail,
            is_protocol_error=end.is_protocol_error,
        )


def _whole(body: Body) -> Any:
    try:
        return orjson.loads(body.whole())
    except orjson.JSONDecodeError as exc:
        raise BrokenStreamError("not_json", "the response body is no JSON") from exc


class _Answer:
    """What the events so far come to."""

    def __init__(self, rules: EventRules) -> None:
        self._rules = rules
        self._pieces: list[str] = []
        self._reply = ""
        self._llm, self._tools = ToldCalls(), ToldCalls()
        self._trace: dict[str, Any] | None = None
        self._is_over = False
        self._error: str | None = None
        self._left = MOST_EVENTS
        self.usage: dict[str, int] = {}
        self.session_id: str | None = None
        self.first_ns: int | None = None
        self.last_ns: int | None = None

    def take_all(self, events: Iterable[Event]) -> None:
        """Take events in their order. Raises `BrokenStreamError`."""
        rules = self._rules
        for event in events:
            self._take_text(event)
            if rules.error is not None and self._error is None and rules.error.holds(event):
                self._take_error(rules.error, event)
            if rules.final is not None and not self._is_over:
                self._is_over = rules.final.holds(event)
            if rules.usage is not None and rules.usage.holds(event):
                self._take_usage(event)
            if rules.tells_llm_calls:
                self._take_llm(event)
            if rules.tells_tools:
                self._take_tools(event)
            if rules.session_id is not None and rules.session_id.holds(event):
                found = key_of(rules.session_id.at("value", event.data))
                self.session_id = self.session_id if found is None else found
            if rules.trace is not None and rules.trace.holds(event):
                found = rules.trace.at("value", event.data)
                self._trace = found if isinstance(found, dict) else self._trace

    def _take_text(self, event: Event) -> None:
        rules = self._rules
        piece = _text_at(rules.text, event)
        if piece:
            self._pieces.append(piece)
        reply = _text_at(rules.reply, event)
        if reply:
            self._reply = reply
        if rules.first_content is not None:
            if self.first_ns is None and rules.first_content.holds(event):
                self.first_ns = self.last_ns = event.at_ns
        elif self.first_ns is None and (piece or reply):
            self.first_ns = event.at_ns
        if piece or (reply and not self._pieces):
            self.last_ns = event.at_ns

    def _take_error(self, rule: Rule, event: Event) -> None:
        said = rule.at("message", event.data)
        if not is_true(said):
            if not self._rules.error_is_told:
                return
            said = event.data
        if isinstance(said, dict):
            said = said.get("message", said)
        self._error = in_one_line(said)

    def _take_usage(self, event: Event) -> None:
        counts = self._rules.tokens.counts(event.data)
        if not counts:
            return
        if self._rules.sums_usage:
            counts = {
                name: self.usage.get(name, 0) + counts.get(name, 0) for name in self.usage | counts
            }
        self.usage = counts

    def _take_llm(self, event: Event) -> None:
        start, end = self._rules.llm_start, self._rules.llm_end
        if start is not None and start.holds(event):
            self._llm.begin(key_of(start.at("id", event.data)), None, event.at_ns)
        if end is None or not end.holds(event):
            return
        call = self._llm.end(key_of(end.at("id", event.data)), None, event.at_ns)
        if call is None:
            return
        call.failed = is_true(end.at("failed", event.data))
        model = key_of(end.at("model", event.data))
        if model is not None:
            call.facts["model"] = model
        counts = self._rules.llm_tokens.counts(event.data)
        if counts:
            call.facts["usage"] = counts
        if "tool_calls" in end.paths:
            names = end.at("tool_calls", event.data)
            names = names if isinstance(names, list) else []
            call.facts["tool_calls"] = [name for name in map(key_of, names) if name is not None]

    def _take_tools(self, event: Event) -> None:
        start, end = self._rules.tool_start, self._rules.tool_end
        if start is not None and start.holds(event):
            for item in self._counted(start.items(event)):
                name = key_of(start.at("name", item))
                self._tools.begin(key_of(start.at("id", item)), name, event.at_ns)
        if end is not None and end.holds(event):
            for item in self._counted(end.items(event)):
                name = key_of(end.at("name", item))
                call = self._tools.end(key_of(end.at("id", item)), name, event.at_ns)
                if call is not None:
                    call.failed = is_true(end.at("failed", item))

    def _counted(self, items: Iterable[Any]) -> Iterable[Any]:
        for item in items:
            if self._left == 0:
                detail = f"the answer tells more than {MOST_EVENTS:,} tool calls"
                raise BrokenStreamError("too_many_events", detail)
            self._left -= 1
            yield item

    def text(self) -> str:
        """Return the reply: the whole that an event had, or else its pieces."""
        return self._reply or "".join(self._pieces)

    def ending(self, broken: BrokenStreamError | None, *, streams: bool) -> Ending:
        """Say how it ended. A body that came whole needs no final event."""
        needs_final = streams and self._rules.final is not None and not self._is_over
        end = ending(broken, self._error, "its final event" if needs_final else None)
        if end.kind == "error_in_stream" and not streams:
            return end._replace(kind="error_in_body")
        if end.kind is None and not self._is_over and not self.text():
            detail = "no event has any text where the rules 'text' and 'reply' look for it"
            return Ending("no_reply", detail, is_protocol_error=True)
        return end

    def account(self, zero_ns: int, *, is_ok: bool) -> dict[str, Any] | None:
        """Return what was done for the answer, as a trace block; the agent's own is the better one.

        A call that was begun and is not over failed, if the answer did. Of tools, it is left out:
        it was not run here, but left to the client. That there was no call at all is only known of
        an answer that is whole.
        """
        if self._trace is not None:
            return self._trace
        trace: dict[str, Any] = {}
        if self._llm:
            trace["llm_calls"] = [
                {
                    "outcome": _outcome(failed=call.failed or not (call.is_over or is_ok)),
                    **call.facts,
                    **call.interval(zero_ns),
                }
                for call in self._llm
            ]
        if self._rules.tells_tools and (self._tools or self._llm or is_ok):
            trace["tool_calls"] = [
                {
                    "name": call.name or _UNNAMED_TOOL,
                    "outcome": _outcome(failed=call.failed),
                    **call.interval(zero_ns),
                }
                for call in self._tools
                if call.is_over or self._rules.tool_end is None
            ]
        return {"version": 1, **trace} if trace else None


def _outcome(*, failed: bool) -> str:
    return (Outcome.AGENT_ERROR if failed else Outcome.OK).value


def _text_at(rule: Rule | None, event: Event) -> str:
    """Return the text of an event; what is no text is its JSON."""
    if rule is None or not rule.holds(event):
        return ""
    found = rule.at("value", event.data)
    if isinstance(found, str):
        return found
    try:
        return "" if found is None else orjson.dumps(found).decode()
    except orjson.JSONEncodeError:  # JSON may be read deeper than it is written
        return ""
