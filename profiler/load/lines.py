"""JSON objects, a line each, over a TCP connection: what conductor and shards say to each other."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import anyio
import orjson
from anyio.abc import SocketAttribute
from anyio.streams.buffered import BufferedByteReceiveStream

if TYPE_CHECKING:
    from anyio.abc import SocketStream

LONGEST_LINE = 65_536
"""Bytes; a longer line ends the connection."""

VANISHED_AFTER_S = 30
"""After so long without an acknowledgement a machine that vanished is taken for gone."""

_BROKEN = (
    anyio.EndOfStream,
    anyio.IncompleteRead,
    anyio.DelimiterNotFound,
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
    OSError,
)


class Lines:
    """One side of a connection. Who cannot be understood has hung up, as far as we care."""

    def __init__(self, stream: SocketStream) -> None:
        self._stream = stream
        self._buffered = BufferedByteReceiveStream(stream)
        raw = stream.extra(SocketAttribute.raw_socket)  # noqa: S610 - anyio's, not Django's
        _notice_when_it_vanishes(raw)

    async def send(self, message: dict[str, Any]) -> bool:
        """Send an object; say whether it could be sent."""
        try:
            await self._stream.send(orjson.dumps(message, option=orjson.OPT_APPEND_NEWLINE))
        except _BROKEN:
            return False
        return True

    async def receive(self) -> dict[str, Any] | None:
        """Return the next object; None when the other side hung up, or says what is no object."""
        try:
            line = await self._buffered.receive_until(b"\n", LONGEST_LINE)
            message = orjson.loads(line)
        except (*_BROKEN, orjson.JSONDecodeError):
            return None
        return message if isinstance(message, dict) else None


def _notice_when_it_vanishes(connection: socket.socket) -> None:
    """Have the kernel ask an idle peer, and give up on one that does not acknowledge."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    wanted = {
        "TCP_KEEPIDLE": VANISHED_AFTER_S // 3,
        "TCP_KEEPINTVL": VANISHED_AFTER_S // 6,
        "TCP_KEEPCNT": 4,
        "TCP_USER_TIMEOUT": VANISHED_AFTER_S * 1000,
    }
    for name, value in wanted.items():
        option = getattr(socket, name, None)  # not every system has each
        if option is not None:
            connection.setsockopt(socket.IPPROTO_TCP, option, value)
