"""A trace from raw sockets: what this machine allows whoever sends so much at one instant."""

from __future__ import annotations

import selectors
import socket
import time

_READY = 40
_LEAD_S = 0.5
_SPIN_S = 0.0005
_DRAIN_S = 1.0
_HEAD = (
    b"POST /v1/chat/completions HTTP/1.1\r\nhost: null\r\ncontent-type: application/json\r\n"
    b"content-length: %d\r\n\r\n"
)


def lateness_ms(
    port: int, offsets_s: list[float], body_bytes: list[int], *, speed: float
) -> list[float]:
    """Send a body of each length at its offset; return how late each send began, in ms.

    Nothing else is done: bodies are ready, connections are open, answers are thrown away.
    """
    sender = _Sender(port)
    longest = bytes(32) * (max(body_bytes) // 32 + 1)
    start_s = time.monotonic() + _LEAD_S
    late_ms = []
    for offset_s, length in zip(offsets_s, body_bytes, strict=True):
        due_s = start_s + offset_s / speed
        message = _HEAD % length + longest[:length]
        sender.work_until(due_s)
        late_ms.append((time.monotonic() - due_s) * 1000)
        sender.send(message)
    sender.work_until(time.monotonic() + _DRAIN_S)
    return late_ms


class _Sender:
    def __init__(self, port: int) -> None:
        self._port = port
        self._events = selectors.DefaultSelector()
        self._unsent: dict[socket.socket, memoryview] = {}
        self._free = [self._connected() for _ in range(_READY)]

    def _connected(self) -> socket.socket:
        made = socket.create_connection(("127.0.0.1", self._port))
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.settimeout(0)
        self._events.register(made, selectors.EVENT_READ)
        return made

    def send(self, message: bytes) -> None:
        used = self._free.pop() if self._free else self._connected()
        sent = used.send(message)
        if sent < len(message):
            self._unsent[used] = memoryview(message)[sent:]
            self._events.modify(used, selectors.EVENT_READ | selectors.EVENT_WRITE)

    def work_until(self, due_s: float) -> None:
        while (left_s := due_s - time.monotonic()) > 0:
            for key, events in self._events.select(left_s if left_s > _SPIN_S else 0):
                assert isinstance(key.fileobj, socket.socket)
                if events & selectors.EVENT_WRITE:
                    self._write(key.fileobj)
                if events & selectors.EVENT_READ and key.fileobj.recv(65536):
                    self._free.append(key.fileobj)

    def _write(self, used: socket.socket) -> None:
        rest = self._unsent.pop(used)
        rest = rest[used.send(rest) :]
        if rest:
            self._unsent[used] = rest
        else:
            self._events.modify(used, selectors.EVENT_READ)
