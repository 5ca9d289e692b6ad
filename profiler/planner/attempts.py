"""Attempts against limits, one after the other: what passes, what comes again, what is left."""

from __future__ import annotations

import math
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import TYPE_CHECKING

import numpy as np

from profiler.planner.queueing import not_negative, whole

if TYPE_CHECKING:
    from profiler.planner.estimates import Floats, Integers

_CLEAR = 1e-6  # of a limit's capacity: what rounding of long sums does not come near
_ROUNDING = 1e-9  # what a bucket may lack and still let pass, as mock/limits.py has it


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrying:
    """How a client comes again after a refusal.

    Waits min(`base_s` x `multiplier`^n, `longest_s`) before retry n (from 0), less up to `jitter`
    of it at random; or what the server told it to wait, if it `honours_retry_after` and that is not
    above `longest_retry_after_s` (beyond which it gives up). The defaults are those of OpenAI's
    Python client, version 2. Raises `ValueError` for what is outside its domain.
    """

    retries: int = 2
    base_s: float = 0.5
    multiplier: float = 2.0
    longest_s: float = 8.0
    jitter: float = 0.25
    honours_retry_after: bool = True
    longest_retry_after_s: float = 120.0

    def __post_init__(self) -> None:
        whole("retries", self.retries, least=0)
        for name in ("base_s", "multiplier", "longest_s", "longest_retry_after_s"):
            not_negative(name, getattr(self, name))
        if not 0 <= self.jitter <= 1:
            raise ValueError(f"jitter is {self.jitter!r}: it has to be from 0 to 1")

    def backoff_s(self, retry: int, random: float) -> float:
        """Return the wait before a retry that the server told nothing about."""
        wait_s = min(self.base_s * self.multiplier ** min(retry, 1000), self.longest_s)
        return wait_s * (1 - self.jitter * random)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningLimit:
    """A limit as it runs: a bucket, or windows of `window_s`."""

    per_s: float
    capacity: float
    window_s: float | None

    def limited_s(self, times: Floats, left: Floats, asked: Floats, spans: Floats) -> Floats:
        """Return for how much of the `spans` after `times` a request of `asked` would be refused.

        `left` is what was there at the beginning of each. What is larger than the whole is refused
        all the time.
        """
        missing = asked - left
        if self.window_s is None:
            wait_s = np.maximum(missing, 0.0) / self.per_s
        else:
            to_end_s = (np.floor(times / self.window_s) + 1) * self.window_s - times
            wait_s = np.where(missing > _ROUNDING, to_end_s, 0.0)
        wait_s[asked > self.capacity + _ROUNDING] = math.inf
        return np.minimum(wait_s, spans)

    def left_of_all(self, times: Floats, needs: Floats) -> Floats:
        """Return what is left after each call if none is refused; below 0, one would have been.

        A bucket lacks what came since some call, that one included, less what it was refilled with
        since then: the most of it, whichever call that is (Lindley's recursion, unrolled).
        """
        taken = np.cumsum(needs)
        if self.window_s is None:
            lacking = taken - self.per_s * times
            since = np.minimum.accumulate(lacking - needs)
        else:
            windows = times // self.window_s
            lacking, since = taken, (taken - needs)[np.searchsorted(windows, windows)]
        left: Floats = self.capacity - (lacking - since)
        return left


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempts:
    """All attempts in order of time; a row of `lacked` and `left` for each limit."""

    times: Floats
    calls: Integers
    """Which call each is of."""

    is_last: Floats
    """1: nothing comes after it."""

    refused: Floats
    lacked: Floats
    """1: that limit had too little."""

    left: Floats
    """What each limit has left after the attempt."""

    told_s: Floats
    """How long those refused were told to wait; NaN for others."""


