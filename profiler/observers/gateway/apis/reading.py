"""What the readers of all APIs share: whose request it is, and event streams."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

from profiler.endpoints.json_values import parsed, string
from profiler.endpoints.sse import EventTooLongError, SseParser
from profiler.observers.gateway.apis.values import (
    AnswerFault,
    CallAnswer,
    CallRequest,
    ToolAsked,
)
from profiler.values import value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from profiler.measure.records import Usage

MAX_STREAM_BYTES = 64 * 1024 * 1024
"""A longer stream is passed on, and read no further."""


class Speaker(Enum):
    """Who a message is from. A message that brings results is theirs, whatever else it says."""

    USER = "user"
    ASSISTANT = "assistant"
    RESULTS = "results"
    OTHER = "other"


@value
class Turn:
    """One message, as far as it matters for knowing whose request it is."""

    speaker: Speaker
    text: str = ""
    ids: tuple[str, ...] = ()


def request_of(model: Any, *, is_stream: bool, newest_first: Iterable[Turn]) -> CallRequest:
    """Read a conversation from its end, no further than needed."""
    user: str | None = None
    brings: list[str] = []
    last: Speaker | None = None
    answered = False
    for turn in newest_first:
        if turn.speaker is Speaker.OTHER:
            continue
        if last is None:
            last = turn.speaker
        if turn.speaker is Speaker.RESULTS and (user is None or not answered):
            brings.extend(turn.ids)
        elif turn.speaker is Speaker.ASSISTANT:
            answered = True
        elif turn.speaker is Speaker.USER and user is None:
            user = turn.text
        if answered and user is not None:
            break
    return CallRequest(
        model=string(model),
        is_stream=is_stream,
        user=user,
        brings=tuple(dict.fromkeys(reversed(brings))),
        ends_in_results=last is Speaker.RESULTS,
    )


_UNREAD = frozenset({AnswerFault.UNREADABLE, AnswerFault.TOO_LONG})


class EventReader:
    """Reads an event stream whose events are JSON objects. The base of the stream readers.

    A reader says in `_take` what an event means. What cannot be read ends the reading, not the
    stream.
    """

    def __init__(self) -> None:
        self._parser = SseParser()
        self._size = 0
        self._fault: AnswerFault | None = None
        self._is_complete = False
        self._first_ns: int | None = None
        self._last_ns: int | None = None
        self._model: str | None = None
        self._pieces: dict[tuple[Any, ...], list[str]] = {}
        self._asked: dict[str, ToolAsked] = {}

    @property
    def asked(self) -> list[ToolAsked]:
        """The tool calls asked for so far."""
        return list(self._asked.values())

    def feed(self, piece: bytes, at_ns: int) -> None:
        """Take the next piece."""
        if self._fault in _UNREAD:
            return
        self._size += len(piece)
        for event in self._events(piece):
            if event == b"[DONE]":
                self._is_complete = True
                continue
            item = parsed(event)
            if not isinstance(item, dict):
                self._fault = AnswerFault.UNREADABLE
                return
            if self._take(item):
                if self._first_ns is None:
                    self._first_ns = at_ns
                self._last_ns = at_ns

    def _events(self, piece: bytes) -> Iterator[bytes]:
        if self._size > MAX_STREAM_BYTES:
            self._fault = AnswerFault.TOO_LONG
            return
        try:
            events = self._parser.feed(piece)
        except EventTooLongError:
            self._fault = AnswerFault.TOO_LONG
            return
        for event in events:
            yield event.data

    def _take(self, item: dict[str, Any]) -> bool:
        """Take one event; say whether it has output."""
        raise NotImplementedError

    def _ask(self, call_id: Any, name: Any) -> None:
        if isinstance(call_id, str) and call_id and call_id not in self._asked:
            self._asked[call_id] = ToolAsked(id=call_id, name=string(name) or "")

    def _say(self, key: tuple[Any, ...], piece: str) -> None:
        """Keep a piece of output with the others of its text: one is tokenised as a whole."""
        if piece:
            self._pieces.setdefault(key, []).append(piece)

    def _usage(self) -> Usage | None:
        return None

    def _texts(self) -> tuple[str, ...]:
        return tuple("".join(pieces) for pieces in self._pieces.values())

    def finish(self) -> CallAnswer:
        """Say what the stream meant, as far as it came."""
        fault = self._fault
        if fault is None and not self._is_complete:
            fault = AnswerFault.CUT
        return CallAnswer(
            model=self._model,
            usage=self._usage(),
            texts=self._texts(),
            asked=tuple(self._asked.values()),
            first_token_ns=self._first_ns,
            last_token_ns=self._last_ns,
            fault=fault,
        )


UNREADABLE = CallAnswer(fault=AnswerFault.UNREADABLE)
