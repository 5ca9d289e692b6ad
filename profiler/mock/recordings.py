"""Recorded conversations as a trie: from a chat's messages to what was recorded next.

A chat is found by its content alone. The trie has two kinds of edges: a user's text leads from turn
to turn, an assistant message (its content, its tool calls' names and arguments) from step to step
within a turn. So a position is found in time proportional to the request, whatever the number of
recordings, and tool-call ids, which recordings reuse, play no part.

Three things are told apart by a `chain`, the rolling hash of *all* messages so far: system prompts,
earlier replies and tool results. It only ranks recordings that stand at the same position; it
excludes none (see `matcher`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Message = dict[str, Any]
StepKey = tuple[str, tuple[tuple[str, str], ...]]

SYSTEM_ROLES = ("system", "developer")


def text_of(content: object) -> str:
    """Return a message's content as text: none as empty, the texts of a content in parts joined."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = (part for part in content if isinstance(part, dict) and part.get("type") == "text")
        return "".join(text for part in parts if isinstance(text := part.get("text"), str))
    return ""


@lru_cache(maxsize=65_536)
def canonical_arguments(arguments: str) -> str:
    """Return JSON arguments in one spelling, so that spaces and key order make no difference."""
    try:
        return orjson.dumps(orjson.loads(arguments), option=orjson.OPT_SORT_KEYS).decode()
    except orjson.JSONDecodeError:
        return arguments


