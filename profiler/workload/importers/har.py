"""`har`: a browser's recording of an agent's page; each request with a new user message is a turn.

Source: HAR 1.2, http://www.softwareishard.com/blog/har-12-spec/ (`log.entries`, `startedDateTime`,
`time` in milliseconds, `request.postData.text`, `response.content.text`, base64 where `encoding`
says so). Which requests are an agent's is told by the shape of their body (`har_shapes`).
"""

from __future__ import annotations

import base64
import binascii
from collections import OrderedDict
from dataclasses import replace
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from profiler.workload.importers.documents import items_within
from profiler.workload.importers.frames import Frame
from profiler.workload.importers.har_replies import replies_of
from profiler.workload.importers.har_shapes import BY_URL, Request, recognised, session_of_answer
from profiler.workload.importers.messages import RefusedError
from profiler.workload.importers.times import seconds
from profiler.workload.importers.turns import Turn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from profiler.workload.importers.gathering import Gathering

PATHS = (("log", "entries"),)
NOT_SENT = "not a POST: nothing that a user said is in it"
NO_BODY = "a POST without a JSON body"
NO_SHAPE = "a POST whose body is no known shape of a user's message"
NO_TIME = "a request without a time that can be read"
BODY_CUT = "a POST whose body the recording has left out"
NO_ANSWER = "an answer that the recording has left out"
_MOST_SESSIONS = 10_000
_ERROR = 400
_MOST_URL = 100


def gather(stream: BinaryIO, into: Gathering, advanced: Callable[[Frame], None] | None) -> None:
    """Read a file and give its turns to `into`; places are numbers of entries, from 1."""
    into.found.unit = "entry"
    sessions = _Sessions()
    frames = _numbered(items_within(stream, PATHS, in_lines=False))
    for number, _, entry in into.objects(frames, advanced):
        with into.refusing(number):
            _add(number, entry, into, sessions)


def _add(number: int, entry: dict[str, Any], into: Gathering, sessions: _Sessions) -> None:
    """Take an entry, if it is a user's message. Raises RefusedError if not."""
    request, url, begin_s = _read(entry)
    status = _dict(entry.get("response")).get("status")
    if not isinstance(status, int) or not 0 < status < _ERROR:
        failed = status if isinstance(status, int) and status > 0 else "no answer"
        raise RefusedError(f"a user's message that failed ({failed})")
    answered = _answer(entry)
    if request.session is None and answered is not None:
        request = replace(request, session=session_of_answer(answered[0]))
    turn = _turn(number, entry, request, answered, begin_s)
    turn.session = sessions.name(request, url)
    into.found.recognised.add(f"{request.shape}: {url}", number)
    into.add(turn)


def _numbered(frames: Iterator[Frame]) -> Iterator[Frame]:
    for number, frame in enumerate(frames, start=1):
        yield Frame(number, *frame[1:])


def _read(entry: dict[str, Any]) -> tuple[Request, str, float]:
    """Return the user's message that an entry is, its URL and when it was sent."""
    sent = _dict(entry.get("request"))
    if sent.get("method") != "POST":
        raise RefusedError(NOT_SENT)
    posted = sent.get("postData")
    text = posted.get("text") if isinstance(posted, dict) else None
    if not isinstance(text, str) or not text:
        size = sent.get("bodySize")
        raise RefusedError(BODY_CUT if isinstance(size, int) and size > 0 else NO_BODY)
    url = sent.get("url")
    url = url if isinstance(url, str) else ""
    found = recognised(text, url)
    if found is None:
        raise RefusedError(NO_SHAPE if text.lstrip()[:1] == "{" else NO_BODY)
    begin_s = seconds(entry.get("startedDateTime"))
    if begin_s is None:
        raise RefusedError(NO_TIME)
    return found, _place(url), begin_s


@lru_cache(1024)
def _place(url: str) -> str:
    """Return a URL without query and user: what may be shown."""
    try:
        parts = urlsplit(url)
        shown = f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}"
    except ValueError:
        return "a URL that cannot be read"
    return (shown + parts.path)[:_MOST_URL]


def _turn(
    number: int,
    entry: dict[str, Any],
    request: Request,
    answered: tuple[str, str] | None,
    begin_s: float,
) -> Turn:
    took_ms = entry.get("time")
    took_s = took_ms / 1000 if isinstance(took_ms, int | float) and took_ms > 0 else 0.0
    notes = list(request.notes)
    replies = [] if answered is None else replies_of(*answered)
    if not replies:
        notes.append(NO_ANSWER)
    if request.session is None and not request.carries_history:
        notes.append(BY_URL)
    return Turn(
        session="",
        line=number,
        begin_s=begin_s,
        end_s=begin_s + took_s,
        user=request.users[-1],
        replies=[*request.results, *replies],
        system=request.system,
        users=len(request.users) if request.carries_history else None,
        notes=notes,
    )


def _answer(entry: dict[str, Any]) -> tuple[str, str] | None:
    """Return the text of an answer and its media type, None where it was not recorded."""
    content = _dict(_dict(entry.get("response")).get("content"))
    text, media = content.get("text"), content.get("mimeType")
    if not isinstance(text, str) or not text:
        return None
    if content.get("encoding") == "base64":
        try:
            text = base64.b64decode(text, validate=False).decode(errors="replace")
        except (binascii.Error, ValueError):
            return None
    return text, media if isinstance(media, str) else ""


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


class _Sessions:
    """Names sessions: by the id in the request, else by the messages that it carries, else the URL.

    A request that carries the messages of another and more goes on with its session. The last
    10,000 are known.
    """

    def __init__(self) -> None:
        self._by_history: OrderedDict[bytes, str] = OrderedDict()
        self._count = 0

    def name(self, request: Request, url: str) -> str:
        if request.session is not None:
            return request.session
        if not request.carries_history:
            return url
        users = [text.encode(errors="replace") for text in request.users]
        known = next(
            (
                self._by_history.pop(key)
                for last in (len(users), len(users) - 1)
                if (key := _key(url, users[:last])) in self._by_history and last
            ),
            None,
        )
        if known is None:
            self._count += 1
            known = f"conversation-{self._count}"
        self._by_history[_key(url, users)] = known
        if len(self._by_history) > _MOST_SESSIONS:
            self._by_history.popitem(last=False)
        return known


def _key(url: str, users: list[bytes]) -> bytes:
    digest = blake2b(url.encode(errors="replace"), digest_size=16)
    for text in users:
        digest.update(b"%d:" % len(text) + text)
    return digest.digest()
