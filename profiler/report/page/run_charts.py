"""Charts of the run over time: load, latency, errors, and the harness watching itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from profiler.clock import NS_PER_S
from profiler.report.charts.axis import PER_S, SHARE
from profiler.report.charts.bars import Bar, bars
from profiler.report.charts.series import Series, over_time
from profiler.report.page.model import Chart
from profiler.report.quantities import percent, printable, quantity, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from profiler.profile.burstiness import Starts
    from profiler.profile.model import WorkloadProfile
    from profiler.profile.timeline import HarnessPoint, RunTimeline

_MOST_POINTS = 120
_MOST_KINDS = 10


def load_charts(profile: WorkloadProfile, timeline: RunTimeline | None) -> tuple[Chart, ...]:
    """Return the charts of what is known: load and kinds of errors always, the rest by journal."""
    charts = [*_latency(timeline), *_load(profile), *_errors(timeline), *_kinds(profile)]
    return (*charts, *_harness(timeline))


def _latency(timeline: RunTimeline | None) -> Iterator[Chart]:
    if timeline is None or not any(each.latency_p50_s for each in timeline.slices):
        return
    title = "Latency over time"
    series = (
        Series("p50", tuple((each.at_s, each.latency_p50_s) for each in timeline.slices)),
        Series("p95", tuple((each.at_s, each.latency_p95_s) for each in timeline.slices)),
    )
    worst = max((s.latency_p95_s or s.latency_p50_s or 0.0 for s in timeline.slices), default=0.0)
    every = quantity(float(timeline.slice_s), "s")
    says = f"by when it was sent, in slices of {every}; at worst {quantity(worst, 's')}"
    svg = over_time(series, "s", title=title, says=says)
    yield Chart(title, svg, ("p50", "p95"), f"Of what succeeded, {says}.")


def _load(profile: WorkloadProfile) -> Iterator[Chart]:
    found = profile.burstiness
    if found is None or not found.sent.stretches:
        return
    origin = found.sent.stretches[0].first_ns // NS_PER_S
    names = [("sent", found.sent)]
    if found.asked is not None:
        names.append(("asked", found.asked))
    title = "Interactions started per second"
    series = [Series(name, tuple(_starts(starts, origin))) for name, starts in names]
    most = max((value for each in series for _, value in each.points if value), default=0.0)
    says = f"at most {quantity(most, 'count')} in one point"
    svg = over_time(series, PER_S, title=title, says=says)
    yield Chart(title, svg, tuple(name for name, _ in names))


def _starts(starts: Starts, origin: int) -> Iterator[tuple[float, float | None]]:
    """Yield starts per second, several seconds together where there are many; gaps between runs."""
    whole_span = sum(stretch.counts.count(",") + 1 for stretch in starts.stretches)
    step = max(1, -(-whole_span // _MOST_POINTS))
    for number, stretch in enumerate(starts.stretches):
        first, counts = stretch.first_ns // NS_PER_S - origin, stretch.seconds()
        if number:
            yield float(first), None
        for place in range(0, len(counts), step):
            part = counts[place : place + step]
            yield first + place + len(part) / 2, sum(part) / len(part)


def _errors(timeline: RunTimeline | None) -> Iterator[Chart]:
    if timeline is None or not any(each.failed for each in timeline.slices):
        return
    title = "Share failed over time"
    points = tuple(
        (each.at_s, each.failed / each.ended if each.ended else None) for each in timeline.slices
    )
    worst = max(share for _, share in points if share is not None)
    says = f"at worst {percent(worst)} of a slice"
    svg = over_time((Series("failed", points),), SHARE, title=title, says=says)
    yield Chart(title, svg, note=f"Of the interactions sent within a slice; {says}.")


def _kinds(profile: WorkloadProfile) -> Iterator[Chart]:
    failed = profile.sample.failed
    if not failed:
        return
    most = sorted(failed.items(), key=lambda item: (-item[1], item[0]))[:_MOST_KINDS]
    title = "Failed interactions by kind"
    found = [Bar(printable(kind), (float(times),), whole(times)) for kind, times in most]
    says = ", ".join(f"{each.name} {each.words}" for each in found)
    yield Chart(title, bars(found, ("failed",), "count", title=title, says=says))


def _harness(timeline: RunTimeline | None) -> Iterator[Chart]:
    points = () if timeline is None else timeline.harness
    if not points:
        return
    worst = max(point.loop_lag_s for point in points)
    kinds: tuple[tuple[str, str, Callable[[HarnessPoint], float], str], ...] = (
        ("Interactions in flight", "count", lambda point: float(point.in_flight), ""),
        (
            "Harness: event loop lag",
            "s",
            lambda point: point.loop_lag_s,
            f"Worst {quantity(worst, 's')}; over 50 ms the harness is late itself.",
        ),
        (
            "Harness: share of one CPU",
            SHARE,
            lambda point: point.cpu_share,
            "At 95 % and more the harness is the bottleneck.",
        ),
    )
    for title, unit, value, note in kinds:
        series = Series("most", tuple(_most(points, value)))
        top = max(value(point) for point in points)
        svg = over_time((series,), unit, title=title, says=f"most {top:.3g}")
        yield Chart(title, svg, note=note)


def _most(
    points: Sequence[HarnessPoint], value: Callable[[HarnessPoint], float]
) -> Iterator[tuple[float, float]]:
    """Yield the most of each stretch of points: what a mean would hide is what matters here."""
    step = max(1, -(-len(points) // _MOST_POINTS))
    for first in range(0, len(points), step):
        part = points[first : first + step]
        yield part[len(part) // 2].at_s, max(map(value, part))
