"""The list of everything that an import skipped: JSON Lines, written as it is found."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import orjson

from profiler.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from profiler.workload.importers.streaming import Problem


class SkippedLog:
    """Writes one line for each problem: `{"line": 12, "reason": "not JSON"}`.

    Of a `har` file, `line` is the number of the entry; null where the place is not known.
    """

    def __init__(self, path: Path) -> None:
        """Open the list anew. Raises UsageError."""
        self._path = path
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._out = path.open("wb")

    def write(self, problem: Problem) -> None:
        """Write one line."""
        record = {"line": problem.line, "reason": problem.what}
        with writing(self._path):
            self._out.write(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))

    def close(self) -> None:
        """Write what is left."""
        with writing(self._path):
            self._out.close()


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Name the list where it cannot be written. Raises UsageError."""
    try:
        yield
    except OSError as exc:
        what = f"cannot write the file: {exc.strerror}"
        fix = "Give a place that is writable and has space"
        raise UsageError(what, where=f"--skipped {path}", fix=fix) from exc
