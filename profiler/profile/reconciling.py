"""Where two observers speak of the same thing: compared interaction by interaction.

Every metric that two observers have is compared on the interactions that both saw; the requests
that a gateway saw with the calls of an observer that does not see requests; the input that was
reported with what the same observer counted; and what a state store counted itself, for the run as
a whole, with the operations that were seen inside its interactions, those of warm-up included.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Literal

from profiler.measure.records import Observer, StateKind
from profiler.profile.interactions import CLIENT_METRICS, INSIDE_METRICS
from profiler.profile.metrics import INTERACTION_METRICS, USAGE, preference_for
from profiler.profile.model import Reconciliation
from profiler.profile.rows import MISSING, STATE_KINDS
from profiler.profile.sample import SCALES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from profiler.measure.records import StateDelta
    from profiler.profile.rows import Row
    from profiler.profile.sample import Unit

COUNTED = "counted_input_tokens"
REPORTED = "input_tokens"
REQUESTS, CALLS = "attempts", "llm_calls"

_GATEWAY = Observer.GATEWAY.value
_CLIENT = Observer.CLIENT.value
_STATE_STORE = Observer.STATE_STORE.value
_TOLERANCE_US = 1000
_USAGE_OF_CLIENT = slice(CLIENT_METRICS.index(USAGE[0]), CLIENT_METRICS.index(USAGE[-1]) + 1)
_USAGE_INSIDE = slice(INSIDE_METRICS.index(USAGE[0]), INSIDE_METRICS.index(USAGE[-1]) + 1)
_NO_USAGE = [MISSING] * len(USAGE)
_REPORTED, _COUNTED = INSIDE_METRICS.index(REPORTED), INSIDE_METRICS.index(COUNTED)
_REQUESTS, _CALLS = INSIDE_METRICS.index(REQUESTS), INSIDE_METRICS.index(CALLS)
_ORDER = {name: place for place, name in enumerate(INTERACTION_METRICS)}


@dataclass(slots=True)
class Compared:
    """Two observers of a metric, on the interactions that both saw. Sums in histogram units."""

    compared: int = 0
    differing: int = 0
    a_larger: int = 0
    doubled: int = 0
    sum_a: int = 0
    sum_b: int = 0
    example: str | None = None

    def take(self, a: int, b: int, tolerance: int, trace: str | None) -> None:
        """Add one interaction."""
        self.compared += 1
        self.sum_a += a
        self.sum_b += b
        if abs(a - b) > tolerance:
            self.differing += 1
            self.a_larger += a > b
            self.doubled += a == 2 * b or b == 2 * a
            if trace is not None and (self.example is None or trace < self.example):
                self.example = trace

    def swapped(self) -> Compared:
        """Return the same, the other way round."""
        return Compared(
            compared=self.compared,
            differing=self.differing,
            a_larger=self.differing - self.a_larger,
            doubled=self.doubled,
            sum_a=self.sum_b,
            sum_b=self.sum_a,
            example=self.example,
        )

    def row(
        self,
        metric: str,
        a: str,
        b: str,
        *,
        against: str | None = None,
        store: str | None = None,
        scope: Literal["interaction", "run"] = "interaction",
    ) -> Reconciliation:
        """Return what a profile says of it."""
        unit = INTERACTION_METRICS[metric].unit
        difference = self.sum_a - self.sum_b
        return Reconciliation(
            metric=metric,
            against=against,
            store=store,
            scope=scope,
            unit=unit,
            observer_a=a,
            observer_b=b,
            compared=self.compared,
            differing=self.differing,
            a_larger=self.a_larger,
            doubled=self.doubled,
            mean_difference=_mean(difference, self.compared, unit),
            sum_difference=difference,
            sum_a=self.sum_a,
            sum_b=self.sum_b,
            example_trace_id=self.example,
        )


def _mean(difference: int, compared: int, unit: Unit) -> float:
    return difference / (compared * SCALES[unit].per_unit)


class Comparisons:
    """All pairs of observers, metric by metric, and state operations over the whole run."""

    def __init__(self) -> None:
        self._of: dict[tuple[str, str, str], Compared] = {}
        self._counted: dict[str, Compared] = {}
        self._requests: dict[str, Compared] = {}
        self._operations: dict[tuple[str, int, int], int] = {}

    def take(self, trace: str, client: list[int], insides: Mapping[str, list[int]]) -> None:
        """Compare what was seen of one measured interaction."""
        for observer, values in insides.items():
            reported, counted = values[_REPORTED], values[_COUNTED]
            if MISSING not in (reported, counted):
                found = self._counted.get(observer)
                if found is None:
                    found = self._counted[observer] = Compared()
                found.take(reported, counted, 0, trace)
        usage = client[_USAGE_OF_CLIENT]
        if len(insides) == 1 and usage == _NO_USAGE:
            return
        if _GATEWAY in insides:
            self._take_requests(trace, insides)
        every = list(insides.items())
        for place, (a, mine) in enumerate(every):
            if usage != _NO_USAGE:
                self._take_two(trace, USAGE, (_CLIENT, usage), (a, mine[_USAGE_INSIDE]))
            for other in every[place + 1 :]:
                self._take_two(trace, INSIDE_METRICS, (a, mine), other)

    def _take_requests(self, trace: str, insides: Mapping[str, list[int]]) -> None:
        requests = insides[_GATEWAY][_REQUESTS]
        for observer, values in insides.items():
            if observer != _GATEWAY and MISSING not in (requests, values[_CALLS]):
                found = self._requests.get(observer)
                if found is None:
                    found = self._requests[observer] = Compared()
                found.take(requests, values[_CALLS], 0, trace)

    def _take_two(
        self,
        trace: str,
        metrics: tuple[str, ...],
        first: tuple[str, list[int]],
        second: tuple[str, list[int]],
    ) -> None:
        if first[0] > second[0]:  # which way round is for the profile to choose: here one way
            first, second = second, first
        a, b = first[0], second[0]
        for name, mine, other in zip(metrics, first[1], second[1], strict=True):
            if MISSING in (mine, other):
                continue
            compared = self._of.get((name, a, b))
            if compared is None:
                compared = self._of[name, a, b] = Compared()
            tolerance = _TOLERANCE_US if INTERACTION_METRICS[name].unit == "s" else 0
            compared.take(mine, other, tolerance, trace)

    def take_operations(self, observer: str, rows: Iterable[Row]) -> None:
        """Add state operations seen inside an interaction, one of warm-up too."""
        for store, kind, count in rows:
            key = observer, store, kind
            self._operations[key] = self._operations.get(key, 0) + count

    def section(
        self,
        believed: Mapping[str, Iterable[str]],
        deltas: Sequence[StateDelta],
        stores: Mapping[str, int],
    ) -> tuple[Reconciliation, ...]:
        """Return all comparisons, in order. `believed`: metric to the observers that have it.

        `deltas` are what the stores counted themselves, `stores` their numbers by name.
        """
        return in_order([*self._between(believed), *self._runs(deltas, stores)])

    def _between(self, believed: Mapping[str, Iterable[str]]) -> Iterator[Reconciliation]:
        for name in INTERACTION_METRICS:
            for a, b in combinations(_by_preference(name, believed.get(name, ())), 2):
                found = self._of.get((name, min(a, b), max(a, b)))
                if found is not None:
                    yield (found if a < b else found.swapped()).row(name, a, b)
        see_requests = {*believed.get(REQUESTS, ())}
        for observer in {*believed.get(CALLS, ())} - see_requests:
            if _GATEWAY in see_requests and observer in self._requests:
                yield self._requests[observer].row(REQUESTS, _GATEWAY, observer, against=CALLS)
        for observer in {*believed.get(REPORTED, ())} & {*believed.get(COUNTED, ())}:
            if observer in self._counted:
                yield self._counted[observer].row(REPORTED, observer, observer, against=COUNTED)

    def _runs(
        self, deltas: Sequence[StateDelta], stores: Mapping[str, int]
    ) -> Iterator[Reconciliation]:
        observers = sorted({observer for observer, _, _ in self._operations})
        for delta in deltas:
            if delta.store not in stores or delta.void_reason is not None:
                continue
            kinds = ((StateKind.READ, delta.reads), (StateKind.WRITE, delta.writes))
            for kind, counted in kinds:
                for observer in observers:
                    key = observer, stores[delta.store], STATE_KINDS.index(kind)
                    seen = self._operations.get(key)
                    if counted is not None and seen is not None:
                        compared = Compared()
                        compared.take(counted, seen, 0, None)
                        yield compared.row(
                            f"state_{kind.value}s",
                            _STATE_STORE,
                            observer,
                            store=delta.store,
                            scope="run",
                        )


def _by_preference(metric: str, observers: Iterable[str]) -> list[str]:
    order = preference_for(metric)
    return sorted(observers, key=lambda who: (order.index(who) if who in order else 99, who))


def in_order(rows: Iterable[Reconciliation]) -> tuple[Reconciliation, ...]:
    """Sort by metric, as they are listed everywhere, then by what was compared."""

    def key(row: Reconciliation) -> tuple[int | str, ...]:
        place = _ORDER.get(row.metric, len(_ORDER))
        what = (row.store or "", row.scope, row.observer_a, row.observer_b, row.against or "")
        return (place, row.metric, *what)

    return tuple(sorted(rows, key=key))


def merge_reconciliations(
    sections: Iterable[Sequence[Reconciliation]],
) -> tuple[Reconciliation, ...]:
    """Add what was compared of the same thing; causes are for the whole to be found anew."""
    by_key: dict[tuple[str | None, ...], list[Reconciliation]] = {}
    for section in sections:
        for row in section:
            key = (row.metric, row.against, row.store, row.scope, row.observer_a, row.observer_b)
            by_key.setdefault(key, []).append(row)
    return in_order(_merge_rows(rows) for rows in by_key.values())


def _merge_rows(rows: list[Reconciliation]) -> Reconciliation:
    def total(name: str) -> int | None:
        values = [getattr(row, name) for row in rows]
        return None if None in values else sum(values)

    first = rows[0]
    compared, difference = sum(r.compared for r in rows), sum(r.sum_difference for r in rows)
    examples = [r.example_trace_id for r in rows if r.example_trace_id is not None]
    return first.model_copy(
        update={
            "compared": compared,
            "differing": sum(row.differing for row in rows),
            "a_larger": total("a_larger"),
            "doubled": total("doubled"),
            "mean_difference": _mean(difference, compared, first.unit),
            "sum_difference": difference,
            "sum_a": total("sum_a"),
            "sum_b": total("sum_b"),
            "example_trace_id": min(examples, default=None),
            "cause": None,
        }
    )
