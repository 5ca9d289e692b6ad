"""What each observer saw of each measured interaction: metric -> observer -> one value a row.

How an interaction that an observer says nothing of is told from one in which nothing happened: an
observer *saw* an interaction if any call or operation of it bears its trace id. Of an interaction
that it saw,

- an observer that reported an LLM call anywhere in the run means 0 LLM calls by reporting none;
- `response` and `otel`, which report tools, mean 0 tool calls by reporting none; a gateway, which
  cannot see tools run, means nothing;
- state operations are 0 only where the observer says so (`count` 0).

An interaction that nobody saw (refused, or no answer came) is not observed: the coverage tells.

A sum over an interaction's LLM calls is observed if every call that succeeded has the number; a
call that failed without usage cost no tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from profiler.measure.records import Observer, StateKind
from profiler.profile.columns import MISSING, STATE_KINDS, Columns, Flags, Ints, Table
from profiler.profile.metrics import TOKEN_PARTS, USAGE

if TYPE_CHECKING:
    from collections.abc import Mapping

ByObserver = dict[str, Ints]
TOOL_OBSERVERS = frozenset({Observer.OTEL, Observer.RESPONSE})
_CLIENT = Observer.CLIENT.value
_NS_PER_US = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The measured interactions, in journal order: N of them."""

    size: int
    row_of_trace: Ints
    """Row of each trace; -1: its interaction never ended; -2: it was warm-up."""
    session: Ints
    ok: Flags
    rows: Ints
    """Which rows of `Columns.interactions` they are."""


def measured_interactions(columns: Columns) -> Measured:
    """Find the interactions that count: those of phase `measure`."""
    table = columns.interactions
    rows = np.flatnonzero(table["measured"])
    row_of_trace = np.full(len(columns.traces), -1, dtype=np.int64)
    row_of_trace[table["trace"]] = -2
    row_of_trace[table["trace"][rows]] = np.arange(rows.size)
    return Measured(
        size=rows.size,
        row_of_trace=row_of_trace,
        session=table["session"][rows],
        ok=table["ok"][rows] == 1,
        rows=rows,
    )


