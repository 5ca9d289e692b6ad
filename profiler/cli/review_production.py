"""What a Prometheus tells of production, gathered for a review."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from profiler.planner.nearness import Watched
from profiler.planner.production import (
    MONTH_S,
    QUESTIONS,
    STRETCHES,
    WEEK_S,
    Question,
    Reading,
    actual_of,
    busiest,
    by_bucket,
    growth_of,
    risen,
)
from profiler.planner.review_inputs import MONTH, PEAK
from profiler.planner.reviewing import Measurement, baseline_of_plan, planned_inputs

if TYPE_CHECKING:
    from profiler.observers.prometheus import Prometheus
    from profiler.planner.actual import Actual
    from profiler.planner.plan import Plan
    from profiler.planner.review import Growth
    from profiler.planner.triggers import Trigger

_NO_METRIC = "production has no metric for it"
_SHORT = "under a week of production's metrics: a peak and a month need one"


class _Gathering:
    """Asks one Prometheus about the time since `since_s` seconds before `now_s`."""

    def __init__(self, server: Prometheus, since_s: float, now_s: float) -> None:
        # Whole seconds: the last stretch is to end now, and not to be lost to rounding.
        self._server = server
        self._step_s = float(max(1, int(since_s / STRETCHES)))
        self._since_s = self._step_s * STRETCHES
        self.now_s = float(int(now_s))

    def stretches(self, selector: str) -> dict[float, float]:
        """Return by how much a counter rose in each stretch, by the stretch's end."""
        found = self._server.series(
            risen(selector, self._step_s),
            start_s=self.now_s - self._since_s + self._step_s,
            end_s=self.now_s,
            step_s=self._step_s,
        )
        return dict(found)

    def reading(self, question: Question) -> Reading | None:
        """Return the answer to a question; None: production does not have the metric."""
        parts, wholes = self.stretches(question.part), self.stretches(question.whole)
        if not parts or not wholes:
            return None
        query = by_bucket(question, self._since_s)
        return Reading(
            # A counter that is not there yet in a stretch has not counted anything in it.
            parts=[parts.get(at, 0.0) for at in wholes],
            wholes=list(wholes.values()),
            buckets=() if query is None else self._server.buckets(query, self.now_s),
        )

    def covered_s(self, counter: str) -> float:
        """Return for how long there are values of a counter."""
        return len(self.stretches(counter)) * self._step_s

    def month(self, counter: str, covered_s: float) -> float:
        """Return what a counter counts in thirty days."""
        return sum(self.stretches(counter).values()) / covered_s * MONTH_S

    def peak(self) -> float | None:
        """Return the interactions per minute of the busiest few minutes."""
        return self._server.value(busiest(self._since_s), self.now_s)

    def growth(self, counter: str, covered_s: float) -> Growth | None:
        """Return how the weeks grow; None: too few of them."""
        weeks = int(covered_s // WEEK_S)
        if weeks < 1:
            return None
        found = self._server.series(
            risen(counter, WEEK_S),
            start_s=self.now_s - (weeks - 1) * WEEK_S,
            end_s=self.now_s,
            step_s=WEEK_S,
        )
        return growth_of(found)

    def watched(self, trigger: Trigger) -> Watched:
        """Return the values of a trigger, and what the last of them is made of."""
        points = self._server.series(
            trigger.expression,
            start_s=self.now_s - self._since_s + self._step_s,
            end_s=self.now_s,
            step_s=self._step_s,
        )
        if points and points[-1][0] < self.now_s - self._step_s / 2:
            points = []  # it was there once, and tells nothing of now
        samples = None
        if trigger.samples is not None:
            samples = self._server.value(trigger.samples, self.now_s)
        return Watched(points=points, samples=samples)


def gather(
    server: Prometheus, plan: Plan, *, since_s: float, now_s: float | None = None
) -> Measurement:
    """Ask a Prometheus for every input and trigger of a plan. Raises UsageError."""
    from profiler.planner import metric_names as names

    asking = _Gathering(server, since_s, time.time() if now_s is None else now_s)
    planned = planned_inputs(plan)
    found: dict[str, Actual] = {}
    missing: dict[str, str] = {}
    for name, known in planned.items():
        if name in {PEAK, MONTH}:
            continue
        question = QUESTIONS.get(name)
        if question is None:
            missing[name] = _NO_METRIC
            continue
        reading = asking.reading(question)
        actual = None
        if reading is not None:
            count = baseline_of_plan(plan).metrics[name].count
            effect = count / known.size if known.size else 1.0
            actual = actual_of(reading, design_effect=max(1.0, effect))
        if actual is None:
            missing[name] = f"production has nothing of {question.metric}"
        else:
            found[name] = actual
    covered_s = asking.covered_s(names.INTERACTIONS)
    found |= _traffic(asking, covered_s, missing)
    return Measurement(
        source=f"{server.shown}, the last {since_s / 86_400:.3g} days",
        actual=found,
        missing=missing,
        growth=asking.growth(names.INTERACTIONS, covered_s),
        watched={each.id: asking.watched(each) for each in plan.triggers},
    )


def _traffic(asking: _Gathering, covered_s: float, missing: dict[str, str]) -> dict[str, Actual]:
    from profiler.planner import metric_names as names
    from profiler.planner.actual import Actual

    if not covered_s:
        missing |= dict.fromkeys((PEAK, MONTH), f"production has nothing of {names.INTERACTIONS}")
        return {}
    if covered_s < WEEK_S:
        missing |= dict.fromkeys((PEAK, MONTH), _SHORT)
        return {}
    # Counted, not sampled: there is no chance in it.
    month, peak = asking.month(names.INTERACTIONS, covered_s), asking.peak()
    found = {MONTH: Actual(mean=month, mean_ci95=(month, month))}
    if peak is None:
        missing[PEAK] = f"{names.INTERACTIONS} is scraped too seldom to tell a peak"
    else:
        found[PEAK] = Actual(mean=peak, mean_ci95=(peak, peak))
    return found
