"""What the adapters of agents' event streams share: JSON events with their times, tools, endings.

Times in an account (`ToolsTold.account`) are seconds since the first bytes of the stream came: the
agent opens it when it begins to work, so this is the moment nearest to its own zero that we see.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from profiler.clock import NS_PER_S
from profiler.endpoints.body import Body
from profiler.endpoints.exchange import Reply
from profiler.endpoints.sse import EventTooLongError, PlainStream, timed_events

if TYPE_CHECKING:
    from collections.abc import Iterator

    from profiler.measure.records import Outcome

DONE = "[DONE]"
"""The `type` under which the end mark `data: [DONE]` is handed on."""

_DETAIL_CHARACTERS = 200
_END_MARK = b"[DONE]"
_ERROR_KEYS = ("error", "detail", "message")


class BrokenStreamError(ValueError):
    """The stream is not what the protocol says; `kind` is a fixed word."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind


class Ending(NamedTuple):
    """How a stream ended, as a `Reply` says it."""

    kind: str | None
    detail: str | None
    is_protocol_error: bool


def ending(broken: BrokenStreamError | None, error: str | None, missing: str | None) -> Ending:
    """Judge a stream: broken goes before an error that it told, and that before a missing end.

    `missing` is what a whole stream would have had at its end, and this one has not.
    """
    if broken is not None:
        return Ending(broken.kind, str(broken), is_protocol_error=True)
    if error is not None:
        return Ending("error_in_stream", error, is_protocol_error=False)
    if missing is not None:
        detail = f"the stream ended without {missing}"
        return Ending("stream_cut", detail, is_protocol_error=True)
    return Ending(None, None, is_protocol_error=False)


def json_events(body: Body) -> Iterator[tuple[dict[str, Any], int]]:
    """Yield each event of a stream and when it was complete. Raises `BrokenStreamError`."""
    usual = _usual_events(body)
    if usual is not None:
        yield from usual
        return
    try:
        for data, at_ns in timed_events(body.pieces, body.times_ns):
            event = {"type": DONE} if data == _END_MARK else parsed(data)
            if not isinstance(event, dict):
                raise BrokenStreamError("event_not_json", "an event is no JSON object")
            yield event, at_ns
    except EventTooLongError as exc:
        raise BrokenStreamError("event_too_long", str(exc)) from exc


def _usual_events(body: Body) -> list[tuple[dict[str, Any], int]] | None:
    """Parse a stream in its usual form at once, which is much faster; None: it has another."""
    plain = PlainStream.of(body.whole())
    if plain is None:
        return None
    events = parsed(b"[" + plain.joined + b"]")
    if not isinstance(events, list) or len(events) != plain.events:
        return None
    if not all(event.__class__ is dict for event in events):
        return None
    if plain.is_done:
        events.append({"type": DONE})
    pieces_end = list(accumulate(map(len, body.pieces)))
    times_ns = [body.times_ns[bisect_left(pieces_end, end)] for end in plain.ends()]
    return list(zip(events, times_ns, strict=True))


def parsed(data: bytes) -> Any:
    """Parse JSON; what is none becomes None."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return None


def text_of(event: dict[str, Any], key: str) -> str:
    """Return a text of an event; empty where there is none."""
    value = event.get(key)
    return value if isinstance(value, str) else ""


def count_of(block: Any, *keys: str) -> int | None:
    """Return the count at a path of keys, None where there is none."""
    for key in keys:
        block = block.get(key) if isinstance(block, dict) else None
    return block if isinstance(block, int) and not isinstance(block, bool) and block >= 0 else None


def in_one_line(said: Any) -> str:
    """Shorten an error of any shape to one line."""
    try:
        return " ".join(str(said).split())[:_DETAIL_CHARACTERS]
    except RecursionError:  # JSON may be read deeper than Python writes it
        return "an error that is nested too deep"


def can_be_sent(value: Any) -> bool:
    """Tell whether what a server sent can be sent back: JSON may be read deeper than written."""
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError:
        return False
    return True


class ToolsTold:
    """The tool calls of one answer, as a stream tells them: asked for, ready to run, answered.

    A call that the stream does not answer was not run by the agent: it is the client's to run.
    """

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._ready_ns: dict[str, int] = {}
        self._answered: dict[str, tuple[int | None, Outcome]] = {}

    def asked(self, call: str, name: str) -> None:
        """Take the name of a call."""
        self._names.setdefault(call, name)

    def ready(self, call: str, at_ns: int) -> None:
        """Take the time from which it can run: its arguments are complete."""
        self._ready_ns[call] = at_ns

    def answered(self, call: str, at_ns: int | None, outcome: Outcome) -> None:
        """Take its result, the first one. None: it is not told when it came."""
        self._answered.setdefault(call, (at_ns, outcome))

    def account(self, zero_ns: int) -> list[dict[str, Any]]:
        """Return the calls that were run, as a trace block has them.

        What came in one piece was held back on its way: such a call has no time.
        """
        told: list[dict[str, Any]] = []
        for call, name in self._names.items():
            if call not in self._answered:
                continue
            end_ns, outcome = self._answered[call]
            item: dict[str, Any] = {"name": name, "outcome": outcome.value}
            start_ns = self._ready_ns.get(call)
            if start_ns is not None and end_ns is not None and start_ns < end_ns:
                item["start_s"] = (start_ns - zero_ns) / NS_PER_S
                item["end_s"] = (end_ns - zero_ns) / NS_PER_S
            told.append(item)
        return told


class NoStreamReader(Body):
    """Reads an answer that is no event stream, which only an error may be."""

    __slots__ = ()

    def finish(self) -> Reply:
        """Look for the error in it."""
        body = parsed(self.whole())
        if isinstance(body, dict):
            for key in _ERROR_KEYS:
                said = body.get(key)
                if said:
                    said = said.get("message", said) if isinstance(said, dict) else said
                    return Reply(
                        body=body, error_kind="error_in_body", error_detail=in_one_line(said)
                    )
        return Reply(
            error_kind="no_stream",
            error_detail="the answer is no event stream",
            is_protocol_error=True,
        )
