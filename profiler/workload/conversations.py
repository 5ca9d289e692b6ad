"""Recorded conversations: JSON Lines, `{"id": ..., "messages": [OpenAI chat messages]}`.

`think_times_s` beside them has the pause before each user message in seconds, null where it is not
known; the first is null. Every user message is one turn, in order; two in a row are two turns, the
first without replies.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from profiler.errors import WorkloadError
from profiler.workload.near import did_you_mean

if TYPE_CHECKING:
    from pathlib import Path

Message = dict[str, Any]
"""One OpenAI chat message, as recorded. Not to be changed: it is shared by all who replay it."""

ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedTurn:
    """One user message, and all messages after it until the next one."""

    user: str
    replies: tuple[Message, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """One recorded session, its messages untouched."""

    id: str
    messages: tuple[Message, ...]
    think_times_s: tuple[float | None, ...] | None = None

    @property
    def preamble(self) -> tuple[Message, ...]:
        """What comes before the first user message: system messages, an assistant's greeting."""
        first = next(i for i, message in enumerate(self.messages) if message["role"] == "user")
        return self.messages[:first]

    def turns(self) -> tuple[RecordedTurn, ...]:
        """Return the turns in order; there is at least one."""
        starts = [i for i, message in enumerate(self.messages) if message["role"] == "user"]
        ends = [*starts[1:], len(self.messages)]
        return tuple(
            RecordedTurn(
                user=content_text(self.messages[start].get("content")),
                replies=self.messages[start + 1 : end],
            )
            for start, end in zip(starts, ends, strict=True)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Recordings:
    """A file of conversations, with the digest that says which file it was."""

    path: Path
    sha256: str
    conversations: tuple[Conversation, ...] = field(repr=False)


def content_text(content: Any) -> str:
    """Return the text of a message's content: a string, None, or a list of parts (text joined)."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    return "".join(part["text"] for part in content if part.get("type") == "text")


def is_content(content: Any) -> bool:
    """Say whether this may be a message's content: a string, None, or a list of parts."""
    if content is None or isinstance(content, str):
        return True
    return isinstance(content, list) and all(
        isinstance(part, dict) and (part.get("type") != "text" or isinstance(part.get("text"), str))
        for part in content
    )


def read_conversations(path: Path) -> tuple[Conversation, ...]:
    """Read a file of conversations. Raises WorkloadError with file and line."""
    return read_recordings(path).conversations


def read_recordings(path: Path) -> Recordings:
    """Read a file of conversations and its sha256. Raises WorkloadError with file and line."""
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise WorkloadError(
            f"cannot read the conversations: {exc.strerror}", where=str(path), fix="Check the path"
        ) from exc
    line_of_id: dict[str, int] = {}
    found: list[Conversation] = []
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            conversation = _conversation(line)
        except _LineError as exc:
            raise WorkloadError(exc.what, where=f"{path}:{number}", fix=exc.fix) from exc
        if conversation.id in line_of_id:
            first = line_of_id[conversation.id]
            raise WorkloadError(
                f"the id '{conversation.id}' was used already in line {first}",
                where=f"{path}:{number}",
                fix="Give every conversation an id of its own",
            )
        line_of_id[conversation.id] = number
        found.append(conversation)
    if not found:
        raise WorkloadError(
            "the file has no conversations",
            where=str(path),
            fix='Write one {"id": ..., "messages": [...]} per line',
        )
    digest = hashlib.sha256(content).hexdigest()
    return Recordings(path=path, sha256=digest, conversations=tuple(found))


class _LineError(Exception):
    def __init__(self, what: str, fix: str) -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix


def _conversation(line: bytes) -> Conversation:
    try:
        data = orjson.loads(line)
    except orjson.JSONDecodeError as exc:
        what = f"not a line of JSON: {exc.msg} (column {exc.colno})"
        raise _LineError(what, "Write one JSON object per line") from exc
    if not isinstance(data, dict):
        what = "the line is not a JSON object"
        raise _LineError(what, 'Write {"id": ..., "messages": [...]}')
    for key, kind, name in (("id", str, "text"), ("messages", list, "a list")):
        if not isinstance(data.get(key), kind) or not data[key]:
            what = f"'{key}' is missing, empty or not {name}"
            raise _LineError(what, 'Write {"id": ..., "messages": [...]}')
    for index, message in enumerate(data["messages"]):
        _check_message(index, message)
    if all(message["role"] != "user" for message in data["messages"]):
        what = f"conversation '{data['id']}' has no user message"
        raise _LineError(what, "Remove the line: there is nothing in it to replay")
    return Conversation(
        id=data["id"], messages=tuple(data["messages"]), think_times_s=_think_times_s(data)
    )


def _think_times_s(data: dict[str, Any]) -> tuple[float | None, ...] | None:
    times = data.get("think_times_s")
    if times is None:
        return None
    users = sum(message["role"] == "user" for message in data["messages"])
    if not isinstance(times, list) or len(times) != users or not all(map(_is_pause, times)):
        what = "'think_times_s' is not a list of seconds or null, one for each user message"
        raise _LineError(what, "Write the pause before each message of the user, or leave it out")
    return tuple(times)


def _is_pause(time: Any) -> bool:
    is_number = isinstance(time, int | float) and not isinstance(time, bool)
    return time is None or (is_number and 0 <= time <= _MOST_PAUSE_S)


_MOST_PAUSE_S = 86_400.0


def _check_message(index: int, message: Any) -> None:
    at = f"messages[{index}]"
    if not isinstance(message, dict):
        what = f"{at} is not an object"
        raise _LineError(what, 'Write {"role": ..., "content": ...}')
    role = message.get("role")
    if not isinstance(role, str) or role not in ROLES:
        what = f"{at} has the unknown role {role!r}"
        raise _LineError(what, did_you_mean(str(role), ROLES))
    content = message.get("content")
    if not is_content(content):
        what = f"the content of {at} is neither text, null nor a list of content parts"
        raise _LineError(what, "Write it as OpenAI's chat messages have it")
    if role == "user" and not content_text(content).strip():
        what = f"{at} is a user message without text"
        raise _LineError(what, "Remove it, or write what the user said")
