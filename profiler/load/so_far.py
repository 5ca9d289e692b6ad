"""What a run has shown so far, in memory that does not grow with it: for those who watch it.

Nothing of a profile comes from here: that is computed from the journal. Taking an interaction costs
microseconds, since it happens on the event loop that measures.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeGuard

from profiler.clock import NS_PER_S, monotonic_ns
from profiler.measure.records import LlmCall, Observer, Outcome, Phase, Watched

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from profiler.clock import MonotonicNs
    from profiler.measure.records import Interaction, Record

COLUMNS = 30
MOST_ERROR_KINDS = 20
OTHER_ERRORS = "others"
_NS_PER_US = 1000
_REMEMBERED = 4096
_KEPT_BITS = 8
NEAREST_FIRST = (Observer.GATEWAY, Observer.OTEL, Observer.RESPONSE)
"""As `profile.metrics.CALL_PREFERENCE`, but for the client, who sees no calls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallsSoFar:
    """What one observer saw of the agent's LLM calls, in `interactions` that it could judge."""

    observer: Observer
    interactions: int
    llm_calls: int
    input_tokens: int | None
    output_tokens: int | None


class SoFar:
    """The running account of a run's measured interactions. Warm-up is in none of its numbers.

    `is_observed`: others than the agent's own answers tell of calls, in their own time, by `see`.
    """

    def __init__(self, clock: MonotonicNs = monotonic_ns, *, is_observed: bool = False) -> None:
        self._clock = clock
        self._is_observed = is_observed
        self._calls = {observer: _Calls(observer) for observer in NEAREST_FIRST}
        self._judged: dict[str, bool] = {}
        self._order: deque[str] = deque()
        self.began_ns: int | None = None
        self.ended = 0
        self.failed = 0
        self.sessions_begun = 0
        self.sessions_ended = 0
        self.errors: Counter[str] = Counter()
        self.latency = Rough()
        self.course = Course()

    def take(self, interaction: Interaction, inside: Sequence[Record]) -> None:
        """Take an interaction that ended, and what its own answer showed."""
        is_measured = interaction.phase is Phase.MEASURE
        if self._is_observed:
            self._remember(interaction.trace_id, is_measured=is_measured)
            for calls in self._calls.values():
                calls.settle(interaction.trace_id, is_measured=is_measured)
        if not is_measured:
            return
        if inside:
            self._calls[Observer.RESPONSE].count_all(inside)
        if self.began_ns is None or interaction.send_ns < self.began_ns:
            self.began_ns = interaction.send_ns
        self.ended += 1
        self.sessions_begun += interaction.turn == 0
        self.sessions_ended += interaction.last_turn
        if interaction.outcome is Outcome.OK:
            latency_us = max(0, interaction.end_ns - interaction.send_ns) // _NS_PER_US
            self.latency.record(latency_us)
            self.course.add(interaction.end_ns - self.began_ns, latency_us)
        elif interaction.outcome is not Outcome.CANCELLED:
            self.failed += 1
            kind = interaction.error_kind or ""
            self._count_error(f"{interaction.outcome}{f' ({kind})' if kind else ''}")

    def _count_error(self, kind: str) -> None:
        is_new = kind not in self.errors and len(self.errors) >= MOST_ERROR_KINDS
        self.errors[OTHER_ERRORS if is_new else kind] += 1

    def see(self, record: Record) -> None:
        """Take a record of an observer; only LLM calls, and that there were none, count.

        It may come before its interaction has ended, or some seconds after.
        """
        if not _tells_of_calls(record) or record.observer not in self._calls:
            return
        calls = self._calls[record.observer]
        measured = self._judged.get(record.trace_id)
        if measured is None:
            calls.hold(record)
        elif measured:
            calls.count(record)

    def _remember(self, trace_id: str, *, is_measured: bool) -> None:
        self._judged[trace_id] = is_measured
        self._order.append(trace_id)
        if len(self._order) > _REMEMBERED:
            gone = self._order.popleft()
            self._judged.pop(gone, None)
            for calls in self._calls.values():
                calls.forget(gone)

    def elapsed_s(self) -> float:
        """Return the time since the first measured interaction was sent; 0 before one ended."""
        return 0.0 if self.began_ns is None else (self._clock() - self.began_ns) / NS_PER_S

    def calls(self) -> CallsSoFar | None:
        """Return what the observer that is nearest to the provider saw; None if nobody saw any."""
        return next((c.so_far() for c in self._calls.values() if c.interactions), None)


def _tells_of_calls(record: Record) -> TypeGuard[LlmCall | Watched]:
    return isinstance(record, LlmCall) or (isinstance(record, Watched) and record.llm_calls)


