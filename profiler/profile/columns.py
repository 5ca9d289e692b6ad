"""A journal as compact columns of integers: one pass, eight bytes a value, no record kept.

Times are integer nanoseconds as in the journal; `MISSING` stands for what was not observed. Calls
and operations find their interaction by trace id, in whichever order the lines come.
"""

from __future__ import annotations

from array import array
from dataclasses import astuple, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from profiler.errors import ProfileError
from profiler.measure.records import (
    ClientTokens,
    DriverSample,
    End,
    Interaction,
    LlmCall,
    Outcome,
    Phase,
    RateLimit,
    Record,
    Run,
    StateDelta,
    StateKind,
    StateOp,
    TokenParts,
    ToolCall,
    Usage,
)

if TYPE_CHECKING:
    from collections.abc import Iterable


Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

MISSING = -(2**63)

_USAGE = ("input_tokens", "output_tokens", "cached_input_tokens", "reasoning_tokens")
_PARTS = ("system", "tool_schemas", "history", "user", "tool_results", "overhead")
_CLIENT = ("client_user_tokens", "client_history_tokens", "client_output_tokens")
_LIMITS = (
    "limit_requests",
    "remaining_requests",
    "reset_requests_ns",
    "limit_tokens",
    "remaining_tokens",
    "reset_tokens_ns",
    "retry_after_ns",
)
_INTERACTION = (
    *("trace", "session", "measured", "ok", "turn", "last_turn", "think_time_ns"),
    *("intended_start_ns", "send_ns", "first_token_ns", "last_token_ns", "end_ns"),
    *(*_CLIENT, *_USAGE),
)
_LLM_CALL = (
    *("trace", "ok", "http_429", "model", "start_ns", "first_token_ns", "end_ns", "attempts"),
    *(*_USAGE, *_PARTS, *_LIMITS),
)
_TOOL_CALL = ("trace", "ok", "name", "start_ns", "end_ns")
_STATE_OP = ("trace", "store", "kind", "count")

_NO_USAGE = (None,) * len(_USAGE)
_NO_PARTS = (None,) * len(_PARTS)
_NO_LIMITS = (None,) * len(_LIMITS)
_NO_CLIENT = (None,) * len(_CLIENT)

STATE_KINDS = tuple(StateKind)
NO_MODEL = "(not reported)"


