"""Requests that are made before their time, so that making them delays no other's."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from profiler.endpoints.exchange import Dialogue, Outgoing, Reader, Reply


class Prepared:
    """A dialogue whose first request is made already: a body of 100 kB takes 0.1 ms."""

    def __init__(self, dialogue: Dialogue, user: str) -> None:
        self._dialogue = dialogue
        self._user = user
        self._outgoing: Outgoing | None = dialogue.request(user)

    def request(self, user: str) -> Outgoing:
        """Return the request that asks for the answer to `user`."""
        outgoing, self._outgoing = self._outgoing, None
        if outgoing is not None and user == self._user:
            return outgoing
        return self._dialogue.request(user)

    def reader(self, *, status: int, content_type: str) -> Reader:
        """Return what reads the response."""
        return self._dialogue.reader(status=status, content_type=content_type)

    def accept(self, user: str, reply: Reply) -> None:
        """Add the turn to the conversation."""
        self._dialogue.accept(user, reply)
