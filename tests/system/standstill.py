"""When the machine stood still, as seen by a thread that does nothing but sleep."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from time import monotonic_ns
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_EVERY_NS, _LATE_NS = 10_000_000, 30_000_000


class Machine:
    """Knows from when to when nobody was woken; times are those of the monotonic clock."""

    def __init__(self) -> None:
        self._still: list[tuple[int, int]] = []
        self._over = threading.Event()

    def stood_still(self, from_ns: int, to_ns: int) -> bool:
        """Say whether it did at any time between the two."""
        return any(begin_ns < to_ns and end_ns > from_ns for begin_ns, end_ns in self._still)

    @property
    def longest_s(self) -> float:
        """For how long it did at most."""
        return max((end_ns - begin_ns for begin_ns, end_ns in self._still), default=0) / 1e9

    def watch(self) -> None:
        """Sleep, and note when that took longer than asked, until `leave`."""
        due_ns = monotonic_ns() + _EVERY_NS
        while not self._over.wait(_EVERY_NS / 1e9):
            now_ns = monotonic_ns()
            if now_ns - due_ns > _LATE_NS:
                self._still.append((due_ns, now_ns))
            due_ns = now_ns + _EVERY_NS

    def leave(self) -> None:
        self._over.set()


@contextmanager
def watching_the_machine() -> Iterator[Machine]:
    machine = Machine()
    thread = threading.Thread(target=machine.watch)
    thread.start()
    try:
        yield machine
    finally:
        machine.leave()
        thread.join()
