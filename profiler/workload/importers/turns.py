"""Turns that stand apart in a file become sessions: the second half of `otel`, `har`, `langfuse`.

Each source makes turns, with a key that says which session they are of. They are gathered by that
key on disk (`grouping`), put in order of time, and written as lines that are then read as any other
file of sessions is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from profiler.workload.importers.foreign import asked, call
from profiler.workload.importers.grouping import MOST_BYTES
from profiler.workload.importers.times import MOST_THINK_S, OVERLAP, think_times_s

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import BinaryIO

    from profiler.workload.conversations import Message
    from profiler.workload.importers.grouping import Groups

    Write = Callable[[str, int], str]
    """Writes a text of exactly so many tokens, the same one for the same name."""

BEFORE = "a session that began before the recording: its earlier turns are not replayed"
GENERATED = "recorded without content: its texts are generated, of the recorded lengths"
CUT = f"records of a session, or of a trace, beyond {MOST_BYTES // 2**20} MiB of it"
AGAIN = "a message that was sent again, taken once"
TOO_MUCH = "recorded lengths of more than 4 million tokens in a session, the rest cut to nothing"
MOST_TOKENS = 2**22
_MOST_OPEN = 256


@dataclass(slots=True)
class Call:
    """One LLM call of a turn that was recorded without content: its tokens and tools."""

    input_tokens: int | None
    output_tokens: int | None
    tools: list[str]


@dataclass(slots=True)
class Turn:
    """One user message, and what the agent did about it. Times are seconds since 1970.

    `user` is None where the content was not recorded; `calls` are then what is known. `users` is
    how many messages of the user the request carried, None where it does not carry the earlier
    ones; `earlier` is how many messages of the user were seen in the history that an LLM was given.
    `by_user`: the session is no more than a user's id, so that a long pause begins another.
    `agent` says which turns have the same system prompt and tools.
    """

    session: str
    line: int
    begin_s: float
    end_s: float
    user: str | None
    replies: list[Message] = field(default_factory=list)
    system: str | None = None
    users: int | None = None
    earlier: int = 0
    calls: list[Call] = field(default_factory=list)
    by_user: bool = False
    agent: str = ""
    notes: list[str] = field(default_factory=list)

    def record(self) -> bytes:
        """Return it as it is kept on disk: its fields in order."""
        return orjson.dumps(
            (
                self.session,
                self.line,
                self.begin_s,
                self.end_s,
                self.user,
                self.replies,
                self.system,
                self.users,
                self.earlier,
                [(made.input_tokens, made.output_tokens, made.tools) for made in self.calls],
                self.by_user,
                self.agent,
                self.notes,
            )
        )


_CALLS = 9


def turn_of(record: bytes) -> Turn:
    """Read a turn's record."""
    fields = orjson.loads(record)
    fields[_CALLS] = [Call(*made) for made in fields[_CALLS]]
    return Turn(*fields)


def write_sessions(
    turns: Groups, out: BinaryIO, *, write: Write, least_input: Mapping[str, int]
) -> None:
    """Write a line for each session. `write` is for turns without content.

    `least_input` is the smallest input of any turn's first LLM call, by agent: about what system
    prompt and tools take.
    """
    for _, records in turns.groups():
        found = sorted(map(turn_of, records), key=lambda turn: (turn.begin_s, turn.line))
        for number, session in enumerate(_parted(found)):
            data = _session(session, number, write, least_input)
            out.write(orjson.dumps(data, option=orjson.OPT_APPEND_NEWLINE))


def _parted(turns: list[Turn]) -> Iterator[list[Turn]]:
    """Part a user's turns where the user was away, and join what continues a turn."""
    session: list[Turn] = []
    for turn in turns:
        last = session[-1] if session else None
        if last is not None and turn.by_user and turn.begin_s - last.end_s > MOST_THINK_S:
            yield session
            session, last = [], None
        if last is None or turn.users is None or last.users is None or turn.users > last.users:
            session.append(turn)
            continue
        # No new user message: results of tools that ran in the browser, or an answer made anew.
        is_again = turn.replies == last.replies[-len(turn.replies) :] or not turn.replies
        last.notes = [*last.notes, *turn.notes, *([AGAIN] if is_again else [])]
        last.replies += [] if is_again else turn.replies
        last.end_s = max(last.end_s, turn.end_s)
    if session:
        yield session


