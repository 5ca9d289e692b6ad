"""What a profile does not keep and a report shows: the run over time, and inside of interactions.

Of the journal beside a profile, in one reading. What is kept of every interaction is 24 bytes; the
rest is of those only that are in the profile's joint sample.
"""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from profiler.clock import NS_PER_S
from profiler.measure.journal import read_journal
from profiler.measure.records import (
    DriverSample,
    Interaction,
    LlmCall,
    Outcome,
    Phase,
    Run,
    Timeline,
    ToolCall,
)
from profiler.profile.joint import row_key
from profiler.profile.metrics import TOKEN_PARTS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from profiler.measure.records import Record
    from profiler.profile.model import WorkloadProfile

_MOST_SLICES = 60
_EVENTS = frozenset({"interaction", "llm_call", "tool_call", "driver"})
_WANTED = 25
"""Interactions in a slice, on average: enough for a p95 of each."""
_SLICES_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200, 86_400)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """The measured interactions that were sent within one slice of time."""

    at_s: float
    """Its middle, since the first was sent."""
    ended: int
    failed: int
    latency_p50_s: float | None
    latency_p95_s: float | None
    """Of those that succeeded; None: too few of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HarnessPoint:
    """The harness watching itself, in one second."""

    at_s: float
    in_flight: int
    loop_lag_s: float
    cpu_share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnTokens:
    """Counted input tokens by part, on average of the sampled interactions of one turn."""

    turn: int
    interactions: int
    parts: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSpan:
    """One execution of a tool: from when on after the interaction's start, and how long."""

    name: str
    start_s: float
    duration_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTimeline:
    """A run over time, and the inside of the interactions in its profile's joint sample."""

    slice_s: int
    slices: tuple[Slice, ...]
    harness: tuple[HarnessPoint, ...]
    turns: tuple[TurnTokens, ...]
    tools: dict[int, tuple[ToolSpan, ...]]
    """By the interaction's key in `joint`."""


@dataclass(slots=True)
class _Parts:
    """Sums over interactions of one turn."""

    interactions: int = 0
    sums: Counter[str] = field(default_factory=Counter)


def run_timeline(profile: WorkloadProfile, journals: Iterable[Path]) -> RunTimeline | None:
    """Read the journals of a profile; None where none of them is of one of its runs.

    Raises `JournalError` for a file that is no journal or is damaged.
    """
    reading = _Reading(profile)
    for journal in journals:
        reading.read(read_journal(journal, _EVENTS))
    return reading.result() if reading.sent else None


