"""The kinds of import whose sessions stand apart in the file: gathered into a file of sessions."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

from profiler.workload.importers.kinds import ImportKind

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack
    from typing import BinaryIO

    from profiler.workload.importers.survey import Survey
    from profiler.workload.importers.turns import Write

GATHERED = frozenset({ImportKind.OTEL, ImportKind.HAR, ImportKind.LANGFUSE})


def gathered(
    stream: BinaryIO,
    kind: ImportKind,
    found: Survey,
    opened: ExitStack,
    *,
    write: Write,
    advanced: Callable[[int], None] | None,
) -> BinaryIO:
    """Return a file of the sessions in `stream`, one on each line; it is gone when closed.

    What is skipped goes to `found`; `write` writes texts of a length where none were recorded.
    """
    from profiler.workload.importers.gathering import Gathering
    from profiler.workload.importers.grouping import Groups
    from profiler.workload.importers.turns import write_sessions

    match kind:
        case ImportKind.OTEL:
            from profiler.observers.otlp.recorded.file import gather
        case ImportKind.HAR:
            from profiler.workload.importers.har import gather
        case _:
            from profiler.workload.importers.langfuse import gather
    out = opened.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - for the stack
    with Groups() as turns:
        into = Gathering(turns, found)
        gather(stream, into, None if advanced is None else lambda frame: advanced(frame.offset))
        write_sessions(turns, out, write=write, least_input=into.least_input)
        into.dropped(turns.dropped)
    out.seek(0)
    return out
