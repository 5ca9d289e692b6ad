"""Finding the highest rate at which a target does what is asked of it. Pure: no clock, no I/O.

The rate doubles until a step does not meet the objectives (or halves until one does, when already
the first does not). Then the geometric middle between the highest rate that met and the lowest that
did not is tried, until the two are as near as the resolution asks.

A step that is undecided goes on with as many interactions again, up to a bound; what then is still
undecided counts as not met: the answer is a rate that was shown to be met. A step in which the
harness was the limit is tried once more, since that may have been a hiccup of the machine; the
second time the search ends.

The number of runs is bounded, whatever the verdicts are: at most `most_steps` rates, each of
at most log2(`most_extension`) + 1 parts, or twice that where every one is tried again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from profiler.errors import UsageError

FACTOR = 2.0
"""By how much the rate is raised, or lowered, before there is a bracket."""

_DIGITS = 6
_ATTEMPTS = 2


class StepVerdict(StrEnum):
    """What one step, with all its parts so far, has shown."""

    MET = "met"
    MISSED = "missed"
    UNDECIDED = "undecided"
    DRIVER_LIMITED = "driver_limited"


class SearchEnd(StrEnum):
    """Why a search ended."""

    FOUND = "found"
    NEVER_MISSED = "never_missed"
    NEVER_MET = "never_met"
    NEVER_DECIDED = "never_decided"
    DRIVER_LIMITED = "driver_limited"
    MOST_STEPS = "most_steps"
    TARGET_UNUSABLE = "target_unusable"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchLimits:
    """Where to look and how closely. Rates are per second, `resolution` is a share of the rate.

    `requests` are the interactions of a step, more where that many take less than `least_step_s`
    seconds; an undecided step grows to at most `most_extension` times as many. Raises `UsageError`.
    """

    start_per_s: float = 1.0
    lowest_per_s: float = 0.125
    highest_per_s: float = 1000.0
    resolution: float = 0.05
    most_steps: int = 20
    requests: int = 200
    least_step_s: float = 5.0
    most_extension: int = 8

    def __post_init__(self) -> None:
        for rate in (self.start_per_s, self.lowest_per_s, self.highest_per_s):
            if not 0 < rate < math.inf:
                raise UsageError(f"a rate of {rate:g}/s is not possible", fix="Give more than 0")
        if not self.lowest_per_s <= self.start_per_s <= self.highest_per_s:
            raise UsageError(
                f"the start at {self.start_per_s:g}/s is not between "
                f"{self.lowest_per_s:g}/s and {self.highest_per_s:g}/s",
                fix="Give a start rate below the highest rate",
            )
        if not 0.005 <= self.resolution <= 1:  # noqa: PLR2004 - finer would be noise
            raise UsageError(
                f"a resolution of {self.resolution:g} is not possible",
                fix="Give a share from 0.005 to 1, like 0.05 for 5 %",
            )
        for name, value in (("step", self.most_steps), ("interaction", self.requests)):
            if value < 1:
                raise UsageError(f"{value} {name}s are none", fix="Give 1 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One run to make: so many interactions at this rate.

    `number` counts rates from 1; `part` the runs of which the step consists, from 1; `attempt` is 2
    where the same part is tried again.
    """

    number: int
    part: int
    attempt: int
    rate_per_s: float
    requests: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """What is known: `lower` is the highest rate that met, `upper` the lowest that did not.

    `upper_verdict` is `missed`, or `undecided` where the most interactions did not decide.
    `missed` is the lowest rate that was decided to be missed. None: there is no such rate. The
    `end` is None while the search goes on.
    """

    lower_per_s: float | None
    upper_per_s: float | None
    upper_verdict: StepVerdict | None
    missed_per_s: float | None
    end: SearchEnd | None


