"""What the gateway writes down about the traffic that passes.

`Recording` knows the calls, `Watched` follows one attempt. Nothing here may harm the traffic: what
fails is noted, and the attempt is followed no further.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import orjson

from profiler.endpoints.decoding import decode, decoders_for
from profiler.endpoints.failures import outcome_of_status
from profiler.measure import records
from profiler.measure.records import Attribution, Observer, Outcome
from profiler.observers.gateway.apis.values import AnswerFault, CallRequest
from profiler.observers.gateway.attribution import Attributor, How
from profiler.observers.gateway.calls import Attempt, CallBook
from profiler.observers.gateway.counting import Counting
from profiler.observers.gateway.notes import Kind, Notes
from profiler.observers.gateway.rate_limit import rate_limit_of
from profiler.observers.gateway.tool_chain import Asking, ToolChain
from profiler.observers.gateway.upstream import can_decode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from profiler.clock import MonotonicNs
    from profiler.endpoints.decoding import Decoder
    from profiler.measure.tokens import TokenCounter
    from profiler.observers.gateway.apis.values import Api, CallAnswer, StreamReader, ToolAsked
    from profiler.observers.gateway.calls import Call
    from profiler.observers.in_flight import InFlight

MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""A longer answer is passed on, and not read."""

_OK_UNTIL = 300
_READ_PIECES, _READ_BYTES = 8, 16 * 1024
_MOST_RETRIES = 1000
_QUIET_S = 2.0


class Recording:
    """All that is known of the calls of one gateway. One event loop."""

    def __init__(
        self,
        *,
        record: Callable[..., None],
        in_flight: InFlight | None,
        counter: TokenCounter,
        clock: MonotonicNs,
    ) -> None:
        self.notes = Notes()
        self.clock = clock
        self.chain = ToolChain()
        self.book = CallBook()
        self.record = record
        self.counting = Counting(counter, record, self.notes)
        self._in_flight = in_flight
        self._attributor = Attributor(in_flight, self.chain)
        self._is_closing = False
        self._under_way: set[Watched] = set()
        self._assigned: set[str] = set()
        self._doubtful: set[str] = set()
        self._quiet = anyio.Event()

    def begin(
        self,
        api: Api,
        headers: Mapping[str, str],
        *,
        raw: bytes,
        body: dict[str, Any] | None,
        at_ns: int,
    ) -> Watched | None:
        """Take note of a request; `body` is None where it could not be read."""
        try:
            return self._begin(api, headers, raw=raw, body=body, at_ns=at_ns)
        except Exception as exc:  # noqa: BLE001 - recording must not harm the traffic
            self.failed(exc)
            return None

    def _begin(
        self,
        api: Api,
        headers: Mapping[str, str],
        *,
        raw: bytes,
        body: dict[str, Any] | None,
        at_ns: int,
    ) -> Watched:
        request = CallRequest() if body is None else api.read_request(body)
        if request.brings and not self.chain.knows(request.brings):
            for watched in self._under_way:  # the answer may still be coming
                watched.catch_up()
        owner = self._attributor.owner(headers, request)
        flying = self._in_flight
        if flying is not None and owner.trace_id in flying:
            self._assigned.add(owner.trace_id)
        if owner.attribution is Attribution.AMBIGUOUS and flying is not None:
            self.notes.add(Kind.AMBIGUOUS)
            self._doubtful.update(flying)
        elif owner.how is How.CONTAINED:
            self.notes.add(Kind.TEXT_CONTAINED)
        attempt = Attempt(
            api=api,
            owner=owner,
            model=request.model,
            raw=raw,
            retry=_retry_of(headers),
            start_ns=at_ns,
            body=body,
        )
        self.book.begin(attempt)
        watched = Watched(self, api, attempt)
        self._under_way.add(watched)
        trips = self.chain.brought(request.brings, owner.trace_id, at_ns)
        if trips:
            self.record(*trips)
        return watched

    def ended(self, watched: Watched, attempt: Attempt) -> None:
        """Take note of the end of an attempt: it is recorded, and so is its call if it is done."""
        self._under_way.discard(watched)
        if self._is_closing and not self._under_way:
            self._quiet.set()
        self.record(attempt.record())
        call = self.book.end(attempt)
        if call is not None:
            self.counting.put(call)
        elif self._has_ended(attempt.owner.trace_id):
            self.give_up(self.book.of(attempt.owner.trace_id))

    def interaction_ended(self, trace_id: str) -> None:
        """Give up the retries of an interaction; record that it had no call, if that is known.

        It is not where a call went by meanwhile that could not be assigned.
        """
        self.give_up(self.book.of(trace_id))
        if trace_id not in self._assigned and trace_id not in self._doubtful:
            self.record(records.Watched(trace_id=trace_id, observer=Observer.GATEWAY))
        self._assigned.discard(trace_id)
        self._doubtful.discard(trace_id)

    def _has_ended(self, trace_id: str) -> bool:
        flying = self._in_flight
        return flying is not None and trace_id not in flying and flying.seen(trace_id)

    def give_up(self, calls: Iterable[Call]) -> None:
        """Record calls for which no retry will come."""
        for call in calls:
            self.counting.put(call)

    async def close(self) -> None:
        """Wait for attempts that are just being broken off, then record all that is left."""
        self._is_closing = True
        if self._under_way:
            with anyio.move_on_after(_QUIET_S):
                await self._quiet.wait()
        await self.drain()

    async def drain(self) -> None:
        """Give up all retries, wait for the counting, record the notes."""
        self.give_up(self.book.rest())
        await self.counting.done()
        self.record_notes()

    @property
    def under_way(self) -> int:
        """How many attempts have no end yet."""
        return len(self._under_way)

    def record_notes(self) -> None:
        """Record the notes so far, and begin anew."""
        notes = self.notes.take()
        if notes:
            self.record(*notes)

    def failed(self, exc: Exception) -> None:
        """Note that we made a mistake. Its text may quote a body: only its type is kept."""
        self.notes.add(Kind.INTERNAL_ERROR, type(exc).__name__)


