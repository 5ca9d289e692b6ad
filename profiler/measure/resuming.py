"""What a resumed run's journal means: one clock for all of it, and each interaction once.

A resumed run is a new process, perhaps after the machine started anew: its monotonic clock has
nothing to do with that of the lines before. Both anchors to the wall clock are in the journal, so
its times are moved to the clock of the first process. The pause is then a gap in which nothing was
sent; who sums up time (`profile.load`) takes each stretch between `resumed` events on its own.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from profiler.measure.records import (
    Backoff,
    Began,
    DriverSample,
    End,
    Interaction,
    LlmAttempt,
    LlmCall,
    Phase,
    Resumed,
    Run,
    Timeline,
    ToolCall,
    ToolRoundTrip,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from profiler.measure.records import Record

_TIMES: dict[type[Any], tuple[str, ...]] = {
    Backoff: ("at_ns", "until_ns"),
    Began: ("at_ns",),
    DriverSample: ("at_ns",),
    End: ("at_ns",),
    Interaction: (
        "intended_start_ns",
        "send_ns",
        "first_byte_ns",
        "first_token_ns",
        "last_token_ns",
        "end_ns",
    ),
    LlmCall: ("start_ns", "first_token_ns", "end_ns", "last_start_ns"),
    LlmAttempt: ("start_ns", "end_ns"),
    ToolCall: ("start_ns", "end_ns"),
    ToolRoundTrip: ("start_ns", "end_ns"),
}


def on_one_clock(records: Iterable[Record], resumes: Sequence[Resumed]) -> Iterator[Record]:
    """Yield the records with all times on the first process's clock.

    Interactions of sessions that a later process began anew get the phase `superseded`. `resumes`
    are all `Resumed` records that are among the records.
    """
    superseded = frozenset(session for resumed in resumes for session in resumed.superseded)
    zero_ns = shift_ns = 0
    for record in records:
        match record:
            case Run():
                zero_ns = record.started_wall_ns - record.started_monotonic_ns
                yield record
            case Resumed():
                shift_ns = record.resumed_wall_ns - record.resumed_monotonic_ns - zero_ns
                yield record
            case Interaction() if record.session in superseded:
                yield _moved(replace(record, phase=Phase.SUPERSEDED), shift_ns)
            case _:
                yield _moved(record, shift_ns) if shift_ns else record


def _moved(record: Any, shift_ns: int) -> Any:
    """Return the record with its times moved, but for those on a clock that is not the harness's.

    What is no integer, in a damaged line, stays: who reads it says so.
    """
    names = _TIMES.get(type(record))
    if names is None or getattr(record, "clock", Timeline.HARNESS) is not Timeline.HARNESS:
        return record
    times = ((name, getattr(record, name)) for name in names)
    return replace(record, **{n: at + shift_ns for n, at in times if isinstance(at, int)})