class Search:
    """Ask `next` what to run, `record` what it showed, until `next` has nothing more."""

    def __init__(self, limits: SearchLimits) -> None:
        self._limits = limits
        self._lower: float | None = None
        self._upper: float | None = None
        self._upper_verdict: StepVerdict | None = None
        self._missed: float | None = None
        self._end: SearchEnd | None = None
        self._sent = 0
        self._step: Step | None = self._first(_rounded(limits.start_per_s), 1)

    @property
    def result(self) -> SearchResult:
        """What is known so far."""
        return SearchResult(
            lower_per_s=self._lower,
            upper_per_s=self._upper,
            upper_verdict=self._upper_verdict,
            missed_per_s=self._missed,
            end=self._end,
        )

    def next(self) -> Step | None:
        """Return what to run; the same until it is recorded, None when the search has ended."""
        return self._step

    def stop(self, end: SearchEnd) -> None:
        """End the search from outside. What is known stays; an end that was reached stays."""
        if self._end is None:
            self._end = end
        self._step = None

    def record(self, step: Step, verdict: StepVerdict) -> None:
        """Take what the step that `next` gave has shown, with its earlier parts.

        Raises ValueError for another step.
        """
        if step != self._step:
            msg = f"{step} is not the step to record: {self._step}"
            raise ValueError(msg)
        if verdict is StepVerdict.DRIVER_LIMITED:
            self._try_again(step)
            return
        self._sent += step.requests
        bound = self._limits.most_extension * self._requests(step.rate_per_s)
        if verdict is StepVerdict.UNDECIDED and 2 * self._sent <= bound:
            self._step = Step(
                number=step.number,
                part=step.part + 1,
                attempt=1,
                rate_per_s=step.rate_per_s,
                requests=self._sent,
            )
            return
        self._note(step.rate_per_s, verdict)
        self._step = self._after(step)

    def _try_again(self, step: Step) -> None:
        if step.attempt == _ATTEMPTS:
            self.stop(SearchEnd.DRIVER_LIMITED)
            return
        self._step = Step(
            number=step.number,
            part=step.part,
            attempt=step.attempt + 1,
            rate_per_s=step.rate_per_s,
            requests=step.requests,
        )

    def _note(self, rate_per_s: float, verdict: StepVerdict) -> None:
        if verdict is StepVerdict.MET:
            self._lower = rate_per_s
            return
        self._upper, self._upper_verdict = rate_per_s, verdict
        if verdict is StepVerdict.MISSED:
            self._missed = rate_per_s

    def _after(self, step: Step) -> Step | None:
        self._end = self._reached(step)
        if self._end is None and step.number >= self._limits.most_steps:
            self._end = SearchEnd.MOST_STEPS
        if self._end is not None:
            return None
        return self._first(_rounded(self._rate_after(step)), step.number + 1)

    def _reached(self, step: Step) -> SearchEnd | None:
        """Say why the search has ended with this step; None if there is a rate to try yet."""
        limits = self._limits
        if self._lower is not None and self._upper is not None:
            near = self._upper <= self._lower * (1 + limits.resolution)
            return SearchEnd.FOUND if near else None
        if self._upper is None:
            highest = step.rate_per_s >= _rounded(limits.highest_per_s)
            return SearchEnd.NEVER_MISSED if highest else None
        if step.rate_per_s > _rounded(limits.lowest_per_s):
            return None
        missed = self._upper_verdict is StepVerdict.MISSED
        return SearchEnd.NEVER_MET if missed else SearchEnd.NEVER_DECIDED

    def _rate_after(self, step: Step) -> float:
        if self._lower is not None and self._upper is not None:
            return math.sqrt(self._lower * self._upper)
        if self._upper is None:
            return min(step.rate_per_s * FACTOR, self._limits.highest_per_s)
        return max(step.rate_per_s / FACTOR, self._limits.lowest_per_s)

    def _first(self, rate_per_s: float, number: int) -> Step:
        self._sent = 0
        return Step(
            number=number,
            part=1,
            attempt=1,
            rate_per_s=rate_per_s,
            requests=self._requests(rate_per_s),
        )

    def _requests(self, rate_per_s: float) -> int:
        return max(self._limits.requests, math.ceil(rate_per_s * self._limits.least_step_s))


def _rounded(rate_per_s: float) -> float:
    """Round to six digits: to be read and typed, and much finer than any resolution allowed."""
    return round(rate_per_s, _DIGITS - 1 - math.floor(math.log10(rate_per_s)))
