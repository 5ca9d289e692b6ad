"""The interactions and calls of a journal as tables: one row each, the same in CSV and Parquet.

Instants are nanoseconds since 1970 by the wall clock that the run began with; durations seconds.
An empty cell was not observed. What an agent times on its own clock has no instant, only a place in
its interaction (`start_in_interaction_s`, from when the agent received it).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from profiler.clock import NS_PER_S
from profiler.measure.records import Interaction, LlmCall, Run, Timeline, ToolCall

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from profiler.measure.records import ClientTokens, Record, TokenParts, Usage

Kind = Literal["text", "int", "float", "bool"]
Cell = str | int | float | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table's name, its columns, and how a record becomes a row of them."""

    name: str
    columns: tuple[tuple[str, Kind], ...]
    kind: type[Interaction] | type[LlmCall] | type[ToolCall]
    row: Callable[[Run, Any], tuple[Cell, ...]]


def rows_of(table: Table, records: Iterable[Record]) -> Iterator[tuple[Cell, ...]]:
    """Yield the rows of one journal, warm-up included, in the order in which it was written."""
    run: Run | None = None
    for record in records:
        if isinstance(record, Run):
            run = record
        elif run is not None and isinstance(record, table.kind):
            yield table.row(run, record)


def unix_ns(run: Run, at_ns: int | None) -> int | None:
    """Return an instant of the harness's clock as nanoseconds since 1970."""
    return None if at_ns is None else run.started_wall_ns + at_ns - run.started_monotonic_ns


def _between_s(start_ns: int | None, end_ns: int | None) -> float | None:
    if start_ns is None or end_ns is None:
        return None
    return (end_ns - start_ns) / NS_PER_S


_USAGE_COLUMNS: tuple[tuple[str, Kind], ...] = tuple(
    (name, "int")
    for name in (
        *("input_tokens", "output_tokens", "cached_input_tokens"),
        *("cache_write_tokens", "reasoning_tokens"),
    )
)


def _usage(usage: Usage | None) -> tuple[int | None, ...]:
    return tuple(None if usage is None else getattr(usage, name) for name, _ in _USAGE_COLUMNS)


_INTERACTION_COLUMNS: tuple[tuple[str, Kind], ...] = (
    ("run", "text"),
    ("trace_id", "text"),
    ("session", "text"),
    ("session_index", "int"),
    ("scenario", "text"),
    ("conversation", "text"),
    ("turn", "int"),
    ("last_turn", "bool"),
    ("phase", "text"),
    ("think_time_s", "float"),
    ("intended_start_unix_ns", "int"),
    ("send_unix_ns", "int"),
    ("end_unix_ns", "int"),
    ("latency_s", "float"),
    ("scheduled_latency_s", "float"),
    ("dispatch_delay_s", "float"),
    ("time_to_first_byte_s", "float"),
    ("time_to_first_token_s", "float"),
    ("outcome", "text"),
    ("error_kind", "text"),
    ("error_detail", "text"),
    ("http_status", "int"),
    ("response_bytes", "int"),
    ("reconnects", "int"),
    *((f"counted_{name}_tokens", "int") for name in ("user", "history", "output")),
    *_USAGE_COLUMNS,
)


def _counted(counted: ClientTokens | None) -> tuple[int | None, ...]:
    return (None,) * 3 if counted is None else (counted.user, counted.history, counted.output)


def _interaction(run: Run, record: Interaction) -> tuple[Cell, ...]:
    think_ns = record.think_time_ns
    return (
        run.run_id,
        record.trace_id,
        record.session,
        record.session_index,
        record.scenario,
        record.conversation,
        record.turn,
        record.last_turn,
        record.phase.value,
        None if think_ns is None else think_ns / NS_PER_S,
        unix_ns(run, record.intended_start_ns),
        unix_ns(run, record.send_ns),
        unix_ns(run, record.end_ns),
        _between_s(record.send_ns, record.end_ns),
        _between_s(record.intended_start_ns, record.end_ns),
        _between_s(record.intended_start_ns, record.send_ns),
        _between_s(record.send_ns, record.first_byte_ns),
        _between_s(record.send_ns, record.first_token_ns),
        record.outcome.value,
        record.error_kind,
        record.error_detail,
        record.http_status,
        record.response_bytes,
        record.reconnects,
        *_counted(record.counted),
        *_usage(record.usage),
    )


_WHERE: tuple[tuple[str, Kind], ...] = (
    ("run", "text"),
    ("trace_id", "text"),
    ("observer", "text"),
    ("clock", "text"),
    ("start_unix_ns", "int"),
    ("start_in_interaction_s", "float"),
    ("duration_s", "float"),
    ("outcome", "text"),
)


def _where(run: Run, record: LlmCall | ToolCall) -> tuple[Cell, ...]:
    on_harness = record.clock is Timeline.HARNESS
    start_ns = record.start_ns
    return (
        run.run_id,
        record.trace_id,
        record.observer.value,
        record.clock.value,
        unix_ns(run, start_ns) if on_harness else None,
        None if on_harness or start_ns is None else start_ns / NS_PER_S,
        _between_s(start_ns, record.end_ns),
        record.outcome.value,
    )


_PARTS = ("system", "tool_schemas", "history", "user", "tool_results", "overhead")
_LLM_CALL_COLUMNS: tuple[tuple[str, Kind], ...] = (
    *_WHERE,
    ("model", "text"),
    ("api", "text"),
    ("time_to_first_token_s", "float"),
    ("attempts", "int"),
    ("http_status", "int"),
    ("attribution", "text"),
    ("tool_calls", "text"),
    *((f"counted_{name}_tokens", "int") for name in _PARTS),
    ("counted_output_tokens", "int"),
    *_USAGE_COLUMNS,
)


def _parts(parts: TokenParts | None) -> tuple[int | None, ...]:
    return tuple(None if parts is None else getattr(parts, name) for name in _PARTS)


def _llm_call(run: Run, record: LlmCall) -> tuple[Cell, ...]:
    return (
        *_where(run, record),
        record.model,
        record.api,
        _between_s(record.start_ns, record.first_token_ns),
        record.attempts,
        record.http_status,
        None if record.attribution is None else record.attribution.value,
        None if record.tool_calls is None else "+".join(record.tool_calls),
        *_parts(record.tokens),
        record.counted_output,
        *_usage(record.usage),
    )


def _tool_call(run: Run, record: ToolCall) -> tuple[Cell, ...]:
    return (*_where(run, record), record.name)


TABLES = (
    Table(name="interactions", columns=_INTERACTION_COLUMNS, kind=Interaction, row=_interaction),
    Table(name="llm_calls", columns=_LLM_CALL_COLUMNS, kind=LlmCall, row=_llm_call),
    Table(name="tool_calls", columns=(*_WHERE, ("tool", "text")), kind=ToolCall, row=_tool_call),
)
