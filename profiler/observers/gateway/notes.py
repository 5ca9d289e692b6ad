"""What the gateway could not see, or could not do: counted by kind, with one example each."""

from __future__ import annotations

import threading
from enum import StrEnum

from profiler.measure.records import Observer, ObserverNote


class Kind(StrEnum):
    """The kinds of notes."""

    UPSTREAM_REFUSED = "upstream_refused"
    UPSTREAM_SLOW = "upstream_slow"
    UPSTREAM_BROKEN = "upstream_broken"
    UPSTREAM_CUT = "upstream_cut"
    CLIENT_GONE = "client_gone"
    WRONG_TOKEN = "wrong_token"  # noqa: S105 - a kind of note
    OTHER_PATH = "other_path"
    UNREADABLE_REQUEST = "unreadable_request"
    UNREADABLE_ANSWER = "unreadable_answer"
    TOO_LONG = "too_long"
    AMBIGUOUS = "ambiguous"
    TEXT_CONTAINED = "text_contained"
    USAGE_ADDED = "usage_added"
    USAGE_REFUSED = "usage_refused"
    NOT_COUNTED = "not_counted"
    INTERNAL_ERROR = "internal_error"


_SENTENCES = {
    Kind.UPSTREAM_REFUSED: "the upstream could not be reached, the agent got a 502",
    Kind.UPSTREAM_SLOW: "the upstream did not answer in time, the agent got a 504",
    Kind.UPSTREAM_BROKEN: "the upstream broke off before its answer, the agent got a 502",
    Kind.UPSTREAM_CUT: "the upstream broke off within its answer, and so did the gateway",
    Kind.CLIENT_GONE: "the agent went away before the answer was complete",
    Kind.WRONG_TOKEN: "a request without the gateway's token was refused",
    Kind.OTHER_PATH: "passed through and not recorded: no API that the gateway reads",
    Kind.UNREADABLE_REQUEST: "the request's body is no JSON object, passed through as it was",
    Kind.UNREADABLE_ANSWER: "the answer could not be read: its usage and tools are not known",
    Kind.TOO_LONG: "a body was too long to be read: passed through, its content is not known",
    Kind.AMBIGUOUS: "the call fits no interaction, or several: assigned to none",
    Kind.TEXT_CONTAINED: "assigned by a user's text found within a longer message",
    Kind.USAGE_ADDED: "the gateway asked a stream for its usage, and took it out again",
    Kind.USAGE_REFUSED: "the upstream does not know stream_options: streams have no usage",
    Kind.NOT_COUNTED: "the tokens of a call were not counted",
    Kind.INTERNAL_ERROR: "the gateway failed to record something, the traffic was not affected",
}


class Notes:
    """Collects notes; safe from several threads."""

    def __init__(self) -> None:
        self._counts: dict[Kind, int] = {}
        self._details: dict[Kind, str] = {}
        self._lock = threading.Lock()

    def add(self, kind: Kind, example: str | None = None) -> None:
        """Count one. The first example is kept; it must not hold what agent or provider wrote."""
        with self._lock:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            if example is not None:
                self._details.setdefault(kind, example)

    def so_far(self) -> tuple[ObserverNote, ...]:
        """Return them, most frequent first."""
        with self._lock:
            return self._all()

    def take(self) -> tuple[ObserverNote, ...]:
        """Return them and begin anew."""
        with self._lock:
            notes = self._all()
            self._counts.clear()
            self._details.clear()
        return notes

    def _all(self) -> tuple[ObserverNote, ...]:
        counts = sorted(self._counts.items(), key=lambda item: (-item[1], item[0]))
        return tuple(self._note(kind, count) for kind, count in counts)

    def _note(self, kind: Kind, count: int) -> ObserverNote:
        detail = _SENTENCES[kind]
        if kind in self._details:
            detail = f"{detail} ({self._details[kind]})"
        return ObserverNote(observer=Observer.GATEWAY, kind=kind, count=count, detail=detail)