def difference_us(end_ns: Ints, start_ns: Ints) -> Ints:
    """Return end - start in microseconds, to the nearest; MISSING where either is."""
    known = (end_ns != MISSING) & (start_ns != MISSING)
    result = np.full(end_ns.size, MISSING, dtype=np.int64)
    result[known] = (end_ns[known] - start_ns[known] + _NS_PER_US // 2) // _NS_PER_US
    return result


def interaction_values(columns: Columns, measured: Measured) -> dict[str, ByObserver]:
    """Return each metric as each observer saw it, in integers of the histogram's unit."""
    found: dict[str, ByObserver] = {
        name: {_CLIENT: values} for name, values in _client_values(columns, measured).items()
    }
    seen = _seen(columns, measured)
    spans: dict[str, list[Table]] = {}
    for observer, table in columns.llm_calls.items():
        calls = _CallsOf(table, measured)
        if calls.rows.size:
            spans.setdefault(observer, []).append(table)
            _add(found, observer, _llm_values(calls, seen[observer]))
    for observer, saw in seen.items():
        tools = columns.tool_calls.get(observer)
        if tools is not None or observer in TOOL_OBSERVERS:
            _add(found, observer, _tool_values(tools, measured, saw))
            if tools is not None:
                spans.setdefault(observer, []).append(tools)
    for observer, table in columns.state_ops.items():
        _add(found, observer, _state_values(table, measured))
    for observer, timed in spans.items():
        if observer in TOOL_OBSERVERS:
            own = _own_time(found, timed, columns, measured, observer)
            _add(found, observer, {"own_time": own})
    return _without_unobserved(found)


def _add(found: dict[str, ByObserver], observer: str, values: Mapping[str, Ints]) -> None:
    for name, column in values.items():
        found.setdefault(name, {})[str(observer)] = column


def _without_unobserved(found: dict[str, ByObserver]) -> dict[str, ByObserver]:
    kept: dict[str, ByObserver] = {}
    for name, by_observer in found.items():
        observed = {who: v for who, v in by_observer.items() if (v != MISSING).any()}
        if observed:
            kept[name] = observed
    return kept


def _client_values(columns: Columns, measured: Measured) -> dict[str, Ints]:
    column = {
        name: columns.interactions[name][measured.rows]
        for name in (
            *("intended_start_ns", "send_ns", "first_token_ns", "last_token_ns", "end_ns"),
            *("client_user_tokens", "client_history_tokens", "client_output_tokens", *USAGE),
        )
    }
    send, end, intended = column["send_ns"], column["end_ns"], column["intended_start_ns"]
    latency = difference_us(end, send)
    values = {
        "latency": latency,
        "latency_failed": latency,
        "scheduled_latency": difference_us(end, intended),
        "dispatch_delay": difference_us(send, intended),
        "time_to_first_token": difference_us(column["first_token_ns"], send),
        "inter_token_latency": _inter_token_us(
            difference_us(column["last_token_ns"], column["first_token_ns"]),
            column["client_output_tokens"],
        ),
    }
    for name in ("client_user_tokens", "client_history_tokens", "client_output_tokens", *USAGE):
        values[name] = column[name]
    return values


def _inter_token_us(stream_us: Ints, output_tokens: Ints) -> Ints:
    known = (stream_us != MISSING) & (output_tokens >= 2)  # noqa: PLR2004 - a gap needs two tokens
    result = np.full(stream_us.size, MISSING, dtype=np.int64)
    gaps = output_tokens[known] - 1
    result[known] = (stream_us[known] + gaps // 2) // gaps
    return result


def _seen(columns: Columns, measured: Measured) -> dict[str, Flags]:
    """Return which interactions each observer said anything of."""
    seen: dict[str, Flags] = {}
    for tables in (columns.llm_calls, columns.tool_calls, columns.state_ops):
        for observer, table in tables.items():
            flags = seen.setdefault(observer, np.zeros(measured.size, dtype=np.bool_))
            rows = measured.row_of_trace[table["trace"]]
            flags[rows[rows >= 0]] = True
    return seen


class _CallsOf:
    """The calls of a table that belong to measured interactions, and the row of each."""

    def __init__(self, table: Table, measured: Measured) -> None:
        rows = measured.row_of_trace[table["trace"]]
        self._kept = rows >= 0
        self.rows: Ints = rows[self._kept]
        self._table = table
        self._size = measured.size
        self.ok = self["ok"] == 1

    def __getitem__(self, name: str) -> Ints:
        return self._table[name][self._kept]

    def duration_us(self) -> Ints:
        return difference_us(self["end_ns"], self["start_ns"])

    def count(self, which: Flags) -> Ints:
        """Return how many of the calls chosen each interaction has."""
        return np.bincount(self.rows[which], minlength=self._size)

    def total(self, values: Ints, saw: Flags, required: Flags) -> Ints:
        """Sum a number over each interaction's calls; MISSING unless seen, and all `required`."""
        known = values != MISSING
        result = np.zeros(self._size, dtype=np.int64)
        np.add.at(result, self.rows[known], values[known])
        result[~saw | (self.count(required & ~known) > 0)] = MISSING
        if known.size and not known.any():
            result[:] = MISSING
        return result


def _llm_values(calls: _CallsOf, saw: Flags) -> dict[str, Ints]:
    everything = np.ones(calls.rows.size, dtype=np.bool_)
    number = calls.count(everything)
    values = {
        "llm_calls": np.where(saw, number, MISSING),
        "attempts": calls.total(calls["attempts"], saw, everything),
        "llm_time": calls.total(calls.duration_us(), saw, everything),
    }
    for name in USAGE:
        values[name] = calls.total(calls[name], saw, calls.ok)
    for name, part in TOKEN_PARTS.items():
        values[name] = calls.total(calls[part], saw, calls.ok)
    parts = np.stack([calls[part] for part in TOKEN_PARTS.values()])
    known = parts != MISSING
    counted = np.where(known.any(axis=0), np.where(known, parts, 0).sum(axis=0), MISSING)
    values["counted_input_tokens"] = calls.total(counted, saw, calls.ok)
    return values


def _tool_values(table: Table | None, measured: Measured, saw: Flags) -> dict[str, Ints]:
    if table is None:
        zero = np.where(saw, 0, MISSING)
        return {"tool_calls": zero, "tool_time": zero}
    calls = _CallsOf(table, measured)
    everything = np.ones(calls.rows.size, dtype=np.bool_)
    return {
        "tool_calls": np.where(saw, calls.count(everything), MISSING),
        "tool_time": calls.total(calls.duration_us(), saw, everything),
    }


def _state_values(table: Table, measured: Measured) -> dict[str, Ints]:
    return {
        "state_reads": state_totals(table, measured, kind=StateKind.READ),
        "state_writes": state_totals(table, measured, kind=StateKind.WRITE),
    }


def state_totals(
    table: Table, measured: Measured, *, kind: StateKind, store: int | None = None
) -> Ints:
    """Return operations of one kind per interaction, on one store or on all; MISSING: not said."""
    rows = measured.row_of_trace[table["trace"]]
    chosen = (rows >= 0) & (table["kind"] == STATE_KINDS.index(kind))
    if store is not None:
        chosen &= table["store"] == store
    result = np.full(measured.size, MISSING, dtype=np.int64)
    result[rows[chosen]] = 0
    np.add.at(result, rows[chosen], table["count"][chosen])
    return result


def _own_time(
    found: dict[str, ByObserver],
    tables: list[Table],
    columns: Columns,
    measured: Measured,
    observer: str,
) -> Ints:
    """Return latency minus the time in which an LLM or tool call was open, in microseconds.

    Only where one observer timed both kinds of call, so that the intervals are on one clock. Calls
    may overlap: time is counted once. Never below zero, though the agent's clock may differ.
    """
    timed = np.ones(measured.size, dtype=np.bool_)
    for name in ("llm_time", "tool_time"):
        values = found.get(name, {}).get(observer)
        timed &= (values != MISSING) if values is not None else False
    busy_ns = _busy_ns(tables, measured)
    send, end = (columns.interactions[name][measured.rows] for name in ("send_ns", "end_ns"))
    own_us = (np.maximum(end - send - busy_ns, 0) + _NS_PER_US // 2) // _NS_PER_US
    return np.where(timed, own_us, MISSING)


def _busy_ns(tables: list[Table], measured: Measured) -> Ints:
    """Return the length of the union of all intervals of each interaction, in nanoseconds."""
    intervals: list[tuple[int, int, int]] = []
    for table in tables:
        calls = _CallsOf(table, measured)
        start, end = calls["start_ns"], calls["end_ns"]
        known = (start != MISSING) & (end != MISSING)
        columns = (calls.rows[known], start[known], end[known])
        intervals += zip(*(column.tolist() for column in columns), strict=True)
    intervals.sort()
    busy = np.zeros(measured.size, dtype=np.int64)
    for row, group in groupby(intervals, key=lambda interval: interval[0]):
        covered = None
        for _, start_ns, end_ns in group:
            begin = start_ns if covered is None else max(start_ns, covered)
            if end_ns > begin:
                busy[row] += end_ns - begin
            covered = end_ns if covered is None else max(covered, end_ns)
    return busy