class _Calls:
    """What one observer saw. What it saw of interactions under way waits for their end."""

    def __init__(self, observer: Observer) -> None:
        self.observer = observer
        self.interactions = self._calls = 0
        self._input: int | None = None
        self._output: int | None = None
        self._held: dict[str, list[LlmCall | Watched]] = {}
        self._seen_in: set[str] = set()

    def hold(self, record: LlmCall | Watched) -> None:
        self._held.setdefault(record.trace_id, []).append(record)
        if len(self._held) > _REMEMBERED:  # of traces that are no interactions of this run
            del self._held[next(iter(self._held))]

    def settle(self, trace_id: str, *, is_measured: bool) -> None:
        for record in self._held.pop(trace_id, ()):
            if is_measured:
                self.count(record)

    def forget(self, trace_id: str) -> None:
        self._seen_in.discard(trace_id)

    def count(self, record: LlmCall | Watched) -> None:
        if record.trace_id not in self._seen_in:
            self._seen_in.add(record.trace_id)
            self.interactions += 1
        self._add(record)

    def count_all(self, records: Iterable[Record]) -> None:
        """Count what one interaction has of calls, all of it."""
        telling = [record for record in records if _tells_of_calls(record)]
        self.interactions += bool(telling)
        for record in telling:
            self._add(record)

    def _add(self, record: LlmCall | Watched) -> None:
        if isinstance(record, Watched):
            return
        self._calls += 1
        if record.usage is not None:
            self._input = _plus(self._input, record.usage.input_tokens)
            self._output = _plus(self._output, record.usage.output_tokens)

    def so_far(self) -> CallsSoFar:
        return CallsSoFar(
            observer=self.observer,
            interactions=self.interactions,
            llm_calls=self._calls,
            input_tokens=self._input,
            output_tokens=self._output,
        )


def _plus(total: int | None, more: int | None) -> int | None:
    return total if more is None else (total or 0) + more


class Rough:
    """Latencies in microseconds, to 1 %: whoever watches sees no more.

    Not a `Histogram`: that library is not loaded before the first request, nor during any.
    """

    def __init__(self) -> None:
        self.count = 0
        self._counts: dict[int, int] = {}

    def record(self, value: int, times: int = 1) -> None:
        """Take a value from zero on; what is below its leading bits is cut off.

        A bucket of another is its own bucket here: counts can be handed on without loss.
        """
        cut = max(0, value.bit_length() - _KEPT_BITS)
        bucket = value >> cut << cut
        self._counts[bucket] = self._counts.get(bucket, 0) + times
        self.count += times

    def counts(self) -> Iterable[tuple[int, int]]:
        """Return each bucket's least value and how many there are in it."""
        return self._counts.items()

    def merge(self, other: Rough) -> None:
        """Add what another has."""
        for bucket, times in other._counts.items():
            self._counts[bucket] = self._counts.get(bucket, 0) + times
        self.count += other.count

    def percentile(self, percent: int) -> int | None:
        """Return the nearest rank's value, at most 1 % too low; None without any."""
        rank = -(-self.count * percent // 100)
        below = 0
        for bucket in sorted(self._counts):
            below += self._counts[bucket]
            if below >= rank:
                return bucket
        return None


class Course:
    """How latency went over the run, in at most `COLUMNS` columns of equal width.

    A column begins as `width_ns` wide. When there is no room for another, neighbours become one.
    """

    def __init__(self, width_ns: int = NS_PER_S) -> None:
        self.width_ns = width_ns
        self._columns: list[Rough] = []
        self._known: dict[int, tuple[int, int | None]] = {}

    def add(self, at_ns: int, latency_us: int, times: int = 1) -> None:
        """Take a latency in microseconds, of interactions that ended `at_ns` into the run."""
        column = max(0, at_ns) // self.width_ns
        while column >= COLUMNS:
            self._halve()
            column = max(0, at_ns) // self.width_ns
        while column >= len(self._columns):
            self._columns.append(Rough())
        self._columns[column].record(latency_us, times)

    def _halve(self) -> None:
        pairs = [self._columns[first : first + 2] for first in range(0, len(self._columns), 2)]
        for kept, *others in pairs:
            for other in others:
                kept.merge(other)
        self._columns = [kept for kept, *_ in pairs]
        self.width_ns *= 2
        self._known.clear()

    def medians_us(self) -> tuple[int | None, ...]:
        """Return the median of each column; None where nothing succeeded in it."""
        last = len(self._columns) - 1
        for place, column in enumerate(self._columns):
            if self._known.get(place, (-1, None))[0] != column.count or place == last:
                self._known[place] = column.count, column.percentile(50)
        return tuple(self._known[place][1] for place in range(len(self._columns)))
