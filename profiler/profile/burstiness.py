"""How bursty the load was: the index of dispersion of what was asked for and of what was sent.

Counts are by second of the wall clock, so that those of shards, which send side by side, add up to
what they sent together. Every stretch of time says from when to when something was counted;
stretches that overlap are one. Windows are the seconds that lie wholly within a stretch, and
minutes of sixty of them from its first on: so the same journal gives the same figures, and however
profiles are merged, the merged counts are those of all.
"""

from __future__ import annotations

from operator import index
from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from profiler.clock import NS_PER_S as _NS_PER_S
from profiler.profile.distribution import Strict
from profiler.workload.dispersion import Dispersion, by_minute, dispersion_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_Counted = tuple[int, int, list[int]]  # first_ns, last_ns, the count of each second

MOST_SECONDS = 7 * 86_400
"""Longer than this the seconds of one stream are not kept."""

_TOO_LONG = f"counted over more than {MOST_SECONDS // 86_400} days: the seconds were not kept"
CLOSED = "closed loop: nothing is asked for at a time"
DROPPED = "arrivals were dropped, and when is not kept"
NOT_TOLD = "the journal does not tell of every interaction when it was to start"


class IndexOfDispersion(Strict):
    """Variance over mean of the counts in windows: 1 is Poisson, more is bursty, less even."""

    index: float = Field(description="variance / mean of the counts")
    poisson_range95: tuple[float, float] = Field(
        description="where 95 % of Poisson processes have it, for so many windows"
    )
    windows: int = Field(description="whole windows that were counted")
    mean: float = Field(description="mean count in a window")
    most: int = Field(description="the highest count in a window")


class Stretch(Strict):
    """A stretch of time in which starts were counted: its counts, second by second."""

    first_ns: int = Field(description="wall clock of the first start, ns since 1970")
    last_ns: int = Field(description="wall clock of the last start, ns since 1970")
    counts: str = Field(
        pattern=r"^\d{1,15}(,\d{1,15})*$",
        description="starts in each second of the wall clock from that of first_ns to that of "
        "last_ns, joined by ','",
    )

    @model_validator(mode="after")
    def _a_count_for_each_second(self) -> Self:
        seconds = self.last_ns // _NS_PER_S - self.first_ns // _NS_PER_S + 1
        if seconds != self.counts.count(",") + 1:
            raise ValueError("a stretch has not as many counts as seconds")
        return self

    def seconds(self) -> list[int]:
        """Return the counts."""
        return [int(count) for count in self.counts.split(",")]


class Starts(Strict):
    """When interactions were started: how many, and how bursty."""

    count: int = Field(description="starts counted, warm-up excluded")
    per_second: IndexOfDispersion | None = Field(description="null: `reasons` says why")
    per_minute: IndexOfDispersion | None = Field(description="null: `reasons` says why")
    reasons: dict[str, str] = Field(description="field: why it is null")
    stretches: tuple[Stretch, ...] = Field(description="the counts: what merging adds up")

    @model_validator(mode="after")
    def _as_many_as_counted(self) -> Self:
        if self.stretches and sum(sum(one.seconds()) for one in self.stretches) != self.count:
            raise ValueError("the counts of the stretches are not the count")
        return self


class Burstiness(Strict):
    """How bursty the load was, as it was asked for and as it was sent."""

    asked: Starts | None = Field(
        description="by intended start; null: `reasons` says why (closed loop, dropped arrivals)"
    )
    sent: Starts = Field(description="by the time at which it was sent")
    reasons: dict[str, str] = Field(description="field: why it is null")


