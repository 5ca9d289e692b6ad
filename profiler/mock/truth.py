"""The truth log: what the mocks really did, for tests to compare a profile with.

JSON Lines, one line for each request that was answered. Its figures are counted where the work is
done (the LLM's server, the tool runner, the store), not taken from the trace block.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Self

import orjson

from profiler.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType


class TruthLog:
    """A new file (an old one of that name is emptied); each line is one write."""

    def __init__(self, path: Path) -> None:
        self._path = path
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
        try:
            self._descriptor = os.open(path, flags, 0o644)
        except OSError as exc:
            raise UsageError(
                f"cannot write the truth log: {exc.strerror}",
                where=str(path),
                fix="Give a path that can be written",
            ) from exc

    def write(self, line: dict[str, Any]) -> None:
        """Append one line."""
        os.write(self._descriptor, orjson.dumps(line) + b"\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        os.close(self._descriptor)
