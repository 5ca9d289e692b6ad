"""An assistant message as tokens in time.

A text is cut into as many pieces of equal length as it has tokens: the pieces are not the tokens,
but there are as many, and each is due when its token would be.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from profiler.mock.recordings import calls_of, function_of, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from random import Random

    from profiler.mock.timing import Lognormal, Pace

_JITTER = 0.5


class Piece(NamedTuple):
    """One delta: content (`call` is None) or a part of a tool call, and the tokens that it is."""

    tokens: int
    call: int | None
    text: str
    head: tuple[str, str] | None = None  # a call's id and name, in its first delta


@dataclass(frozen=True, slots=True)
class TokenTimes:
    """When the tokens of one answer are due, in seconds of mock time after the request came."""

    due_s: tuple[float, ...]

    @classmethod
    def draw(cls, random: Random, first: Lognormal, gap_s: float, tokens: int) -> TokenTimes:
        """Draw the time to the first token, and gaps of `gap_s` ± 50 %, evenly spread."""
        at_s = first.draw_s(random)
        due = [at_s]
        for _ in range(tokens - 1):
            at_s += gap_s * random.uniform(1 - _JITTER, 1 + _JITTER)
            due.append(at_s)
        return cls(tuple(due))

    @property
    def last_s(self) -> float:
        """When the last token is due."""
        return self.due_s[-1]

    def of_token(self, number: int) -> float:
        """When a token is due; those beyond the last are due with it."""
        return self.due_s[min(number, len(self.due_s) - 1)]


def completion_texts(message: Mapping[str, Any]) -> Iterator[str]:
    """Yield the texts of an assistant message that are output tokens."""
    yield text_of(message.get("content"))
    for call in calls_of(message):
        yield from function_of(call)


def pieces_of(message: Mapping[str, Any], counts: list[int], *, whole: bool) -> list[Piece]:
    """Cut a message up; `counts` are the tokens of its `completion_texts`.

    `whole` leaves each text in one piece, for when there is nothing to wait for.
    """
    content = text_of(message.get("content"))
    pieces = list(_cut(content, counts[0], None, most=1 if whole else None))
    for number, call in enumerate(calls_of(message)):
        name, arguments = function_of(call)
        name_tokens, argument_tokens = counts[1 + 2 * number], counts[2 + 2 * number]
        pieces.append(Piece(name_tokens, number, "", (str(call.get("id")), name)))
        pieces.extend(_cut(arguments, argument_tokens, number, most=1 if whole else None))
    return pieces


def _cut(text: str, tokens: int, call: int | None, *, most: int | None) -> Iterator[Piece]:
    number = min(tokens, len(text)) if most is None else min(tokens, len(text), most)
    for place in range(number):
        share = tokens * (place + 1) // number - tokens * place // number
        start, end = len(text) * place // number, len(text) * (place + 1) // number
        yield Piece(share, call, text[start:end])


def deltas_of(pieces: list[Piece]) -> Iterator[dict[str, Any]]:
    """Turn pieces that are due together into as few deltas as OpenAI's format allows."""
    place = 0
    while place < len(pieces):
        piece = pieces[place]
        if piece.head is not None:
            call_id, name = piece.head
            yield _call_delta(
                piece.call, {"name": name, "arguments": ""}, id=call_id, type="function"
            )
            place += 1
            continue
        end = place
        while end < len(pieces) and pieces[end].call == piece.call and pieces[end].head is None:
            end += 1
        text = "".join(p.text for p in pieces[place:end])
        if piece.call is None:
            yield {"content": text}
        else:
            yield _call_delta(piece.call, {"arguments": text})
        place = end


def _call_delta(index: int | None, function: dict[str, str], **more: str) -> dict[str, Any]:
    return {"tool_calls": [{"index": index, **more, "function": function}]}


class PieceClock:
    """Hands out the pieces of one answer as they become due, on absolute times."""

    def __init__(
        self, pieces: list[Piece], times: TokenTimes, pace: Pace, received_ns: int
    ) -> None:
        self._pace = pace
        self._pieces = pieces
        self._due_ns: list[int] = []
        tokens = 0
        for piece in pieces:
            self._due_ns.append(pace.after_ns(received_ns, times.of_token(tokens)))
            tokens += piece.tokens
        self._next = 0

    async def due(self) -> list[Piece]:
        """Wait for the next piece; return it and all that are due with it.

        The first one comes alone, unless nothing is ever waited for. An empty list is the end.
        """
        start = self._next
        if start == len(self._pieces):
            return []
        if self._pace.instant:
            self._next = len(self._pieces)
            return self._pieces
        await self._pace.until(self._due_ns[start])
        now_ns = self._pace.clock()
        self._next += 1
        while start > 0 and self._next < len(self._pieces) and self._due_ns[self._next] <= now_ns:
            self._next += 1
        return self._pieces[start : self._next]
