"""What faults need below HTTP: the connection itself, and the socket that takes connections."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from profiler.guarding import GuardedProtocol
from profiler.serving import bind

if TYPE_CHECKING:
    from collections.abc import Callable

    import uvicorn
    from starlette.types import Scope

_CONNECTION = "agent_profiler.connection"
FLUSH_S = 0.02
"""How long what was written gets to reach the other side before a reset takes back what did not."""


class FaultyConnection(GuardedProtocol):
    """A connection that its application can get at."""

    is_faulty = False

    def on_message_begin(self) -> None:
        """Put the connection where the application finds it."""
        super().on_message_begin()
        cast("dict[str, Any]", self.scope)["extensions"] = {_CONNECTION: self}

    def shutdown(self) -> None:
        """End: a fault under way would not."""
        if self.is_faulty:
            self.transport.abort()
        else:
            super().shutdown()

    def hold(self) -> None:
        """Read no further request: this connection is about to be broken."""
        self.is_faulty = True
        if not self.transport.is_closing():
            self.transport.pause_reading()

    async def reset(self) -> None:
        """Break the connection with a reset (RST), once what was written has got across."""
        await asyncio.sleep(FLUSH_S)
        bound = self.transport.get_extra_info("socket")
        if bound is None or self.transport.is_closing():
            return
        # By a second handle: uvloop's own does not set options.
        with socket.socket(fileno=os.dup(bound.fileno())) as handle:
            handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def write_raw(self, data: bytes) -> None:
        """Write bytes past HTTP."""
        if not self.transport.is_closing():
            self.transport.write(data)

    def close(self) -> None:
        """Close in order: what was written is delivered."""
        self.transport.close()


def connection_of(scope: Scope) -> FaultyConnection:
    """Return the connection that a request came by."""
    connection: FaultyConnection = scope["extensions"][_CONNECTION]
    return connection


async def stop_listening(server: uvicorn.Server) -> None:
    """Refuse new connections: the listening socket is closed, and so are idle connections.

    Answers under way are given to their end, faults among them too. Who was in the queue of the
    socket, connected but not taken, is reset by the kernel.
    """
    for listener in server.servers:
        listener.close()
    server.servers = []
    for connection in list(server.server_state.connections):
        if not cast("FaultyConnection", connection).is_faulty:
            connection.shutdown()


async def listen_again(server: uvicorn.Server, host: str, port: int) -> None:
    """Take connections again, on the same port. Raises `UsageError` where it was taken."""
    config = server.config
    protocol = cast("Callable[..., FaultyConnection]", config.http_protocol_class)
    factory = partial(
        protocol,
        config=config,
        server_state=server.server_state,
        app_state=server.lifespan.state,
    )
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(factory, sock=bind(host, port), backlog=config.backlog)
    server.servers.append(listener)