def calls_of(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the tool calls of an assistant message, as they stand in it."""
    calls = message.get("tool_calls")
    return [call for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []


def function_of(call: Mapping[str, Any]) -> tuple[str, str]:
    """Return a tool call's name and its arguments as JSON text."""
    function = call.get("function")
    if not isinstance(function, dict):
        return "", "{}"
    arguments = function.get("arguments")
    if not isinstance(arguments, str):
        arguments = "{}" if arguments is None else orjson.dumps(arguments).decode()
    return str(function.get("name") or ""), arguments


def step_key(message: Mapping[str, Any]) -> StepKey:
    """Return what makes two assistant messages the same."""
    functions = (function_of(call) for call in calls_of(message))
    return (
        text_of(message.get("content")),
        tuple((name, canonical_arguments(arguments)) for name, arguments in functions),
    )


class Step(NamedTuple):
    """One recorded assistant message, and what followed it before the next.

    `results` has the text of each tool call's result, by the call's place in the message, None
    where none was recorded. `goes_on` says that another assistant message followed at once, with
    no tool call and no user in between.
    """

    message: Message
    results: tuple[str | None, ...]
    goes_on: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One recorded conversation: what its agent began with, and its messages from the first user.

    `opening` is the messages before the first user message, without the system prompt: a greeting.
    They are the agent's own text, not an answer to anyone, so no LLM call is made for them.
    """

    id: str
    system: str | None
    opening: tuple[Message, ...]
    messages: tuple[Message, ...]

    @classmethod
    def of(cls, conversation_id: str, messages: Sequence[Mapping[str, Any]]) -> Recording:
        """Take a recording apart. System messages after the first user message are left out."""
        kept = [dict(message) for message in messages]
        first_user = next(
            (place for place, message in enumerate(kept) if message.get("role") == "user"),
            len(kept),
        )
        systems = [m for m in kept[:first_user] if m.get("role") in SYSTEM_ROLES]
        system = "\n\n".join(text_of(m.get("content")) for m in systems) if systems else None
        return cls(
            id=conversation_id,
            system=system,
            opening=tuple(m for m in kept[:first_user] if m.get("role") not in SYSTEM_ROLES),
            messages=tuple(m for m in kept[first_user:] if m.get("role") not in SYSTEM_ROLES),
        )

    def start(self, default_system: str) -> list[Message]:
        """Return the messages that a session which follows this recording begins with."""
        system = self.system if self.system is not None else default_system
        return [{"role": "system", "content": system}, *(dict(m) for m in self.opening)]


@dataclass(slots=True)
class Point:
    """A position within a turn. By recording: the chain that leads here, and what comes next."""

    number: int
    steps: dict[StepKey, Point] = field(default_factory=dict)
    answers: dict[int, tuple[int, Step]] = field(default_factory=dict)
    results: dict[int, tuple[int, Step]] = field(default_factory=dict)


@dataclass(slots=True)
class Turn:
    """A position between turns: the user texts so far. `openings`: the recordings that begin so."""

    start: Point
    turns: dict[str, Turn] = field(default_factory=dict)
    openings: dict[int, tuple[int, Recording]] = field(default_factory=dict)


class Position(NamedTuple):
    """Where a chat stands.

    `turn` is None where no recording has the same user texts so far, `point` where none has the
    same assistant messages within the turn.
    """

    turn: Turn | None
    point: Point | None
    chain: int


def chained(chain: int, message: Mapping[str, Any]) -> int:
    """Return the chain after one more message. Only meaningful within one process."""
    role = message.get("role")
    if role == "assistant":
        return hash((chain, "assistant", step_key(message)))
    return hash((chain, role, text_of(message.get("content"))))


class RecordingIndex:
    """All recordings of a server; immutable once made, so several matchers may share it."""

    def __init__(self, recordings: Iterable[Recording], *, default_system: str) -> None:
        self.recordings = tuple(recordings)
        self.default_system = default_system
        self.by_id: dict[str, list[int]] = {}
        self.longest_turn = 0
        self._points = 0
        self._root = Turn(start=self._new_point())
        names: set[str] = set()
        for number, recording in enumerate(self.recordings):
            self.by_id.setdefault(recording.id, []).append(number)
            self._insert(number, recording)
            messages = (*recording.opening, *recording.messages)
            names.update(function_of(call)[0] for m in messages for call in calls_of(m))
        self.tool_names = tuple(sorted(names))

    def _new_point(self) -> Point:
        self._points += 1
        return Point(number=self._points)

    def _insert(self, number: int, recording: Recording) -> None:
        chain = 0
        for message in recording.start(self.default_system):
            chain = chained(chain, message)
        turn, point, steps = self._root, self._root.start, 0
        for place, message in enumerate(recording.messages):
            role = message.get("role")
            if role == "user":
                turn, steps = self._next_turn(turn, text_of(message.get("content"))), 0
                point = turn.start
                if place == 0:
                    turn.openings[number] = (0, recording)
            chain_before, chain = chain, chained(chain, message)
            if role == "assistant":
                step = _step(recording.messages, place)
                point.answers[number] = (chain_before, step)
                key = step_key(message)
                if key not in point.steps:
                    point.steps[key] = self._new_point()
                point = point.steps[key]
                point.results[number] = (chain, step)
                steps += 1
                self.longest_turn = max(self.longest_turn, steps)

    def _next_turn(self, turn: Turn, text: str) -> Turn:
        if text not in turn.turns:
            turn.turns[text] = Turn(start=self._new_point())
        return turn.turns[text]

    def find(self, messages: Iterable[Mapping[str, Any]]) -> Position:
        """Return where a chat stands, in time proportional to its messages."""
        turn: Turn | None = self._root
        point: Point | None = None
        chain = 0
        for message in messages:
            chain = chained(chain, message)
            role = message.get("role")
            if role == "user" and turn is not None:
                turn = turn.turns.get(text_of(message.get("content")))
                point = turn.start if turn is not None else None
            elif role == "assistant" and point is not None:
                point = point.steps.get(step_key(message))
        return Position(turn if turn is not self._root else None, point, chain)

    def opening(self, user_text: str) -> Turn | None:
        """Return the first turn that begins with this user text."""
        return self._root.turns.get(user_text)


def _step(messages: Sequence[Message], place: int) -> Step:
    """Cut the step that begins with the assistant message at `place` out of a recording."""
    message = messages[place]
    end = place + 1
    while end < len(messages) and messages[end].get("role") not in ("user", "assistant"):
        end += 1
    followed = end < len(messages) and messages[end].get("role") == "assistant"
    calls = calls_of(message)
    return Step(
        message=message,
        results=_results(calls, messages[place + 1 : end]),
        goes_on=followed and not calls,
    )


def _results(calls: Sequence[Message], tools: Sequence[Message]) -> tuple[str | None, ...]:
    """Give each call its result: by id where the ids of this one message tell, else by place."""
    texts = [text_of(tool.get("content")) for tool in tools]
    call_ids = [call.get("id") for call in calls]
    tool_ids = [tool.get("tool_call_id") for tool in tools]
    if len(set(call_ids)) == len(call_ids) and sorted(map(str, call_ids)) == sorted(
        map(str, tool_ids)
    ):
        by_id = dict(zip(tool_ids, texts, strict=True))
        return tuple(by_id[call_id] for call_id in call_ids)
    return tuple(texts[place] if place < len(texts) else None for place in range(len(calls)))
