"""What each observer saw of one measured interaction: one value for each metric.

How an interaction that an observer says nothing of is told from one in which nothing happened: an
observer *saw* an interaction if any call or operation of it bears its trace id. Of an interaction
that it saw,

- an observer that reported an LLM call anywhere in the run means 0 LLM calls by reporting none; so
  does one that says that it watched the interaction (`Watched`), even if there was none in the run;
- `response` and `otel`, which report tools, mean 0 tool calls by reporting none, unless all they
  ever said is that they saw no tool call (`Watched` without LLM calls): perhaps the agent never
  shows any; or that they see none (`Watched` without tool calls); a gateway, which cannot see tools
  run, means nothing;
- state operations are 0 only where the observer says so (`count` 0).

An interaction that nobody saw (refused, or no answer came) is not observed: the coverage tells.

A sum over an interaction's LLM calls is observed if every call that succeeded has the number; a
call that failed without usage cost no tokens. A number that no call of the whole run has is not
observed at all, not even where there was no call. Where an observer that watched saw no call in the
whole run, its calls, attempts, LLM time, input and output are 0; the finer numbers are left out.

What depends on the whole run (did the observer ever report an LLM call? does any call have the
number?) is known only at its end. Until then every value is taken as if it were so, and `Told`
remembers what a metric needs to be believed.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING

from profiler.measure.records import Observer, StateKind
from profiler.profile.metrics import TOKEN_PARTS, USAGE
from profiler.profile.rows import (
    CALL_ATTEMPTS,
    CALL_END,
    CALL_FIRST,
    CALL_LAST_START,
    CALL_OK,
    CALL_PARTS,
    CALL_START,
    CALL_USAGE,
    MISSING,
    STATE_KINDS,
    difference_us,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from profiler.profile.joining import Inside
    from profiler.profile.rows import Row

TOOL_OBSERVERS = frozenset({Observer.OTEL.value, Observer.RESPONSE.value})

CLIENT_METRICS = (
    *("latency", "latency_failed", "scheduled_latency", "dispatch_delay", "time_to_first_token"),
    *("inter_token_latency", "client_user_tokens", "client_history_tokens", "client_output_tokens"),
    *USAGE,
)
_SUMMED = (*USAGE, *TOKEN_PARTS)
LLM_METRICS = ("llm_calls", "attempts", "llm_time", *_SUMMED, "counted_input_tokens")
INSIDE_METRICS = (
    *(*LLM_METRICS, "tool_calls", "tool_time"),
    *("state_reads", "state_writes", "own_time"),
)
CALL_METRICS_IN_ORDER = (
    *("latency", "time_to_first_token", "output_tokens_per_second", "attempts", "retry_time"),
    *USAGE,
)
_ZERO_WITHOUT_ANY_CALL = frozenset(
    ("llm_calls", "attempts", "llm_time", "input_tokens", "output_tokens")
)

_NOTHING = (0,) * len(LLM_METRICS)
_NOT_SAID = (MISSING, MISSING)
_NS_PER_US = 1000
_RATE = 1_000_000 * 1000
"""Thousandths of a token per second, from tokens per microsecond."""

_TOKENS = slice(CALL_USAGE.start, CALL_PARTS.stop)
_TOOL_START, _TOOL_END = 2, 3
_READ, _WRITE = STATE_KINDS.index(StateKind.READ), STATE_KINDS.index(StateKind.WRITE)


class Told:
    """What one observer has told so far of all measured interactions that it saw."""

    def __init__(self) -> None:
        self.llm_calls = self.tool_calls = 0
        self.watched = self.said = False
        self.numbers: set[str] = set()
        """The metrics that any call had a number for."""

    def is_believed(self, metric: str, observer: str, *, watches_tools: bool) -> bool:
        """Tell, at the end, whether the values of a metric mean what they say.

        `watches_tools`: whether the observer reported a tool call anywhere in the run.
        """
        if metric == "own_time":
            return observer in TOOL_OBSERVERS and all(
                self.is_believed(part, observer, watches_tools=watches_tools)
                for part in ("llm_time", "tool_time")
            )
        if metric in LLM_METRICS:
            if not self.llm_calls:
                return self.watched and metric in _ZERO_WITHOUT_ANY_CALL
            return metric == "llm_calls" or metric in self.numbers
        if metric in ("tool_calls", "tool_time"):
            watches = watches_tools or (self.said and observer in TOOL_OBSERVERS)
            untimed = metric == "tool_time" and self.tool_calls and metric not in self.numbers
            return watches and not untimed
        return True


def client_values(row: Row) -> list[int]:
    """Return the values of `CLIENT_METRICS` of an interaction's row."""
    _, _, _, _, _, intended, send, first, last, end, user, history, output, *usage = row
    latency = difference_us(end, send)
    gap = MISSING
    if output >= 2 and MISSING not in (first, last):  # noqa: PLR2004 - a gap needs two
        gaps = output - 1
        gap = (difference_us(last, first) + gaps // 2) // gaps
    scheduled, delay = MISSING, MISSING
    if intended != MISSING:
        scheduled, delay = difference_us(end, intended), difference_us(send, intended)
    return [
        *(latency, latency, scheduled, delay, difference_us(first, send), gap),
        *(user, history, output, *usage),
    ]


def inside_values(inside: Inside, told: Told, own_of_ns: int | None) -> list[int]:
    """Return the values of `INSIDE_METRICS` of what an observer saw.

    `own_of_ns` is the interaction's length where calls of both kinds are on one clock, else None.
    """
    calls, tools = inside.llm_calls, inside.tool_calls
    told.watched = told.watched or inside.watched
    if not inside.is_blind_to_tools:
        told.said = told.said or inside.watched or inside.events > 0
    values = _llm_values(calls, told) if calls else list(_NOTHING)
    tool_time = 0
    if tools:
        told.tool_calls += len(tools)
        durations = [difference_us(tool[_TOOL_END], tool[_TOOL_START]) for tool in tools]
        tool_time = _total("tool_time", durations, None, told)
    values += (len(tools), tool_time)
    values += _state_values(inside.state_ops) if inside.state_ops else _NOT_SAID
    own = MISSING
    if own_of_ns is not None and MISSING not in (values[2], tool_time):
        own = (max(own_of_ns - _busy_ns(calls, tools), 0) + _NS_PER_US // 2) // _NS_PER_US
    values.append(own)
    return values


def _llm_values(calls: list[Row], told: Told) -> list[int]:
    told.llm_calls += len(calls)
    columns = list(zip(*calls, strict=True))
    succeeded = columns[CALL_OK]
    durations = list(map(difference_us, columns[CALL_END], columns[CALL_START]))
    values = [
        len(calls),
        _total("attempts", columns[CALL_ATTEMPTS], None, told),
        _total("llm_time", durations, None, told),
    ]
    for name, column in zip(_SUMMED, columns[_TOKENS], strict=True):
        values.append(_total(name, column, succeeded, told))
    counted = [_sum_of_known(call[CALL_PARTS]) for call in calls]
    values.append(_total("counted_input_tokens", counted, succeeded, told))
    return values


def _sum_of_known(parts: Row) -> int:
    if MISSING not in parts:
        return sum(parts)
    known = [part for part in parts if part != MISSING]
    return sum(known) if known else MISSING


def _total(metric: str, column: Sequence[int], required: Sequence[int] | None, told: Told) -> int:
    """Sum what is known; MISSING if a call that is required (None: every one) has no number."""
    if MISSING not in column:
        told.numbers.add(metric)
        return sum(column)
    known = [cell for cell in column if cell != MISSING]
    if not known:  # most often what this provider never reports
        return MISSING if required is None or any(required) else 0
    told.numbers.add(metric)
    if required is None or any(
        needed and cell == MISSING for needed, cell in zip(required, column, strict=True)
    ):
        return MISSING
    return sum(known)


def _state_values(ops: list[Row]) -> list[int]:
    """Return reads and writes on all stores."""
    totals = [MISSING, MISSING]
    for _, kind, count in ops:
        if kind in (_READ, _WRITE):
            place = 0 if kind == _READ else 1
            totals[place] = count + (0 if totals[place] == MISSING else totals[place])
    return totals


def _busy_ns(calls: list[Row], tools: list[Row]) -> int:
    """Return the length of the union of all intervals, in nanoseconds: time is counted once."""
    intervals = [(call[CALL_START], call[CALL_END]) for call in calls]
    intervals += [(tool[_TOOL_START], tool[_TOOL_END]) for tool in tools]
    busy, covered = 0, MISSING
    for start, end in sorted(intervals, key=itemgetter(0)):
        begin = max(start, covered)
        if end > begin:
            busy += end - begin
        covered = max(end, covered)
    return busy


def call_values(call: Row) -> list[int]:
    """Return the values of `CALL_METRICS_IN_ORDER` of one LLM call."""
    start, end, last_start = call[CALL_START], call[CALL_END], call[CALL_LAST_START]
    latency = difference_us(end, start)
    attempts, usage = call[CALL_ATTEMPTS], call[CALL_USAGE]
    retry_time = difference_us(last_start, start)
    if last_start == MISSING and attempts == 1:
        retry_time = 0
    answering = latency if last_start == MISSING else difference_us(end, last_start)
    output, rate = usage[1], MISSING
    if output != MISSING and answering > 0:
        rate = (output * _RATE + answering // 2) // answering
    first = difference_us(call[CALL_FIRST], start)
    return [latency, first, rate, attempts, retry_time, *usage]