class StartCounter:
    """Counts starts by second of the wall clock, as the records come."""

    def __init__(self, wall_minus_monotonic_ns: int) -> None:
        self._to_wall_ns = wall_minus_monotonic_ns
        self._counts: dict[int, int] = {}
        self._ends_ns: tuple[int, int] | None = None
        self._is_too_long = False
        self.count = 0

    def add(self, monotonic_ns: int) -> None:
        """Take a start. Raises `TypeError` for a time that is no integer."""
        at_ns = index(monotonic_ns) + self._to_wall_ns
        first_ns, last_ns = self._ends_ns or (at_ns, at_ns)
        first_ns, last_ns = min(first_ns, at_ns), max(last_ns, at_ns)
        self._ends_ns = first_ns, last_ns
        self.count += 1
        if self._is_too_long or last_ns - first_ns > MOST_SECONDS * _NS_PER_S:
            self._is_too_long = True
            self._counts.clear()
            return
        second = at_ns // _NS_PER_S
        self._counts[second] = self._counts.get(second, 0) + 1

    def starts(self) -> Starts:
        """Return what was counted."""
        if self._ends_ns is None or self._is_too_long:
            return _starts(self.count, ())
        first_ns, last_ns = self._ends_ns
        seconds = range(first_ns // _NS_PER_S, last_ns // _NS_PER_S + 1)
        counts = [self._counts.get(second, 0) for second in seconds]
        return _starts(self.count, ((first_ns, last_ns, counts),))


def burstiness_of(
    asked: StartCounter, sent: StartCounter, *, is_open: bool, dropped: int | None
) -> Burstiness:
    """Return the section of one journal. `dropped` arrivals were asked for, and are nowhere."""
    lacking = None
    if not is_open:
        lacking = CLOSED
    elif dropped:
        lacking = DROPPED
    elif asked.count != sent.count:
        lacking = NOT_TOLD
    return Burstiness(
        asked=None if lacking is not None else asked.starts(),
        sent=sent.starts(),
        reasons={} if lacking is None else {"asked": lacking},
    )


def merge_burstiness(parts: Sequence[Burstiness | None]) -> Burstiness | None:
    """Combine sections without loss; None where one of the profiles has none."""
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    asked = [part.asked for part in known if part.asked is not None]
    reasons = sorted({part.reasons["asked"] for part in known if part.asked is None})
    return Burstiness(
        asked=None if reasons else _merged(asked),
        sent=_merged([part.sent for part in known]),
        reasons={"asked": "; ".join(reasons)} if reasons else {},
    )


def _merged(parts: Sequence[Starts]) -> Starts:
    count = sum(part.count for part in parts)
    if any(part.count and not part.stretches for part in parts):
        return _starts(count, ())
    found = [stretch for part in parts for stretch in part.stretches]
    return _starts(count, _joined((one.first_ns, one.last_ns, one.seconds()) for one in found))


def _joined(stretches: Iterable[_Counted]) -> tuple[_Counted, ...]:
    """Add up the counts of stretches that overlap; the others stay apart."""
    joined: list[_Counted] = []
    for first_ns, last_ns, counts in sorted(stretches):
        if not joined or first_ns > joined[-1][1]:
            joined.append((first_ns, last_ns, list(counts)))
            continue
        begin_ns, end_ns, sums = joined[-1]
        place = first_ns // _NS_PER_S - begin_ns // _NS_PER_S
        sums.extend([0] * (place + len(counts) - len(sums)))
        for number, count in enumerate(counts, start=place):
            sums[number] += count
        joined[-1] = begin_ns, max(end_ns, last_ns), sums
    return tuple(joined)


def _starts(count: int, stretches: Sequence[_Counted]) -> Starts:
    """Return the section of these counts; starts without any were counted over too long a time."""
    if sum(len(counts) for _, _, counts in stretches) > MOST_SECONDS + 1:
        stretches = ()
    if count and not stretches:
        lacking = dict.fromkeys(("per_second", "per_minute"), _TOO_LONG)
        return Starts(count=count, per_second=None, per_minute=None, reasons=lacking, stretches=())
    seconds = minutes = Dispersion()
    for first_ns, _, counts in stretches:
        whole = counts[0 if first_ns % _NS_PER_S == 0 else 1 : -1]
        seconds += dispersion_of(whole)
        minutes += dispersion_of(by_minute(whole))
    found = {"per_second": seconds, "per_minute": minutes}
    return Starts(
        count=count,
        per_second=_index(seconds),
        per_minute=_index(minutes),
        reasons={name: one.lacking for name, one in found.items() if one.lacking is not None},
        stretches=tuple(
            Stretch(first_ns=first_ns, last_ns=last_ns, counts=",".join(map(str, counts)))
            for first_ns, last_ns, counts in stretches
        ),
    )


def _index(found: Dispersion) -> IndexOfDispersion | None:
    index_of_dispersion = found.index
    if index_of_dispersion is None:
        return None
    return IndexOfDispersion(
        index=index_of_dispersion,
        poisson_range95=found.poisson_range95,
        windows=found.windows,
        mean=found.total / found.windows,
        most=found.most,
    )
