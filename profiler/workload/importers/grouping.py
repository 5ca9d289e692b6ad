"""Bringing together what belongs together and stands apart in a file, in constant memory.

Records are dealt by a hash of their key to parts, each of them on disk once it has grown. At the
end each part is read by itself; one that is too large for that is dealt again, with another hash.
What one key has beyond `most_bytes` is not kept, and counted.
"""

from __future__ import annotations

import struct
import tempfile
from collections import defaultdict
from contextlib import ExitStack
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import BinaryIO

PARTS = 64
MOST_BYTES = 16 * 2**20
_BUFFER_BYTES = 64 * 2**10
_MOST_LEVELS = 4
_HEAD = struct.Struct("<II")
_SHORT_KEY = 128


def _part(key: bytes, level: int) -> int:
    digest = blake2b(key, digest_size=4, person=b"level-%d" % level).digest()
    return int.from_bytes(digest) % PARTS


_recent_part = lru_cache(4096)(_part)
"""What belongs together rarely stands far apart."""


class Groups:
    """Records by key. Add all of them, then read each group once.

    `dropped` counts the records of groups that were larger than `most_bytes`.
    """

    def __init__(self, *, most_bytes: int = MOST_BYTES, level: int = 0) -> None:
        self.dropped = 0
        self._most = most_bytes
        self._level = level
        self._buffers: list[list[bytes]] = [[] for _ in range(PARTS)]
        self._buffered = [0] * PARTS
        self._sizes = [0] * PARTS
        self._files: dict[int, BinaryIO] = {}
        self._open = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close what was put on disk; it is gone then."""
        self._open.close()

    def add(self, key: bytes, record: bytes) -> None:
        """Take a record."""
        part = _recent_part if len(key) <= _SHORT_KEY else _part
        number = part(key, self._level)
        buffer = self._buffers[number]
        buffer += (_HEAD.pack(len(key), len(record)), key, record)
        size = self._buffered[number] + _HEAD.size + len(key) + len(record)
        self._buffered[number] = size
        if size >= _BUFFER_BYTES:
            self._put_away(number)

    def groups(self) -> Iterator[tuple[bytes, list[bytes]]]:
        """Yield each key with its records, in the order in which they came."""
        for number in range(PARTS):
            if number in self._files:
                self._put_away(number)
            size = self._sizes[number] + self._buffered[number]
            if size <= self._most:
                yield from self._all_gathered(number)
            elif self._level == _MOST_LEVELS:
                yield from self._gathered(number)
            else:
                yield from self._dealt_again(number)
            self._buffers[number].clear()
            if file := self._files.pop(number, None):
                file.close()

    def _all_gathered(self, number: int) -> Iterator[tuple[bytes, list[bytes]]]:
        """Yield the groups of a part of which even a single one would not be too large."""
        file = self._files.get(number)
        if file is None:
            buffer = b"".join(self._buffers[number])
        else:
            file.seek(0)
            buffer = file.read()
        found: defaultdict[bytes, list[bytes]] = defaultdict(list)
        at = 0
        while at < len(buffer):
            key_bytes, record_bytes = _HEAD.unpack_from(buffer, at)
            at += _HEAD.size
            end = at + key_bytes + record_bytes
            found[buffer[at : at + key_bytes]].append(buffer[at + key_bytes : end])
            at = end
        del buffer
        yield from found.items()

    def _gathered(self, number: int) -> Iterator[tuple[bytes, list[bytes]]]:
        found: dict[bytes, list[bytes]] = {}
        left: dict[bytes, int] = {}
        for key, record in self._records(number):
            left[key] = left.get(key, self._most) - len(record)
            if left[key] < 0:
                self.dropped += 1
            else:
                found.setdefault(key, []).append(record)
        yield from found.items()

    def _dealt_again(self, number: int) -> Iterator[tuple[bytes, list[bytes]]]:
        with Groups(most_bytes=self._most, level=self._level + 1) as finer:
            for key, record in self._records(number):
                finer.add(key, record)
            yield from finer.groups()
            self.dropped += finer.dropped

    def _records(self, number: int) -> Iterator[tuple[bytes, bytes]]:
        """Yield what a part has, one by one: all of it is on disk, for it is large."""
        file = self._put_away(number)
        file.seek(0)
        while head := file.read(_HEAD.size):
            key, record = _HEAD.unpack(head)
            yield file.read(key), file.read(record)

    def _put_away(self, number: int) -> BinaryIO:
        """Write what is buffered of a part to its file."""
        file = self._file(number)
        file.writelines(self._buffers[number])
        self._buffers[number].clear()
        self._sizes[number] += self._buffered[number]
        self._buffered[number] = 0
        return file

    def _file(self, number: int) -> BinaryIO:
        file = self._files.get(number)
        if file is None:
            file = self._open.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - for the stack
            self._files[number] = file
        return file
