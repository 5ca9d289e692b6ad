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
        self._seen: set[bytes] = set()

    def __len__(self) -> int:
        return len(self._texts)

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def begin(self, trace_id: str, user: str) -> None:
        """Take note of an interaction that is about to be sent: its id and the user's text."""
        self._texts[trace_id] = user
        self._by_text.setdefault(user, set()).add(trace_id)
        self._seen.add(bytes.fromhex(trace_id))

    def end(self, trace_id: str) -> None:
        """Take note of its end."""
        user = self._texts.pop(trace_id, None)
        if user is None:
            return
        others = self._by_text[user]
        others.discard(trace_id)
        if not others:
            del self._by_text[user]

    def seen(self, trace_id: str) -> bool:
        """Say whether an id is one of this run's interactions, ended or not."""
        try:
            return bytes.fromhex(trace_id) in self._seen
        except ValueError:
            return False

    def with_text(self, user: str) -> frozenset[str]:
        """Return the interactions under way that sent exactly this text."""
        return frozenset(self._by_text.get(user, ()))
