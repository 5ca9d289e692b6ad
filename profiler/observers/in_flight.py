"""The interactions that are under way: what an observer assigns a call to."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class InFlight:
    """Told by the driver when an interaction begins and ends; asked by observers. One event loop.

    `seen` knows each trace id of the run, also after its end: late calls and spans are still its.
    It keeps 16 bytes and a little for each.
    """

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._by_text: dict[str, set[str]] = {}
        self._sessions: dict[str, str] = {}
        self._by_session: dict[str, set[str]] = {}
        self._seen: set[bytes] = set()

    def __len__(self) -> int:
        return len(self._texts)

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __contains__(self, trace_id: object) -> bool:
        return trace_id in self._texts

    def begin(self, trace_id: str, user: str, *, session: str | None = None) -> None:
        """Take note of an interaction that is about to be sent: id, the user's text, session."""
        self._texts[trace_id] = user
        if session is not None:
            self._sessions[trace_id] = session
            self._by_session.setdefault(session, set()).add(trace_id)
        self._by_text.setdefault(user, set()).add(trace_id)
        self._seen.add(bytes.fromhex(trace_id))

    def end(self, trace_id: str) -> None:
        """Take note of its end."""
        user = self._texts.pop(trace_id, None)
        if user is None:
            return
        _discard(self._by_text, user, trace_id)
        session = self._sessions.pop(trace_id, None)
        if session is not None:
            _discard(self._by_session, session, trace_id)

    def seen(self, trace_id: str) -> bool:
        """Say whether an id is one of this run's interactions, ended or not."""
        try:
            return bytes.fromhex(trace_id) in self._seen
        except ValueError:
            return False

    def with_text(self, user: str) -> frozenset[str]:
        """Return the interactions under way that sent exactly this text."""
        return frozenset(self._by_text.get(user, ()))

    def within(self, text: str, *, least_chars: int) -> frozenset[str]:
        """Return the interactions whose text, of `least_chars` or more, is part of `text`."""
        found: set[str] = set()
        for user, ids in self._by_text.items():
            if len(user) >= least_chars and user in text:
                found |= ids
        return frozenset(found)

    def of_session(self, session: str) -> frozenset[str]:
        """Return the interactions of a session that are under way."""
        return frozenset(self._by_session.get(session, ()))


def _discard(sets: dict[str, set[str]], key: str, member: str) -> None:
    """Take a member out of a set, and the set away when it is empty."""
    members = sets[key]
    members.discard(member)
    if not members:
        del sets[key]
