"""Many runs of one workload in the order of time: how numbers went, and where they changed.

Change points are found by halving again and again (binary segmentation: Scott and Knott,
*Biometrics* 30, 1974): the cut whose sides differ most for their errors is taken where that is more
than chance, then each side is looked at in the same way.

Runs vary from one to the next by more than their own intervals say (another machine, another hour).
How much is taken from neighbours, of which few have a change between them: half the median squared
step is 0.455 of a variance (the median of chi-square with one degree of freedom). So found, n runs
are worth about (n - 1) / 2 degrees of freedom: with them, 1 or 2 % of simulated series of 6 to 40
runs that only waver have a change point, and a step of six of their standard deviations is found in
7 of 10 series of 8 runs, in nearly all of 12.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

from profiler.comparison.compatible import check_comparable
from profiler.comparison.estimates import Test, welch_degrees
from profiler.comparison.numbers import variance_of
from profiler.errors import ProfileError
from profiler.profile.model import named_distributions
from profiler.profile.objectives import ERROR_RATE
from profiler.profile.statistics import cluster_sums, mean_interval, mean_variance

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from profiler.profile.distribution import Distribution
    from profiler.profile.model import WorkloadProfile

_SERIES = (
    *(("interaction.llm_calls", "mean"), ("interaction.tool_calls", "mean")),
    *(("interaction.input_tokens", "mean"), ("interaction.history_tokens", "mean")),
    *(("interaction.output_tokens", "mean"), ("interaction.cached_input_tokens", "mean")),
    *(("interaction.latency", "mean"), ("interaction.latency", "p95")),
    *(("interaction.time_to_first_token", "mean"), ("interaction.state_writes", "mean")),
)
_ERROR_RATE = 0.05
_CHI_SQUARE_MEDIAN = 0.4549364
_FEWEST_FOR_NOISE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One run: its value, the variance of that and its interval; None: not known."""

    value: float
    variance: float | None
    count: int
    sessions: int
    ci95: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One number over all runs. None: that run has it not. `changes` are places in the runs."""

    metric: str
    statistic: str
    unit: str
    points: tuple[Point | None, ...]
    changes: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """All runs, by start, and the numbers that most of them have."""

    workload: str
    runs: tuple[tuple[str, str], ...]
    series: tuple[Series, ...]
    differs: tuple[str, ...]


def trend_of(profiles: Sequence[WorkloadProfile], *, anyway: bool = False) -> Trend:
    """Return the trend of two or more runs. Raises `ProfileError` as `check_comparable` does."""
    if len(profiles) < 2:  # noqa: PLR2004 - one run has no trend
        raise ProfileError("one profile is no trend", fix="Give two or more")
    every = sorted(profiles, key=lambda profile: (profile.run.started_at, profile.run.id))
    differs: dict[str, None] = {}
    for profile in every[1:]:
        found = check_comparable(every[0], profile, anyway=anyway)
        differs |= dict.fromkeys(
            f"run {profile.run.id}, against the first: {text}" for text in found
        )
    named = [dict(named_distributions(profile)) for profile in every]
    asked = [key for key in _SERIES if sum(key[0] in each for each in named) > 1]
    count = len(asked) + 1
    return Trend(
        workload=every[0].run.workload,
        runs=tuple((profile.run.id, profile.run.started_at) for profile in every),
        series=(
            *(_series(*key, [each.get(key[0]) for each in named], count) for key in asked),
            _errors(every, count),
        ),
        differs=tuple(differs),
    )


def _series(metric: str, statistic: str, found: list[Distribution | None], asked: int) -> Series:
    points = tuple(None if each is None else _point(each, statistic) for each in found)
    unit = next(each.unit for each in found if each is not None)
    return _with_changes(metric, statistic, unit, points, asked)


def _errors(profiles: Sequence[WorkloadProfile], asked: int) -> Series:
    """Return the share of interactions that failed, run by run."""
    sizes = [profile.sample.interactions for profile in profiles]
    failed = [p.sample.interactions - p.sample.succeeded for p in profiles]
    overall = sum(failed) / sum(sizes)
    points = tuple(map(partial(_error_point, overall=overall), profiles))
    return _with_changes(ERROR_RATE, "share", "share", points, asked)


def _error_point(profile: WorkloadProfile, *, overall: float) -> Point:
    """Return a run's share of failures. A run without any is as sure as its size lets it be.

    Its zeros do not vary; that of a share which is the same in all runs would.
    """
    columns = profile.joint.columns
    session, ok = columns.index("session"), columns.index("ok")
    rows: dict[object, list[bool]] = defaultdict(list)
    for row in profile.joint.rows:
        rows[row[session]].append(not row[ok])
    sums = cluster_sums([len(each) for each in rows.values()], [sum(e) for e in rows.values()])
    size = profile.sample.interactions
    value = (size - profile.sample.succeeded) / size
    interval = mean_interval(sums) if value else None
    return Point(
        value=value,
        variance=mean_variance(sums) if value else overall * (1 - overall) / size,
        count=size,
        sessions=max(1, len(rows)),
        ci95=None if interval is None else (max(0.0, interval[0]), interval[1]),
    )


def _with_changes(
    metric: str, statistic: str, unit: str, points: tuple[Point | None, ...], asked: int
) -> Series:
    known = [(place, point) for place, point in enumerate(points) if point is not None]
    usable = [(place, point) for place, point in known if point.variance is not None]
    return Series(
        metric=metric,
        statistic=statistic,
        unit=unit,
        points=points,
        changes=tuple(
            usable[cut][0] for cut in sorted(change_points([p for _, p in usable], asked))
        ),
    )


def _point(distribution: Distribution, statistic: str) -> Point | None:
    value: float | None = getattr(distribution, statistic)
    if value is None:
        return None
    return Point(
        value=value,
        variance=variance_of(distribution, statistic),
        count=distribution.count,
        sessions=distribution.clusters.sessions,
        ci95=getattr(distribution, f"{statistic}_ci95"),
    )


def change_points(points: Sequence[Point], asked: int = 1) -> Iterator[int]:
    """Yield the places from which on the value is another, in no order.

    Every point has a variance. `asked` is how many series are looked at beside this one: a cut is
    taken where its p-value is below 5 % of all cuts that might have been, of all of them.
    """
    noise = _noise(points)
    pending = [(0, len(points))]
    while pending:
        start, end = pending.pop()
        cuts = range(start + 1, end)
        if not cuts:
            continue
        p_values = {
            cut: _p_value(points[start:cut], points[cut:end], noise, len(points)) for cut in cuts
        }
        # Of equally sure ones, the widest step.
        best = min(cuts, key=lambda cut: (p_values[cut], -abs(_step(points, start, cut, end))))
        if p_values[best] * (len(points) - 1) * asked <= _ERROR_RATE:
            yield best
            pending += [(start, best), (best, end)]


def _noise(points: Sequence[Point]) -> float:
    """Return the variance between runs that nothing within a run shows."""
    if len(points) < _FEWEST_FOR_NOISE:
        return 0.0
    steps = [(b.value - a.value) ** 2 for a, b in pairwise(points)]
    whole = median(steps) / 2 / _CHI_SQUARE_MEDIAN
    return max(0.0, whole - median(point.variance or 0.0 for point in points))


def _step(points: Sequence[Point], start: int, cut: int, end: int) -> float:
    return _mean(points[cut:end]) - _mean(points[start:cut])


def _mean(points: Sequence[Point]) -> float:
    return sum(point.value * point.count for point in points) / sum(p.count for p in points)


def _p_value(before: Sequence[Point], after: Sequence[Point], noise: float, runs: int) -> float:
    sides = [_side(side, noise) for side in (before, after)]
    error = sum(variance for variance, _ in sides) ** 0.5
    degrees = (runs - 1) / 2 if noise else welch_degrees(sides)
    test = Test(excess=_mean(after) - _mean(before), error=error, degrees=degrees)
    return min(1.0, 2 * min(test.p_above, test.p_below))


def _side(points: Sequence[Point], noise: float) -> tuple[float, int]:
    count = sum(point.count for point in points)
    variance = sum(
        (point.count / count) ** 2 * ((point.variance or 0.0) + noise) for point in points
    )
    return variance, max(1, sum(point.sessions - 1 for point in points))