def run_attempts(
    times: Floats,
    amounts: list[Floats],
    limits: list[RunningLimit],
    retrying: Retrying | None,
    rng: np.random.Generator,
) -> Attempts:
    """Let calls of these times (seconds, in order) and amounts (by limit) run against limits."""
    passed, left_of_passed = _passed(times, amounts, limits)
    arrivals = times.tolist()
    needs = list(zip(*(column.tolist() for column in amounts), strict=True))
    gate = _Gate(limits)
    if passed:
        gate.set(float(times[passed - 1]), left_of_passed[:, -1].tolist())
    retries = retrying.retries if retrying is not None else 0
    waiting: list[tuple[float, int, int]] = []  # when, which call, how many retries before
    when: list[float] = []
    which: list[int] = []
    told: list[float | None] = []
    last: list[bool] = []
    next_call, count = passed, len(arrivals)
    while next_call < count or waiting:
        if waiting and (next_call == count or waiting[0][0] < arrivals[next_call]):
            now, call, retried = heappop(waiting)
        else:
            now, call, retried = arrivals[next_call], next_call, 0
            next_call += 1
        wait_s = gate.admit(needs[call], now)
        when.append(now)
        which.append(call)
        told.append(wait_s)
        if wait_s is None or retrying is None or retried >= retries:
            last.append(True)
            continue
        pause_s = _pause_s(retrying, retried, wait_s, rng)
        last.append(pause_s is None)
        if pause_s is not None:
            heappush(waiting, (now + pause_s, call, retried + 1))
    made = np.concatenate((np.arange(passed), np.array(which, dtype=np.int64)))
    told_s = np.full(len(made), math.nan)
    told_s[passed:] = [math.nan if wait_s is None else wait_s for wait_s in told]
    refused = ~np.isnan(told_s)
    later = np.array(gate.left, dtype=np.float64).reshape(-1, len(limits)).T
    left = np.concatenate((left_of_passed, later), axis=1)
    asked = np.stack([column[made] for column in amounts])
    return Attempts(
        times=np.concatenate((times[:passed], when)),
        calls=made,
        is_last=np.concatenate((np.ones(passed), np.array(last, dtype=np.float64))),
        refused=refused.astype(np.float64),
        # Who was refused took nothing, so what is left is what there was.
        lacked=(refused & (asked - left > _ROUNDING)).astype(np.float64),
        left=left,
        told_s=told_s,
    )


def _passed(times: Floats, amounts: list[Floats], limits: list[RunningLimit]) -> tuple[int, Floats]:
    """Return how many calls pass for certain before any is refused, and what each leaves.

    Up to there all that was asked is taken, so that sums do in place of one call after the other.
    """
    left = np.stack(
        [limit.left_of_all(times, each) for limit, each in zip(limits, amounts, strict=True)]
    )
    enough = np.array([limit.capacity for limit in limits])[:, None] * _CLEAR
    near = (left < enough).any(axis=0)
    passed = int(near.argmax()) if near.any() else len(times)
    return passed, left[:, :passed]


def _pause_s(
    retrying: Retrying, retried: int, wait_s: float, rng: np.random.Generator
) -> float | None:
    """Return how long a client waits before it comes again; None: it does not."""
    if not retrying.honours_retry_after:
        return retrying.backoff_s(retried, rng.random())
    told_s = max(1, math.ceil(wait_s * 1000)) / 1000  # servers tell whole milliseconds
    return told_s if told_s <= retrying.longest_retry_after_s else None


class _Gate:
    """The limits at one moment. What passes takes from all of them, what does not from none."""

    def __init__(self, limits: list[RunningLimit]) -> None:
        self._levels = [limit.capacity for limit in limits]
        self._capacities = self._levels.copy()
        self._rates = [limit.per_s for limit in limits]
        self._windows = [limit.window_s for limit in limits]
        self._numbers = [0.0] * len(limits)
        self._at_s = 0.0
        self._all = range(len(limits))
        self.left: list[float] = []

    def set(self, at_s: float, levels: list[float]) -> None:
        """Go on from a moment at which so much was left."""
        self._at_s = at_s
        self._levels = levels
        self._numbers = [0.0 if each is None else at_s // each for each in self._windows]

    def admit(self, needs: tuple[float, ...], now_s: float) -> float | None:
        """Let a request pass and return None, or return how long it is told to wait."""
        levels, windows, capacities = self._levels, self._windows, self._capacities
        past_s = now_s - self._at_s
        self._at_s = now_s
        fits = True
        for i in self._all:
            window_s = windows[i]
            if window_s is None:
                level = levels[i] + past_s * self._rates[i]
                # Most of a simulation's time is here: min() would take a tenth more.
                levels[i] = capacities[i] if level > capacities[i] else level
            else:
                number = now_s // window_s
                if number != self._numbers[i]:
                    self._numbers[i] = number
                    levels[i] = capacities[i]
            if needs[i] - levels[i] > _ROUNDING:
                fits = False
        if fits:
            for i in self._all:
                levels[i] -= needs[i]
        self.left.extend(levels)
        return None if fits else self._wait_s(needs, now_s)

    def _wait_s(self, needs: tuple[float, ...], now_s: float) -> float:
        """Return how long all limits together tell to wait; what never fits, until that is full."""
        longest_s = 0.0
        for i in self._all:
            window_s = self._windows[i]
            never_fits = needs[i] > self._capacities[i]
            if window_s is not None:
                is_short = needs[i] - self._levels[i] > _ROUNDING
                wait_s = (now_s // window_s + 1) * window_s - now_s if is_short else 0.0
            else:
                aim = self._capacities[i] if never_fits else needs[i]
                wait_s = max(0.0, aim - self._levels[i]) / self._rates[i]
            if never_fits:
                return wait_s
            longest_s = max(longest_s, wait_s)
        return longest_s
