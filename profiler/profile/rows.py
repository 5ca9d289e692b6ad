"""Records of a journal as rows of integers, eight bytes a value: what is kept while it is open.

Times are integer nanoseconds as in the journal; `MISSING` stands for what was not observed.
"""

from __future__ import annotations

from array import array
from dataclasses import fields
from operator import attrgetter
from typing import TYPE_CHECKING

from profiler.errors import ProfileError
from profiler.measure.records import Outcome, Phase, RateLimit, StateKind, Timeline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from profiler.measure.records import (
        Interaction,
        LlmCall,
        Record,
        StateOp,
        ToolCall,
        ToolRoundTrip,
    )

    Row = array[int]

MISSING = -(2**63)
STATE_KINDS = tuple(StateKind)
NO_MODEL = "(not reported)"

# Where a row of an interaction (`interaction_row`) has what.
ROW_OK, ROW_TURN, ROW_SEND = 1, 3, 6

# Where a row of an LLM call (`llm_call_row`) has what.
CALL_OK, CALL_MODEL, CALL_START, CALL_FIRST, CALL_END, CALL_ATTEMPTS, CALL_LAST_START = range(7)
CALL_USAGE = slice(7, 12)
CALL_PARTS = slice(12, 18)
CALL_COUNTED_OUTPUT = 18
CALL_ON_AGENT_CLOCK = 19

_OF_RATE_LIMIT = attrgetter(*(header.name for header in fields(RateLimit)))
_NO_CLIENT = (MISSING,) * 3
_NO_USAGE = (MISSING,) * 5
_NO_PARTS = (MISSING,) * 6
_NS_PER_US = 1000


class Names(dict[str, int]):
    """Numbers names in the order in which they first appear."""

    def __missing__(self, name: str) -> int:
        number = self[name] = len(self)
        return number

    def bounded(self, name: str, *, most: int, others: str) -> int:
        """Return the number of a name; beyond `most` names, that of all `others` together."""
        return self[name if name in self or len(self) < most else others]


def row_of(cells: Iterable[int | None]) -> Row:
    """Return a row of integers; None becomes MISSING.

    Raises `TypeError` or `OverflowError` for what is no integer of 64 bits.
    """
    return array("q", [MISSING if cell is None else cell for cell in cells])


def interaction_row(record: Interaction) -> Row:
    """Return measured, ok, last_turn, turn, think time, five times, 3 counted and 5 reported."""
    counted, usage = record.counted, record.usage
    return row_of(
        (
            record.phase is Phase.MEASURE,
            record.outcome is Outcome.OK,
            record.last_turn,
            record.turn,
            record.think_time_ns,
            record.intended_start_ns,
            record.send_ns,
            record.first_token_ns,
            record.last_token_ns,
            record.end_ns,
            *(_NO_CLIENT if counted is None else (counted.user, counted.history, counted.output)),
            *(
                _NO_USAGE
                if usage is None
                else (
                    usage.input_tokens,
                    usage.output_tokens,
                    usage.cached_input_tokens,
                    usage.reasoning_tokens,
                    usage.cache_write_tokens,
                )
            ),
        )
    )


def llm_call_row(record: LlmCall, model: int) -> Row:
    """Return ok, model, 3 times, attempts, last start, 5 reported, 7 counted, whose clock."""
    usage, parts = record.usage, record.tokens
    return row_of(
        (
            record.outcome is Outcome.OK,
            model,
            record.start_ns,
            record.first_token_ns,
            record.end_ns,
            record.attempts,
            record.last_start_ns,
            *(
                _NO_USAGE
                if usage is None
                else (
                    usage.input_tokens,
                    usage.output_tokens,
                    usage.cached_input_tokens,
                    usage.reasoning_tokens,
                    usage.cache_write_tokens,
                )
            ),
            *(
                _NO_PARTS
                if parts is None
                else (
                    parts.system,
                    parts.tool_schemas,
                    parts.history,
                    parts.user,
                    parts.tool_results,
                    parts.overhead,
                )
            ),
            record.counted_output,
            record.clock is Timeline.AGENT,
        )
    )


def tool_call_row(record: ToolCall, name: int) -> Row:
    """Return ok, the tool's number, start and end."""
    return row_of((record.outcome is Outcome.OK, name, record.start_ns, record.end_ns))


def round_trip_row(record: ToolRoundTrip, name: int) -> Row:
    """Return the number of the tools' name, start and end."""
    return row_of((name, record.start_ns, record.end_ns))


def state_op_row(record: StateOp, store: int) -> Row:
    """Return the store's number, the kind's place in `STATE_KINDS`, and the count."""
    return row_of((store, STATE_KINDS.index(record.kind), record.count))


def rate_limit_row(limits: RateLimit) -> Row:
    """Return the fields of `RateLimit` in their order."""
    return row_of(_OF_RATE_LIMIT(limits))


def take_each(records: Iterable[Record], take: Callable[[Record], None], where: str) -> None:
    """Take all records but the first of a journal.

    Raises `ProfileError`, naming `where`, if one holds something else than an integer where one
    belongs: `take` raises `TypeError` or `OverflowError` then.
    """
    for number, record in enumerate(records, 2):
        try:
            take(record)
        except (TypeError, OverflowError) as exc:
            raise ProfileError(
                f"event {number} holds a value that is no integer of 64 bits: {exc}",
                where=where,
                fix="The journal was damaged, or another program wrote it: run the workload again",
            ) from exc


def difference_us(end_ns: int, start_ns: int) -> int:
    """Return end - start in microseconds, to the nearest; MISSING where either is."""
    if MISSING in (end_ns, start_ns):
        return MISSING
    return (end_ns - start_ns + _NS_PER_US // 2) // _NS_PER_US
