"""The body of one response as it arrived: pieces and times. What they mean is found out at the end.

A chunk costs two appends while others are being timed; parsing waits until the response is whole.
"""

from __future__ import annotations


class Body:
    """Collects pieces. The base of all readers."""

    __slots__ = ("pieces", "times_ns")

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.times_ns: list[int] = []

    def feed(self, chunk: bytes, at_ns: int) -> None:
        """Keep the next piece and the time at which it left the socket."""
        self.pieces.append(chunk)
        self.times_ns.append(at_ns)

    @property
    def received_bytes(self) -> int:
        """The size of what has come so far."""
        return sum(map(len, self.pieces))

    def whole(self) -> bytes:
        """Return all pieces as one."""
        return self.pieces[0] if len(self.pieces) == 1 else b"".join(self.pieces)
