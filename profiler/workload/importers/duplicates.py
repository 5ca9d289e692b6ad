"""Finding ids that a file gives more than once, in memory that does not grow with the file.

An id is 16 bytes here, a hash and the line. They are dealt by hash to parts, each of them on disk
once it has grown, and each small enough to be looked through by itself at the end.
"""

from __future__ import annotations

import tempfile
from array import array
from contextlib import ExitStack
from hashlib import blake2b
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType
    from typing import BinaryIO

PARTS = 64
_MOST_IN_MEMORY = 8192  # entries of a part: 128 KB, so 8 MB in all


class Ids:
    """The ids of a file, to be asked at the end which lines had one that was used before."""

    def __init__(self, *, most_in_memory: int = _MOST_IN_MEMORY) -> None:
        self._most = 2 * most_in_memory
        self._parts = [array("Q") for _ in range(PARTS)]
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

    def add(self, name: str, line: int) -> None:
        """Take the id of the session in a line; lines must come in order."""
        digest = int.from_bytes(blake2b(name.encode(), digest_size=8).digest())
        number = digest % PARTS
        part = self._parts[number]
        part.append(digest)
        part.append(line)
        if len(part) >= self._most:
            self._put_away(number)

    def repeated(self) -> list[int]:
        """Return the lines whose id was used before, in order."""
        found: list[int] = []
        for number, part in enumerate(self._parts):
            seen: set[int] = set()
            for entries in (*self._put_by(number), part):
                for digest, line in zip(entries[::2], entries[1::2], strict=True):
                    if digest in seen:
                        found.append(line)
                    seen.add(digest)
        return sorted(found)

    def _put_away(self, number: int) -> None:
        file = self._files.get(number)
        if file is None:
            file = self._open.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - for the stack
            self._files[number] = file
        file.write(self._parts[number].tobytes())
        self._parts[number] = array("Q")

    def _put_by(self, number: int) -> tuple[array[int], ...]:
        file = self._files.get(number)
        if file is None:
            return ()
        file.seek(0)
        entries = array("Q")
        entries.frombytes(file.read())
        return (entries,)
