"""What a shard has shown, for those who watch the whole run: told to the conductor each second.

A shard tells latencies and errors as counts, so that what the conductor adds up is what one process
would have counted: percentiles come from merged buckets, never from percentiles.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from profiler.clock import NS_PER_S, monotonic_ns
from profiler.load.so_far import NEAREST_FIRST, CallsSoFar, Course, Rough
from profiler.measure.records import Observer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from profiler.clock import MonotonicNs
    from profiler.load.so_far import SoFar
    from profiler.load.watch import Watch

MOST_BUCKETS = 2048
"""In one message, which must stay below `lines.LONGEST_LINE`; what is more comes in a next one."""
COLUMN_NS = 2 * NS_PER_S
"""Wider than from one glimpse of a shard to its next, so that none of them leaves a gap."""
LONGEST_KIND = 120
"""Characters of an error's kind that travel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Glimpse:
    """What one shard says of itself. `latency_us` is new since its last, all else is so far.

    `latency_us` are counts by `Rough`'s buckets. None: not known, nobody saw it.
    """

    latency_us: dict[int, int]
    errors: dict[str, int]
    sessions_begun: int
    sessions_ended: int
    dropped: int
    calls: CallsSoFar | None = None
    loop_lag_ns: int | None = None
    cpu_share: float | None = None


def glimpses(so_far: SoFar, watch: Watch) -> Iterator[Glimpse]:
    """Yield what there is to tell, in messages that are not too long.

    The latencies that were told are no longer in `so_far`.
    """
    told, so_far.latency = so_far.latency, Rough()
    counts = list(told.counts())
    errors: Counter[str] = Counter()
    for kind, times in so_far.errors.items():
        errors[kind[:LONGEST_KIND]] += times
    latest = watch.latest
    for first in range(0, max(len(counts), 1), MOST_BUCKETS):
        yield Glimpse(
            latency_us=dict(counts[first : first + MOST_BUCKETS]),
            errors=dict(errors),
            sessions_begun=so_far.sessions_begun,
            sessions_ended=so_far.sessions_ended,
            dropped=watch.dropped,
            calls=so_far.calls(),
            loop_lag_ns=None if latest is None else latest.loop_lag_max_ns,
            cpu_share=None if latest is None else latest.cpu_share,
        )


class Overview:
    """The running account of all shards. Has what those who watch ask of a `SoFar`."""

    def __init__(self, clock: MonotonicNs = monotonic_ns) -> None:
        self._clock = clock
        self._began_ns: int | None = None
        self._latest: dict[int, Glimpse] = {}
        self.latency = Rough()
        self.course = Course(COLUMN_NS)

    def take(self, shard: int, glimpse: Glimpse) -> None:
        """Take what a shard says. Its latencies belong to the time at which it says it."""
        self._latest[shard] = glimpse
        if not glimpse.latency_us:
            return
        if self._began_ns is None:
            self._began_ns = self._clock()
        at_ns = self._clock() - self._began_ns
        for latency_us, times in glimpse.latency_us.items():
            self.latency.record(latency_us, times)
            self.course.add(at_ns, latency_us, times)

    @property
    def shards(self) -> int:
        """How many have said anything."""
        return len(self._latest)

    @property
    def errors(self) -> Counter[str]:
        """How many errors of each kind."""
        total: Counter[str] = Counter()
        for each in self._latest.values():
            total.update(each.errors)
        return total

    @property
    def sessions_begun(self) -> int:
        """Measured sessions that began."""
        return sum(each.sessions_begun for each in self._latest.values())

    @property
    def sessions_ended(self) -> int:
        """Measured sessions that came to their end."""
        return sum(each.sessions_ended for each in self._latest.values())

    @property
    def dropped(self) -> int:
        """Arrivals that were not sent."""
        return sum(each.dropped for each in self._latest.values())

    def calls(self) -> CallsSoFar | None:
        """Return what the observer that is nearest to the provider saw, of all shards with it."""
        every = [each.calls for each in self._latest.values() if each.calls is not None]
        seen_by = {each.observer for each in every}
        nearest = next((observer for observer in NEAREST_FIRST if observer in seen_by), None)
        if nearest is None:
            return None
        found = [each for each in every if each.observer is nearest]
        return CallsSoFar(
            observer=nearest,
            interactions=sum(each.interactions for each in found),
            llm_calls=sum(each.llm_calls for each in found),
            input_tokens=_sum([each.input_tokens for each in found]),
            output_tokens=_sum([each.output_tokens for each in found]),
        )

    def worst(self) -> tuple[int, float] | None:
        """Return the longest lag, in ns, and the largest share of a CPU of any shard."""
        lags = [each.loop_lag_ns for each in self._latest.values() if each.loop_lag_ns is not None]
        busy = [each.cpu_share for each in self._latest.values() if each.cpu_share is not None]
        return (max(lags), max(busy)) if lags and busy else None


def _sum(counts: list[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def to_json(glimpse: Glimpse) -> dict[str, Any]:
    """Return the glimpse as JSON holds it."""
    calls = glimpse.calls
    return {
        "latency_us": [*glimpse.latency_us.items()],
        "errors": glimpse.errors,
        "sessions_begun": glimpse.sessions_begun,
        "sessions_ended": glimpse.sessions_ended,
        "dropped": glimpse.dropped,
        "calls": None if calls is None else [getattr(calls, name) for name in _CALLS],
        "loop_lag_ns": glimpse.loop_lag_ns,
        "cpu_share": glimpse.cpu_share,
    }


_CALLS = ("observer", "interactions", "llm_calls", "input_tokens", "output_tokens")


def from_json(value: Any) -> Glimpse:
    """Read what `to_json` made.

    Raises `AttributeError`, `KeyError`, `TypeError` or `ValueError` for anything else.
    """
    calls, busy, lag_ns = value["calls"], value["cpu_share"], value["loop_lag_ns"]
    return Glimpse(
        latency_us={_count(bucket): _count(times) for bucket, times in value["latency_us"]},
        errors={str(kind): _count(times) for kind, times in value["errors"].items()},
        sessions_begun=_count(value["sessions_begun"]),
        sessions_ended=_count(value["sessions_ended"]),
        dropped=_count(value["dropped"]),
        calls=None if calls is None else _calls(*calls),
        loop_lag_ns=None if lag_ns is None else int(lag_ns),
        cpu_share=None if busy is None else float(busy),
    )


def _calls(
    observer: str, interactions: int, llm_calls: int, given: int | None, written: int | None
) -> CallsSoFar:
    if interactions == 0:
        raise ValueError("calls in no interaction")
    return CallsSoFar(
        observer=Observer(observer),
        interactions=_count(interactions),
        llm_calls=_count(llm_calls),
        input_tokens=None if given is None else _count(given),
        output_tokens=None if written is None else _count(written),
    )


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"no count: {value!r}")
    return value
