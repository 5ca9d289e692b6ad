"""From two profiles to a comparison: a pure function of them, of gates and a plan."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from profiler import __version__
from profiler.comparison.changes import changes_of
from profiler.comparison.compatible import check_comparable, is_mock
from profiler.comparison.estimates import adjusted
from profiler.comparison.gates import DEFAULT_GATES
from profiler.comparison.judging import judge, verdict_of
from profiler.comparison.model import (
    COMPARISON_SCHEMA_VERSION,
    Comparison,
    Curve,
    Difference,
    MetricComparison,
    Side,
)
from profiler.comparison.numbers import Sides
from profiler.profile.model import dump_profile
from profiler.profile.objectives import ERROR_RATE
from profiler.profile.sample import SCALES, sample_of_distribution

if TYPE_CHECKING:
    from collections.abc import Sequence

    from profiler.comparison.gates import Gate
    from profiler.comparison.model import PlanMeaning, Points
    from profiler.comparison.numbers import Number
    from profiler.profile.distribution import Distribution
    from profiler.profile.model import WorkloadProfile

FALSE_DISCOVERY_RATE = 0.05
_WITH_P95 = ("interaction.", "llm_call.")
_PERCENTILES = (0, 10, 25, 50, 75, 90, 95, 97.5, 99, 99.5, 99.75, 99.9, 99.95, 99.99)
_FEWEST_ABOVE = 2  # a percentile with one value above it is that value


def compare(
    baseline: WorkloadProfile,
    candidate: WorkloadProfile,
    *,
    gates: Sequence[Gate] = DEFAULT_GATES,
    meaning: PlanMeaning | None = None,
    anyway: bool = False,
) -> Comparison:
    """Compare two profiles, number by number, and judge the gates.

    Raises `ProfileError` for runs that are not of one kind (`compatible`), unless `anyway`.
    """
    differs = check_comparable(baseline, candidate, anyway=anyway)
    sides = Sides(baseline, candidate)
    metrics = _metrics(sides)
    results = judge(gates, sides)
    only = [
        tuple(sorted(n for n in sides.known if sides.lacking(n) == f"not observed in {who}"))
        for who in ("the candidate", "the baseline")
    ]
    return Comparison(
        schema_version=COMPARISON_SCHEMA_VERSION,
        kind="comparison",
        tool_version=__version__,
        workload=baseline.run.workload,
        baseline=_side(baseline),
        candidate=_side(candidate),
        paired=sides.sessions.paired,
        differs=differs,
        changes=changes_of(metrics, baseline, candidate),
        metrics=metrics,
        only_baseline=only[0],
        only_candidate=only[1],
        gates=results,
        verdict=verdict_of(results),
        plan=meaning,
    )


def _side(profile: WorkloadProfile) -> Side:
    return Side(
        id=profile.run.id,
        digest=hashlib.sha256(dump_profile(profile)).hexdigest(),
        started_at=profile.run.started_at,
        interactions=profile.sample.interactions,
        sessions=profile.sample.sessions,
        mock=is_mock(profile),
        verdict=profile.trust.verdict,
    )


def _metrics(sides: Sides) -> tuple[MetricComparison, ...]:
    numbers = {name: _numbers(sides, name) for name in sides.shared}
    every = [number for found in numbers.values() for number in found]
    p_values = {(n.metric, n.statistic): n.pair.p_value() for n in every}
    # What is the same in both without any doubt is no hypothesis: it would only dilute the others.
    asked = {key: p for key, p in p_values.items() if p is not None and p < 1}
    together = dict(zip(asked, adjusted(list(asked.values())), strict=True))
    return tuple(
        MetricComparison(
            metric=name,
            unit=found[0].unit,
            counts=_counts(sides, name),
            differences=tuple(
                _difference(n, p_values[name, n.statistic], together.get((name, n.statistic)))
                for n in found
            ),
            curve=_curve(sides, name),
        )
        for name, found in numbers.items()
        if found
    )


def _numbers(sides: Sides, metric: str) -> list[Number]:
    if metric == ERROR_RATE:
        names = ["share"]
    else:
        distributions = sides.distributions(metric)
        unit = None if distributions is None else distributions[0].unit
        # Of counts a p95 is a step: drawn again it is the same, or one more.
        has_p95 = metric.startswith(_WITH_P95) and unit in ("s", "tokens")
        names = ["mean", "p95"] if has_p95 else ["mean"]
    found = [sides.number(metric, name) for name in names]
    return [number for number in found if number is not None]


def _counts(sides: Sides, metric: str) -> tuple[int, int]:
    found = sides.distributions(metric)
    if found is None:
        return sides.baseline.sample.interactions, sides.candidate.sample.interactions
    return found[0].count, found[1].count


def _difference(number: Number, p_value: float | None, among: float | None) -> Difference:
    pair = number.pair
    p_adjusted = p_value if among is None else among
    return Difference(
        statistic=number.statistic,
        baseline=pair.baseline,
        candidate=pair.candidate,
        difference=pair.difference,
        difference_ci95=pair.difference_interval(),
        relative=pair.relative,
        relative_ci95=pair.relative_interval(),
        p_value=p_value,
        p_adjusted=p_adjusted,
        real=None if p_adjusted is None else p_adjusted <= FALSE_DISCOVERY_RATE,
        method=number.method,
        reason=number.reason,
    )


def _curve(sides: Sides, metric: str) -> Curve | None:
    found = sides.distributions(metric)
    if found is None or found[0].unit != "s" or not metric.startswith("interaction."):
        return None
    return Curve(baseline=_points(found[0]), candidate=_points(found[1]))


def _points(distribution: Distribution) -> Points:
    histogram = sample_of_distribution(distribution).histogram
    per_unit = SCALES[distribution.unit].per_unit
    percents = [p for p in _PERCENTILES if histogram.count * (100 - p) / 100 >= _FEWEST_ABOVE]
    found = [(float(p), histogram.percentile(p)) for p in (*percents, 100)]
    return tuple((p, value / per_unit) for p, value in found if value is not None)
