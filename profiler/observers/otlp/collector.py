"""Keeps the spans of each interaction until it may be written, and writes it.

Spans come up to some seconds late and in any order. An interaction whose trace is complete is
written when it has been over for the hold time; one that is not waits for the end of the run. That
the last leaf of a trace has come cannot be known: hence the hold, and a quiet moment at the end.
What is kept of a span is small, and how many are kept is limited: the oldest interactions go first.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import anyio

from profiler.clock import NS_PER_S, seconds_to_ns
from profiler.measure.records import Observer, StateKind, StateOp, Watched
from profiler.observers.otlp.assemble import assemble
from profiler.observers.otlp.notes import Notes
from profiler.observers.otlp.seen import AgentRun, Inference, Sighting, ToolRun
from profiler.observers.otlp.tree import Tree, complete_root

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from profiler.clock import ClockAnchor, MonotonicNs
    from profiler.observers.in_flight import InFlight

MAX_SPANS = 400_000
MAX_SPANS_OF_TRACE = 20_000
MAX_STRANGERS = 100_000
MAX_OVERDUE = 20_000
_HOLD_S = 6.0
_TICK_S = 0.25
_SKEW_NS = 50_000_000
_SETTLE_NS = 300_000_000
_NEAR_NS = 50_000_000
_OF_AN_AGENT = (Inference, ToolRun, AgentRun)


class Arrived(NamedTuple):
    """A span that came in, and the trace it belongs to."""

    trace_id: str
    sighting: Sighting


@dataclass(slots=True)
class _Open:
    """An interaction that is not yet written; the window is its own, on the harness's clock.

    `complete`: every parent that is named has come. `sure`: and the root is the agent's, not that
    of a service behind it, whose spans came first. The agent's span is about as long as the window,
    or at least ends with it: before it there may be a queue.
    """

    spans: dict[str, Sighting] = field(default_factory=dict)
    send_ns: int | None = None
    end_ns: int | None = None
    complete: bool = False
    sure: bool = False

    def judge(self, anchor: ClockAnchor) -> None:
        if self.send_ns is None or self.end_ns is None:
            return
        window_ns = self.end_ns - self.send_ns
        root = complete_root(self.spans, window_ns)
        self.complete = root is not None
        if root is None:
            self.sure = False
            return
        apart_ns = abs(anchor.monotonic_at(root.end_ns) - self.end_ns)
        self.sure = (root.end_ns - root.start_ns) * 2 >= window_ns or apart_ns <= max(
            _NEAR_NS, window_ns // 10
        )


@dataclass(slots=True)
class _Totals:
    """What the whole run showed, for what is only known at its end. Ids are kept as bytes."""

    calls: int = 0
    stores: set[str] = field(default_factory=set)
    of_trace: dict[bytes, frozenset[str]] = field(default_factory=dict)
    silent: set[bytes] = field(default_factory=set)
    offsets_ns: list[int] = field(default_factory=list)


class Collector:
    """Takes spans and the ends of interactions; writes records. One event loop."""

    def __init__(
        self,
        *,
        record: Callable[..., None],
        in_flight: InFlight,
        anchor: ClockAnchor,
        clock: MonotonicNs,
        hold_s: float = _HOLD_S,
        max_spans: int = MAX_SPANS,
    ) -> None:
        self.notes = Notes()
        self._record = record
        self._in_flight = in_flight
        self._anchor = anchor
        self._clock = clock
        self._hold_ns = seconds_to_ns(hold_s)
        self._max_spans = max_spans
        self._open: dict[str, _Open] = {}
        self._due: list[tuple[int, str]] = []
        self._overdue: OrderedDict[str, None] = OrderedDict()
        self._held = 0
        self._strangers: dict[bytes, bool] = {}
        self._last_end_ns: int | None = None
        self._arrived_ns: int | None = None
        self._totals = _Totals()
        self._written: set[bytes] = set()
        self._arrived = anyio.Event()

    @property
    def spans_held(self) -> int:
        """How many spans are kept at the moment."""
        return self._held

    def add(self, arrived: Iterable[Arrived]) -> None:
        """Take spans in; those that are none of this run's are only counted."""
        touched: set[str] = set()
        for trace_id, sighting in arrived:
            if not self._in_flight.seen(trace_id):
                self._note_stranger(trace_id, sighting)
            elif bytes.fromhex(trace_id) in self._written:
                self.notes.add("late")
            else:
                self._keep(trace_id, sighting)
                touched.add(trace_id)
        for trace_id in touched:
            self._open[trace_id].judge(self._anchor)
            if trace_id in self._overdue and self._open[trace_id].sure:
                del self._overdue[trace_id]
                heapq.heappush(self._due, (self._clock() + _SETTLE_NS, trace_id))
        self._arrived_ns = self._clock()
        self._write_due()
        self._arrived.set()
        self._arrived = anyio.Event()

    def _keep(self, trace_id: str, sighting: Sighting) -> None:
        spans = self._open.setdefault(trace_id, _Open()).spans
        if sighting.span_id in spans:  # exporters repeat what they do not know to have arrived
            return
        if len(spans) >= MAX_SPANS_OF_TRACE or self._held >= self._max_spans:
            self.notes.add("overflow", example=f"First in trace {trace_id}")
            return
        spans[sighting.span_id] = sighting
        self._held += 1

    def _note_stranger(self, trace_id: str, sighting: Sighting) -> None:
        key = bytes.fromhex(trace_id)
        of_agent = isinstance(sighting.seen, _OF_AN_AGENT)
        if key in self._strangers:
            self._strangers[key] |= of_agent
        elif len(self._strangers) < MAX_STRANGERS:
            self._strangers[key] = of_agent
        else:
            self.notes.add("foreign_trace")  # spans now, for their traces cannot be told apart
            return
        if sighting.service:
            kind = "orphan_root" if of_agent else "foreign_trace"
            self.notes.example(kind, f"First from service {sighting.service[:80]!r}")

    def ended(self, trace_id: str, send_ns: int, end_ns: int) -> None:
        """Take note that an interaction is over; times on the harness's monotonic clock."""
        if bytes.fromhex(trace_id) in self._written:
            return
        interaction = self._open.setdefault(trace_id, _Open())
        interaction.send_ns, interaction.end_ns = send_ns, end_ns
        interaction.judge(self._anchor)
        heapq.heappush(self._due, (end_ns + self._hold_ns, trace_id))
        if self._last_end_ns is None or end_ns > self._last_end_ns:
            self._last_end_ns = end_ns
        self._write_due()

    def _write_due(self) -> None:
        """Write complete interactions whose hold time is over; under pressure the oldest at all."""
        now = self._clock()
        while self._due and self._due[0][0] <= now:
            _, trace_id = heapq.heappop(self._due)
            if trace_id not in self._open:
                continue  # told to have ended twice
            if self._open[trace_id].sure:
                self._write(trace_id)
            else:
                self._overdue[trace_id] = None
        while self._overdue and (
            self._held * 10 >= self._max_spans * 9 or len(self._overdue) > MAX_OVERDUE
        ):
            self._write(next(iter(self._overdue)))

    async def drain(
        self, grace_s: float, on_wait: Callable[[int, float], None] | None = None
    ) -> None:
        """Wait for what is missing, as long as `grace_s` after the last end; then write all."""
        grace_ns = seconds_to_ns(grace_s)
        last_ns = self._clock() if self._last_end_ns is None else self._last_end_ns
        deadline_ns = last_ns + grace_ns
        while (left_ns := deadline_ns - self._clock()) > 0:
            missing = self._missing(grace_ns)
            if missing == 0:
                left_ns = min(left_ns, self._unsettled_ns())
                if left_ns <= 0:
                    break
            if on_wait is not None:
                on_wait(missing, left_ns / NS_PER_S)
            with anyio.move_on_after(min(_TICK_S, left_ns / NS_PER_S)):
                await self._arrived.wait()
        for trace_id in list(self._open):
            self._write(trace_id)
        self._due.clear()
        self._conclude()

    def _unsettled_ns(self) -> int:
        """Return how much longer nothing must come before all may be taken to be there."""
        if self._arrived_ns is None:
            return 0
        return self._arrived_ns + _SETTLE_NS - self._clock()

    def _missing(self, grace_ns: int) -> int:
        """Return how many interactions are incomplete whose own grace is not over."""
        since_ns = self._clock() - grace_ns
        return sum(
            not interaction.sure
            for interaction in self._open.values()
            if interaction.end_ns is not None and interaction.end_ns > since_ns
        )

    def _write(self, trace_id: str) -> None:
        interaction = self._open.pop(trace_id)
        self._overdue.pop(trace_id, None)
        self._held -= len(interaction.spans)
        if interaction.end_ns is None:
            self.notes.add("cut_off")
            return
        self._written.add(bytes.fromhex(trace_id))
        if not interaction.spans:
            self.notes.add("no_spans")
            return
        if not interaction.complete:
            self.notes.add("incomplete", example=f"First: trace {trace_id}")
        tree = Tree(interaction.spans.values())
        self._note_offset(tree, interaction)
        made = assemble(trace_id, tree)
        self._record(*made.records)
        self.notes.add("no_attempts", made.without_attempts)
        self.notes.add("no_usage", made.without_usage)
        self.notes.add("requests_without_call", made.requests_without_call)
        self.notes.add("embeddings", made.embeddings)
        totals = self._totals
        totals.calls += made.calls
        totals.stores |= made.stores
        totals.of_trace[bytes.fromhex(trace_id)] = made.stores
        if interaction.complete and not made.records:
            totals.silent.add(bytes.fromhex(trace_id))

    def _note_offset(self, tree: Tree, interaction: _Open) -> None:
        """Estimate by how much the agent's clock is ahead, where the two do not agree.

        The server's span is within the interaction's window: that bounds the offset from both
        sides. A span that outlives the window (work after the answer) bounds it from above only.
        """
        root = tree.root
        if root is None or interaction.send_ns is None or interaction.end_ns is None:
            return
        most = self._anchor.monotonic_at(root.start_ns) - interaction.send_ns
        least = self._anchor.monotonic_at(root.end_ns) - interaction.end_ns
        if least <= most:
            offset_ns = 0 if least <= 0 <= most else (least + most) // 2
        else:
            window_ns = interaction.end_ns - interaction.send_ns
            offset_ns = most if most < 0 or most > window_ns else 0
        self._totals.offsets_ns.append(offset_ns)

    def _conclude(self) -> None:
        """Write what only the whole run could tell, and the notes."""
        totals = self._totals
        for key, stores in totals.of_trace.items():
            for store in sorted(totals.stores - stores):
                self._record(*_untouched(key.hex(), store))
            if totals.calls and key in totals.silent and not totals.stores:
                self._record(Watched(trace_id=key.hex(), observer=Observer.OTEL))
        if not totals.calls:
            self.notes.add("no_llm_spans", len(totals.of_trace))
        self.notes.add("orphan_root", sum(self._strangers.values()))
        self.notes.add("foreign_trace", len(self._strangers) - sum(self._strangers.values()))
        if totals.offsets_ns and abs(skew_ns := median(totals.offsets_ns)) > _SKEW_NS:
            self.notes.add(
                "clock_skew",
                sum(abs(offset) > _SKEW_NS for offset in totals.offsets_ns),
                f"The agent's is {abs(skew_ns) / NS_PER_S:.3f} s"
                f" {'ahead' if skew_ns > 0 else 'behind'} (median); times within an interaction"
                " are not affected",
            )
        self._record(*self.notes.records())
        self._totals, self._strangers, self.notes = _Totals(), {}, Notes()


def _untouched(trace_id: str, store: str) -> Iterable[StateOp]:
    """Return zeros for a store that others of the run used: it was watched and not touched."""
    return tuple(
        StateOp(trace_id=trace_id, observer=Observer.OTEL, store=store, kind=kind, count=0)
        for kind in StateKind
    )
