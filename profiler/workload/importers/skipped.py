"""The list of everything that an import skipped: JSON Lines, written as it is found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from typing import BinaryIO

    from profiler.workload.importers.streaming import Problem


class SkippedLog:
    """Writes one line for each problem: `{"line": 12, "reason": "not JSON"}`.

    Of a `har` file, `line` is the number of the entry; null where the place is not known.
    """

    def __init__(self, out: BinaryIO) -> None:
        self._out = out

    def write(self, problem: Problem) -> None:
        """Write one line."""
        record = {"line": problem.line, "reason": problem.what}
        self._out.write(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))