def _session(
    turns: list[Turn], number: int, write: Write, least_input: Mapping[str, int]
) -> dict[str, Any]:
    """Return a session as a line has it."""
    first = turns[0]
    name = first.session if number == 0 else f"{first.session}-{number + 1}"
    notes = dict.fromkeys(note for turn in turns for note in turn.notes)
    if first.earlier or (first.users is not None and first.users > 1):
        notes[BEFORE] = None
    messages: list[Message] = []
    bounded = _Bounded(write, name, notes)
    if first.system:
        messages.append({"role": "system", "content": first.system})
    for place, turn in enumerate(turns):
        if turn.user is None:
            notes[GENERATED] = None
            _generated(turn, turns[place - 1] if place else None, least_input, bounded.at(place))
        messages.append({"role": "user", "content": turn.user})
        messages.extend(turn.replies)
    begun, ended = [turn.begin_s for turn in turns], [turn.end_s for turn in turns]
    pauses = think_times_s(begun, ended, notes, negative=OVERLAP)
    data: dict[str, Any] = {"id": name, "line": min(turn.line for turn in turns)}
    data |= {"timestamp": first.begin_s, "messages": _with_call_ids(messages)}
    return data | {"think_times_s": pauses, "notes": list(notes)}


class _Bounded:
    """Writes the texts of one session, and stops where they would be endless."""

    def __init__(self, write: Write, session: str, notes: dict[str, None]) -> None:
        self._write = write
        self._session = session
        self._notes = notes
        self._left = MOST_TOKENS

    def at(self, place: int) -> Write:
        """Return what writes the texts of a turn."""

        def write(part: str, tokens: int) -> str:
            if tokens > self._left:
                self._notes[TOO_MUCH] = None
                tokens = min(tokens, max(self._left, 1))
            self._left -= tokens
            return self._write(f"{self._session}/{place}/{part}", tokens)

        return write


def _generated(
    turn: Turn, before: Turn | None, least_input: Mapping[str, int], write: Write
) -> None:
    """Give a turn without content texts of the lengths that were recorded."""
    size = user_tokens(turn, before, least_input)
    turn.user = None if size is None else write("user", size)
    for number, made in enumerate(turn.calls):
        text = "" if not made.output_tokens else write(f"call-{number}", made.output_tokens)
        calls = [call(tool, {}) for tool in made.tools]
        turn.replies.append(asked("" if calls else text, calls))
        turn.replies.extend({"role": "tool", "content": "", "name": tool} for tool in made.tools)


def user_tokens(turn: Turn, before: Turn | None, least_input: Mapping[str, int]) -> int | None:
    """Return about how long a message of the user was that is not there.

    The prompt of a turn's first LLM call is that of the last call of the turn before, its answer,
    and the new message. A first turn's is the system prompt, the tools and the message: what it
    has beyond the shortest that there is counts, and one token.
    """
    size = turn.calls[0].input_tokens
    if size is None:
        return None
    if before is not None and before.calls and before.user is not None:
        last = before.calls[-1]
        if last.input_tokens is not None and last.output_tokens is not None:
            grown = size - last.input_tokens - last.output_tokens
            if grown > 0:
                return grown
    return size - min(size, least_input.get(turn.agent, size)) + 1


def _with_call_ids(messages: list[Message]) -> list[Message]:
    """Give tool calls ids where they have none or one that was used, and results the ids of calls.

    A result belongs to the open call of its id, else to the first open one of its name, else to
    the first open one if it has no name.
    """
    used: set[str] = set()
    opened: list[tuple[str, str, str]] = []  # the id it had, its name, the id it has now
    for message in messages:
        for made in message.get("tool_calls") or ():
            was, name = made["id"], made["function"]["name"]
            made["id"] = was if was and was not in used else f"call_{len(used) + 1}"
            while made["id"] in used:
                made["id"] += "_"
            used.add(made["id"])
            opened.append((was, name, made["id"]))
        del opened[:-_MOST_OPEN]
        if message["role"] != "tool":
            continue
        was, name = message.get("tool_call_id", ""), message.get("name")
        found = next((o for o in opened if was and o[0] == was), None)
        found = found or next((o for o in opened if name and o[1] == name), None)
        if found is None and not was and not name and opened:
            found = opened[0]
        if found is not None:
            opened.remove(found)
            message |= {"tool_call_id": found[2], "name": found[1]}
    return messages