class Watched:
    """One attempt under way: told of each piece of its answer after the agent has got it."""

    def __init__(self, recording: Recording, api: Api, attempt: Attempt) -> None:
        self._recording = recording
        self._api = api
        self._attempt = attempt
        self._asking = Asking(attempt.owner.trace_id, attempt.start_ns)
        self._reader: StreamReader | None = None
        self._decoders: list[Decoder] = []
        self._unread: list[tuple[bytes, int]] = []
        self._unread_bytes = 0
        self._pieces: list[bytes] = []
        self._size = 0
        self._is_read = False
        self._is_over = False

    def head(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """Take note of status and headers."""
        try:
            self._head(status, headers)
        except Exception as exc:  # noqa: BLE001 - recording must not harm the traffic
            self._give_up(exc)

    def _head(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self._attempt.http_status = status
        self._attempt.rate_limit = rate_limit_of(headers, wall_ns=time.time_ns())
        self._is_read = False
        if status >= _OK_UNTIL:
            return
        kind = coding = ""
        for name, content in headers:
            match name.lower():
                case b"content-type":
                    kind = content.decode("latin-1").strip().lower()
                case b"content-encoding":
                    coding = content.decode("latin-1")
        if not can_decode(coding):
            self._recording.notes.add(Kind.UNREADABLE_ANSWER, "its content coding")
            return
        self._decoders = decoders_for(coding)
        self._is_read = True
        if kind.startswith("text/event-stream"):
            self._reader = self._api.stream()

    def piece(self, data: bytes, at_ns: int) -> None:
        """Take note of the next bytes of the answer. They are read some at a time, or at its end.

        Reading many pieces costs a fraction of reading each on its own, between others' traffic.
        """
        if not self._is_read:
            return
        self._unread.append((data, at_ns))
        self._unread_bytes += len(data)
        if len(self._unread) >= _READ_PIECES or self._unread_bytes >= _READ_BYTES:
            self.catch_up()

    def catch_up(self) -> None:
        """Read what has come so far."""
        unread, self._unread, self._unread_bytes = self._unread, [], 0
        try:
            for data, at_ns in unread:
                if not self._is_read:
                    return
                for piece in decode(self._decoders, data) if self._decoders else (data,):
                    self._read(piece, at_ns)
            if self._reader is not None and unread:
                self._ask(self._reader.asked, unread[-1][1])
        except httpx.DecodingError:
            self._is_read = False
            self._recording.notes.add(Kind.UNREADABLE_ANSWER, "its content coding")
        except Exception as exc:  # noqa: BLE001 - recording must not harm the traffic
            self._give_up(exc)

    def _read(self, piece: bytes, at_ns: int) -> None:
        if self._reader is not None:
            self._reader.feed(piece, at_ns)
            return
        self._size += len(piece)
        if self._size > MAX_ANSWER_BYTES:
            self._is_read = False
            self._pieces.clear()
            self._recording.notes.add(Kind.TOO_LONG)
            return
        self._pieces.append(piece)

    def _ask(self, asked: Sequence[ToolAsked], at_ns: int) -> None:
        self._asking.end_ns = at_ns
        if len(asked) > len(self._asking.names):
            self._recording.chain.asked(self._asking, asked)

    def over(self, failure: Outcome | None, at_ns: int) -> None:
        """Take note of the end; `failure` is how it broke off, None if the answer is complete."""
        if self._is_over:
            return
        self._is_over = True
        attempt = self._attempt
        attempt.end_ns = at_ns
        try:
            attempt.answer = self._answer(at_ns)
            attempt.outcome = self._outcome() if failure is None else failure
        except Exception as exc:  # noqa: BLE001 - recording must not harm the traffic
            self._give_up(exc)
            attempt.outcome = Outcome.PROTOCOL_ERROR if failure is None else failure
        try:
            self._recording.ended(self, attempt)
        except Exception as exc:  # noqa: BLE001 - recording must not harm the traffic
            self._give_up(exc)

    def _answer(self, at_ns: int) -> CallAnswer | None:
        self.catch_up()
        if not self._is_read:
            return None
        if self._reader is not None:
            answer = self._reader.finish()
        else:
            answer = self._api.read_answer(b"".join(self._pieces))
        self._pieces.clear()
        self._ask(answer.asked, at_ns)
        if answer.fault is AnswerFault.UNREADABLE:
            self._recording.notes.add(Kind.UNREADABLE_ANSWER)
        elif answer.fault is AnswerFault.TOO_LONG:
            self._recording.notes.add(Kind.TOO_LONG)
        if self._attempt.model is None:
            self._attempt.model = answer.model
        return answer

    def _outcome(self) -> Outcome:
        status, answer = self._attempt.http_status, self._attempt.answer
        if status is None or status >= _OK_UNTIL:
            return Outcome.PROTOCOL_ERROR if status is None else outcome_of_status(status)
        match None if answer is None else answer.fault:
            case AnswerFault.ERROR:
                return Outcome.AGENT_ERROR
            case AnswerFault.CUT | AnswerFault.UNREADABLE:
                return Outcome.PROTOCOL_ERROR
            case _:
                return Outcome.OK

    def _give_up(self, exc: Exception) -> None:
        self._is_read = False
        self._pieces.clear()
        self._recording.failed(exc)


def object_of(raw: bytes) -> dict[str, Any] | None:
    """Read a request's body; None: it is no JSON object."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    return body if isinstance(body, dict) else None


def _retry_of(headers: Mapping[str, str]) -> int | None:
    """Return which retry a request is by its own account, 0 the first attempt."""
    text = headers.get("x-stainless-retry-count", "")
    if not text.isascii() or not text.isdigit() or len(text) > len(str(_MOST_RETRIES)):
        return None
    return min(int(text), _MOST_RETRIES)