class _Reading:
    """Takes records of one journal after the other; times become wall clock, ns."""

    def __init__(self, profile: WorkloadProfile) -> None:
        columns = profile.joint.columns
        place = columns.index("key")
        self._keys = frozenset(row[place] for row in profile.joint.rows)
        self._runs = frozenset(part.id for part in profile.run.parts)
        self._calls_by = _sources(profile, "counted_input_tokens")
        self._tools_by = _sources(profile, "tool_time")
        self.sent = array("q")
        self._latency = array("q")
        self._failed = bytearray()
        self._drivers: list[tuple[int, DriverSample]] = []
        self._turn: dict[int, tuple[int, int]] = {}  # key: turn and when it was sent
        self._parts: dict[int, Counter[str]] = {}
        self._tools: dict[int, list[ToolCall]] = {}

    def read(self, records: Iterable[Record]) -> None:
        """Take a journal, if it is of one of the profile's runs."""
        run, to_wall_ns = "", 0
        for record in records:
            match record:
                case Run():
                    if record.run_id not in self._runs:
                        return
                    run = record.run_id
                    to_wall_ns = record.started_wall_ns - record.started_monotonic_ns
                case Interaction() if record.phase is Phase.MEASURE:
                    self._take(record, row_key(run, record.trace_id), to_wall_ns)
                case LlmCall() if record.observer in self._calls_by:
                    self._take_call(record, row_key(run, record.trace_id))
                case ToolCall() if record.observer in self._tools_by:
                    key = row_key(run, record.trace_id)
                    if key in self._keys:
                        self._tools.setdefault(key, []).append(record)
                case DriverSample():
                    self._drivers.append((record.at_ns + to_wall_ns, record))
                case _:
                    pass

    def _take(self, record: Interaction, key: int, to_wall_ns: int) -> None:
        self.sent.append(record.send_ns + to_wall_ns)
        self._latency.append(record.end_ns - record.send_ns)
        self._failed.append(record.outcome is not Outcome.OK)
        if key in self._keys:
            self._turn[key] = record.turn, record.send_ns

    def _take_call(self, call: LlmCall, key: int) -> None:
        if call.tokens is None or key not in self._keys:
            return
        sums = self._parts.setdefault(key, Counter())
        for metric, name in TOKEN_PARTS.items():
            sums[metric] += getattr(call.tokens, name) or 0

    def result(self) -> RunTimeline:
        """Sum up all that was taken."""
        first_ns, last_ns = min(self.sent), max(self.sent)
        slice_s = slice_seconds((last_ns - first_ns) / NS_PER_S, len(self.sent))
        return RunTimeline(
            slice_s=slice_s,
            slices=tuple(self._slices(first_ns, slice_s * NS_PER_S)),
            harness=tuple(
                HarnessPoint(
                    at_s=(at_ns - first_ns) / NS_PER_S,
                    in_flight=sample.in_flight,
                    loop_lag_s=sample.loop_lag_max_ns / NS_PER_S,
                    cpu_share=sample.cpu_share,
                )
                for at_ns, sample in sorted(self._drivers, key=lambda each: each[0])
                if at_ns >= first_ns
            ),
            turns=tuple(self._turns()),
            tools={
                key: tuple(_spans(calls, self._turn[key][1]))
                for key, calls in self._tools.items()
                if key in self._turn
            },
        )

    def _slices(self, first_ns: int, slice_ns: int) -> Iterable[Slice]:
        times: dict[int, list[int]] = {}
        failed: Counter[int] = Counter()
        for sent_ns, latency_ns, is_failed in zip(
            self.sent, self._latency, self._failed, strict=True
        ):
            number = (sent_ns - first_ns) // slice_ns
            of_slice = times.setdefault(number, [])
            if is_failed:
                failed[number] += 1
            else:
                of_slice.append(latency_ns)
        for number in range(max(times) + 1):
            latencies = sorted(times.get(number, ()))
            yield Slice(
                at_s=(number + 0.5) * slice_ns / NS_PER_S,
                ended=len(latencies) + failed[number],
                failed=failed[number],
                latency_p50_s=nearest_rank_s(latencies, 50),
                latency_p95_s=nearest_rank_s(latencies, 95),
            )

    def _turns(self) -> Iterable[TurnTokens]:
        of_turns: dict[int, _Parts] = {}
        for key, sums in self._parts.items():
            if key in self._turn:
                found = of_turns.setdefault(self._turn[key][0], _Parts())
                found.interactions += 1
                found.sums.update(sums)
        for turn, found in sorted(of_turns.items()):
            means = {metric: found.sums[metric] / found.interactions for metric in TOKEN_PARTS}
            yield TurnTokens(turn=turn, interactions=found.interactions, parts=means)


def slice_seconds(span_s: float, count: int) -> int:
    """Return how long slices are, in a number of seconds that people count in.

    60 hold the span at most, and hold about 25 of `count` interactions each.
    """
    most = max(1, min(_MOST_SLICES, count // _WANTED))
    return next((s for s in _SLICES_S if s * most >= span_s), -(-int(span_s) // most))


def nearest_rank_s(sorted_ns: list[int], percent: int) -> float | None:
    """Return a percentile of sorted times, in seconds; None of fewer than 1 / (1 - p) values."""
    count = len(sorted_ns)
    if count * (100 - percent) < 100:  # noqa: PLR2004 - percent
        return None
    return sorted_ns[-(-percent * count // 100) - 1] / NS_PER_S


def _sources(profile: WorkloadProfile, metric: str) -> frozenset[str]:
    found = profile.interaction.get(metric)
    return frozenset() if found is None else frozenset(found.source.split("+"))


def _spans(calls: Iterable[ToolCall], send_ns: int) -> Iterable[ToolSpan]:
    for call in calls:
        if call.start_ns is not None and call.end_ns is not None:
            # What the agent timed counts from the interaction's start, as in `joint_calls`.
            origin_ns = 0 if call.clock is Timeline.AGENT else send_ns
            yield ToolSpan(
                name=call.name,
                start_s=(call.start_ns - origin_ns) / NS_PER_S,
                duration_s=(call.end_ns - call.start_ns) / NS_PER_S,
            )