class Table:
    """Rows of integers, kept by column."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._columns = {name: array("q") for name in names}
        self._appends = [column.append for column in self._columns.values()]
        self.rows = 0

    def append(self, cells: Iterable[int | None]) -> None:
        """Add one row, its cells in the order of the names; None becomes MISSING."""
        for append, cell in zip(self._appends, cells, strict=True):
            append(MISSING if cell is None else cell)
        self.rows += 1

    def __getitem__(self, name: str) -> Ints:
        if not self.rows:
            return np.zeros(0, dtype=np.int64)
        return np.frombuffer(self._columns[name], dtype=np.int64)


class Names(dict[str, int]):
    """Numbers names in the order in which they first appear."""

    def __missing__(self, name: str) -> int:
        number = self[name] = len(self)
        return number


@dataclass(slots=True)
class Columns:
    """All of a journal that a profile is made of."""

    run: Run
    end: End | None = None
    traces: Names = field(default_factory=Names)
    sessions: Names = field(default_factory=Names)
    models: Names = field(default_factory=Names)
    tools: Names = field(default_factory=Names)
    stores: Names = field(default_factory=Names)
    interactions: Table = field(default_factory=lambda: Table(_INTERACTION))
    failed: dict[str, int] = field(default_factory=dict)
    llm_calls: dict[str, Table] = field(default_factory=dict)
    tool_calls: dict[str, Table] = field(default_factory=dict)
    state_ops: dict[str, Table] = field(default_factory=dict)
    state_deltas: list[StateDelta] = field(default_factory=list)
    driver: list[DriverSample] = field(default_factory=list)


def collect(records: Iterable[Record], where: str) -> Columns:
    """Read all records of a journal, the `Run` first, into columns.

    Raises `ProfileError` naming `where` if a record holds something else than an integer where one
    belongs. Errors of the journal itself are `JournalError`s of `records`.
    """
    stream = iter(records)
    run = next(stream, None)
    if not isinstance(run, Run):
        raise ProfileError("there is no run in the journal", where=where)
    columns = Columns(run)
    for number, record in enumerate(stream, 2):
        try:
            _take(columns, record)
        except (TypeError, OverflowError) as exc:
            raise ProfileError(
                f"event {number} holds a value that is no integer of 64 bits: {exc}",
                where=where,
                fix="The journal was damaged, or another program wrote it: run the workload again",
            ) from exc
    return columns


def _take(columns: Columns, record: Record) -> None:
    match record:
        case Interaction():
            _take_interaction(columns, record)
        case LlmCall():
            _take_llm_call(columns, record)
        case ToolCall():
            table = columns.tool_calls.setdefault(record.observer, Table(_TOOL_CALL))
            ok = record.outcome is Outcome.OK
            trace, name = columns.traces[record.trace_id], columns.tools[record.name]
            table.append((trace, ok, name, record.start_ns, record.end_ns))
        case StateOp():
            table = columns.state_ops.setdefault(record.observer, Table(_STATE_OP))
            trace, store = columns.traces[record.trace_id], columns.stores[record.store]
            table.append((trace, store, STATE_KINDS.index(record.kind), record.count))
        case StateDelta():
            columns.state_deltas.append(record)
        case DriverSample():
            columns.driver.append(record)
        case End():
            columns.end = record
        case Run():
            raise TypeError("a second run")


def _take_interaction(columns: Columns, record: Interaction) -> None:
    measured = record.phase is Phase.MEASURE
    ok = record.outcome is Outcome.OK
    if measured and not ok:
        kind = record.outcome.value
        # The kind is ours and bounded; error_detail, which is the target's text, is not used.
        if record.error_kind is not None and record.error_kind != kind:
            kind = f"{kind}/{record.error_kind}"
        columns.failed[kind] = columns.failed.get(kind, 0) + 1
    columns.interactions.append(
        (
            columns.traces[record.trace_id],
            columns.sessions[record.session],
            measured,
            ok,
            record.turn,
            record.last_turn,
            record.think_time_ns,
            record.intended_start_ns,
            record.send_ns,
            record.first_token_ns,
            record.last_token_ns,
            record.end_ns,
            *_client(record.counted),
            *_usage(record.usage),
        )
    )


def _take_llm_call(columns: Columns, record: LlmCall) -> None:
    table = columns.llm_calls.setdefault(record.observer, Table(_LLM_CALL))
    table.append(
        (
            columns.traces[record.trace_id],
            record.outcome is Outcome.OK,
            record.outcome is Outcome.HTTP_429,
            columns.models[NO_MODEL if record.model is None else record.model],
            record.start_ns,
            record.first_token_ns,
            record.end_ns,
            record.attempts,
            *_usage(record.usage),
            *_parts(record.tokens),
            *_limits(record.rate_limit),
        )
    )


def _usage(usage: Usage | None) -> tuple[int | None, ...]:
    if usage is None:
        return _NO_USAGE
    return (
        usage.input_tokens,
        usage.output_tokens,
        usage.cached_input_tokens,
        usage.reasoning_tokens,
    )


def _parts(parts: TokenParts | None) -> tuple[int | None, ...]:
    if parts is None:
        return _NO_PARTS
    return (
        parts.system,
        parts.tool_schemas,
        parts.history,
        parts.user,
        parts.tool_results,
        parts.overhead,
    )


def _client(counted: ClientTokens | None) -> tuple[int | None, ...]:
    return _NO_CLIENT if counted is None else (counted.user, counted.history, counted.output)


def _limits(limits: RateLimit | None) -> tuple[Any, ...]:
    return _NO_LIMITS if limits is None else astuple(limits)
