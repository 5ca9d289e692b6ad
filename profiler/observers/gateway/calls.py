"""Attempts become calls: what is sent again after a failure is the same call.

A failed attempt waits for its retry until its interaction ends, or for `hold_s`; then it was the
last one, and the call has failed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from profiler.clock import seconds_to_ns
from profiler.measure.records import (
    NO_TRACE,
    LlmAttempt,
    LlmCall,
    Observer,
    Outcome,
    RateLimit,
    Timeline,
    TokenParts,
)
from profiler.observers.gateway.apis.values import CallAnswer
from profiler.values import value

if TYPE_CHECKING:
    from collections.abc import Iterable

    from profiler.observers.gateway.apis.values import Api
    from profiler.observers.gateway.attribution import Owner

HOLD_S = 30.0
"""Longest wait for a retry. The SDKs of OpenAI and Anthropic wait 8 s at most between two attempts
by themselves, and obey a `retry-after` of up to a minute: such a wait is added."""

# What the SDKs of OpenAI and Anthropic send again: 408, 409, 429, 5xx, and what broke.
_RETRIED_4XX = frozenset({408, 409})
_FINAL = frozenset({Outcome.OK, Outcome.HTTP_4XX})


@value
class Counts:
    """What we count of a call, in tokens."""

    tokens: TokenParts | None = None
    output: int | None = None


@dataclass(slots=True, eq=False, kw_only=True)
class Attempt:
    """One HTTP request for a call, from its arrival; the later fields are set at its end.

    `raw` is its body, which its retries have in common. `retry` is what the client says about how
    often it has tried before. `body` is `raw` as it was read, None where it could not be. `call` is
    its call until its end.
    """

    api: Api
    owner: Owner
    model: str | None
    raw: bytes
    retry: int | None
    start_ns: int
    body: dict[str, Any] | None = None
    call: Call | None = None
    number: int | None = None
    end_ns: int = 0
    outcome: Outcome = Outcome.CANCELLED
    http_status: int | None = None
    rate_limit: RateLimit | None = None
    answer: CallAnswer | None = None

    @property
    def may_be_retried(self) -> bool:
        """Whether a client may send it again."""
        return self.outcome not in _FINAL or self.http_status in _RETRIED_4XX

    def record(self) -> LlmAttempt:
        """Return its record."""
        return LlmAttempt(
            trace_id=self.owner.trace_id,
            observer=Observer.GATEWAY,
            clock=Timeline.HARNESS,
            model=self.model,
            start_ns=self.start_ns,
            end_ns=self.end_ns,
            outcome=self.outcome,
            http_status=self.http_status,
            retry=self.number,
            rate_limit=self.rate_limit,
        )


@dataclass(slots=True, eq=False)
class Call:
    """The attempts of one call so far, in order; `due_ns` is when a held one is given up."""

    attempts: list[Attempt] = field(default_factory=list)
    due_ns: int = 0

    @property
    def key(self) -> tuple[str, bytes]:
        """What its retries have in common."""
        first = self.attempts[0]
        return first.owner.trace_id, first.raw

    def record(self, counts: Counts) -> LlmCall:
        """Return its record. What the last attempt does not tell is not known."""
        first, last = self.attempts[0], self.attempts[-1]
        answer = last.answer if last.answer is not None else CallAnswer()
        numbers = [attempt.number for attempt in self.attempts if attempt.number is not None]
        return LlmCall(
            trace_id=last.owner.trace_id,
            observer=Observer.GATEWAY,
            clock=Timeline.HARNESS,
            model=last.model,
            start_ns=first.start_ns,
            first_token_ns=answer.first_token_ns,
            end_ns=last.end_ns,
            outcome=last.outcome,
            attempts=max([len(self.attempts), *(number + 1 for number in numbers)]),
            usage=answer.usage,
            tokens=counts.tokens,
            rate_limit=last.rate_limit,
            tool_calls=_names(last),
            last_start_ns=last.start_ns if len(self.attempts) > 1 else None,
            http_status=last.http_status,
            counted_output=counts.output,
            api=last.api.name,
            attribution=last.owner.attribution,
        )


class CallBook:
    """Joins attempts to calls. Told when an attempt begins and ends; returns calls that are done.

    An attempt goes on a held call with the same body of the same interaction. Where the interaction
    is not known, the client has to say that it is a retry, and which: the same body may be
    another's.
    """

    def __init__(self, *, hold_s: float = HOLD_S) -> None:
        self._hold_ns = seconds_to_ns(hold_s)
        self._held: dict[tuple[str, bytes], list[Call]] = {}

    def begin(self, attempt: Attempt) -> None:
        """Put an attempt on its call; sets `call` and `number`."""
        call = self._held_for(attempt)
        known = attempt.owner.trace_id != NO_TRACE
        if attempt.retry is not None or call is not None or known:
            seen = 0 if call is None else len(call.attempts)
            attempt.number = max(seen, attempt.retry or 0)
        if call is None:
            call = Call()
        call.attempts.append(attempt)
        attempt.call = call

    def _held_for(self, attempt: Attempt) -> Call | None:
        if not self._held:
            return None
        held = self._held.get((attempt.owner.trace_id, attempt.raw))
        if held is None:
            return None
        call: Call | None = held[0]
        if attempt.owner.trace_id == NO_TRACE:
            call = next((c for c in held if attempt.retry == len(c.attempts)), None)
        if call is not None:
            self._let_go(call)
        return call

    def _let_go(self, call: Call) -> None:
        held = self._held[call.key]
        held.remove(call)
        if not held:
            del self._held[call.key]

    def end(self, attempt: Attempt) -> Call | None:
        """Take note of an attempt's end; return its call if that is done."""
        call, attempt.call = attempt.call, None  # no cycle: bodies must not wait for a collector
        if call is None:
            return None
        if not attempt.may_be_retried:
            return call
        limit = attempt.rate_limit
        asked_ns = limit.retry_after_ns if limit is not None else None
        call.due_ns = attempt.end_ns + self._hold_ns + (asked_ns or 0)
        self._held.setdefault(call.key, []).append(call)
        return None

    def overdue(self, now_ns: int) -> list[Call]:
        """Return the calls that have waited long enough."""
        return self._release(call for call in self._all() if call.due_ns <= now_ns)

    def of(self, trace_id: str) -> list[Call]:
        """Return the held calls of an interaction that has ended."""
        return self._release(call for call in self._all() if call.key[0] == trace_id)

    def rest(self) -> list[Call]:
        """Return all that are held."""
        return self._release(self._all())

    def _all(self) -> list[Call]:
        return [call for held in self._held.values() for call in held]

    def _release(self, calls: Iterable[Call]) -> list[Call]:
        released = list(calls)
        for call in released:
            self._let_go(call)
        return released


def _names(attempt: Attempt) -> tuple[str, ...] | None:
    """Return the tools asked for; none where the answer could be read and asked for none."""
    answer = attempt.answer
    if answer is None or (answer.fault is not None and not answer.asked):
        return None
    return tuple(tool.name for tool in answer.asked)
