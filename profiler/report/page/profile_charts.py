"""Charts of a profile: latency, where the time goes, calls, tools, limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from profiler.profile.sample import SCALES, sample_of_distribution
from profiler.report.charts.axis import SHARE
from profiler.report.charts.bars import Bar, bars
from profiler.report.charts.columns import Column, columns
from profiler.report.charts.percentiles import Curve, percentiles, shares
from profiler.report.charts.waterfall import waterfall
from profiler.report.page.inside import Inside, typical, unusual
from profiler.report.page.model import Chart
from profiler.report.quantities import TIMES, percent, plural, printable, quantity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from profiler.profile.distribution import Distribution
    from profiler.profile.model import WorkloadProfile
    from profiler.profile.rate_limits import RateLimitInfo
    from profiler.profile.timeline import RunTimeline

_LATENCIES = (
    ("latency", "latency"),
    ("scheduled_latency", "from intended start"),
    ("time_to_first_token", "first token"),
)
_CALL_LATENCIES = (("latency", "LLM call"), ("time_to_first_token", "first token"))
_PARTS_OF_TIME = (("llm_time", "LLM"), ("tool_time", "tools"), ("own_time", "the agent itself"))
_KINDS = ("LLM call", "tool", "own time")
_MOST_TOOLS = 12
_MOST_COLUMNS = 24
_MOST_MODELS = 8


def curve(name: str, distribution: Distribution) -> Curve:
    """Read a distribution's percentiles from its histogram, in the unit of its summary."""
    sample = sample_of_distribution(distribution)
    per_unit = SCALES[distribution.unit].per_unit
    found = [
        (share, value / per_unit)
        for share in shares(sample.histogram.count)
        if (value := sample.histogram.percentile(round(share * 100, 9))) is not None
    ]
    return Curve(name, tuple(found))


def latency_charts(profile: WorkloadProfile) -> tuple[Chart, ...]:
    """Return percentiles of an interaction's times and of an LLM call's."""
    groups = (
        ("One interaction", _LATENCIES, profile.interaction),
        ("One LLM call", _CALL_LATENCIES, profile.llm_call),
    )
    charts = []
    for title, names, metrics in groups:
        found = [(label, metrics[name]) for name, label in names if name in metrics]
        if found:
            svg = percentiles(
                [curve(label, each) for label, each in found],
                "s",
                title=f"{title}: percentiles of its times",
                says=_in_words(found),
            )
            charts.append(Chart(title, svg, tuple(label for label, _ in found)))
    return tuple(charts)


def _in_words(found: list[tuple[str, Distribution]]) -> str:
    return "; ".join(
        f"{label} p50 {quantity(each.p50, each.unit)}, p95 {quantity(each.p95, each.unit)}, "
        f"most {quantity(each.max, each.unit)}"
        for label, each in found
    )


def time_charts(profile: WorkloadProfile, timeline: RunTimeline | None) -> tuple[Chart, ...]:
    """Return what the mean latency consists of, and two real interactions, one of them slow."""
    charts = list(_mean_time(profile))
    has_tools = timeline is not None
    latency = profile.interaction.get("latency")
    if latency is not None:
        for title, inside in (
            ("An interaction like the mean", typical(profile, timeline)),
            ("A slow one, near the p95", unusual(profile, timeline)),
        ):
            if inside is not None:
                charts.append(_one(title, inside, has_tools=has_tools))
    return tuple(charts)


def _mean_time(profile: WorkloadProfile) -> Iterator[Chart]:
    metrics = profile.interaction
    found = [(label, metrics[name].mean) for name, label in _PARTS_OF_TIME if name in metrics]
    latency = metrics.get("latency")
    if latency is None or len(found) < len(_PARTS_OF_TIME):
        return
    total = sum(mean for _, mean in found)
    words = ", ".join(f"{label} {quantity(mean, 's')}" for label, mean in found)
    svg = bars(
        [Bar("mean latency", tuple(mean for _, mean in found), quantity(latency.mean, "s"))],
        [label for label, _ in found],
        "s",
        title="What the mean latency consists of",
        says=words,
    )
    note = "State operations are counted, not timed: theirs is in the agent's own time."
    if total > latency.mean * 1.02:
        note += f" Calls overlap: together they take {quantity(total, 's')}."
    yield Chart(
        "What the mean latency consists of",
        svg,
        tuple(label for label, _ in found),
        f"{words}. {note}",
    )


def _one(title: str, inside: Inside, *, has_tools: bool) -> Chart:
    svg = waterfall(
        inside.spans,
        title=title,
        says=f"{quantity(inside.latency_s, 's')} in all, {plural(len(inside.spans), 'step')}",
    )
    kinds = _KINDS if has_tools else (_KINDS[0], "tools and own time")
    note = (
        f"A real interaction of {quantity(inside.latency_s, 's')}, turn {inside.turn}, with "
        f"{plural(inside.llm_calls, 'LLM call')}."
    )
    return Chart(title, svg, kinds, note)


def call_charts(profile: WorkloadProfile) -> tuple[Chart, ...]:
    """Return how many interactions made how many LLM calls."""
    found = profile.interaction.get("llm_calls")
    if found is None:
        return ()
    counts = sample_of_distribution(found).histogram.counts()
    times = {low: n for low, _, n in counts if low < _MOST_COLUMNS}
    beyond = sum(n for low, _, n in counts if low >= _MOST_COLUMNS)
    last = max(times, default=0)
    stacks = [Column(f"{calls}", (float(times.get(calls, 0)),)) for calls in range(last + 1)]
    if beyond:
        stacks.append(Column(f"{_MOST_COLUMNS}+", (float(beyond),)))
    title = "LLM calls per interaction"
    svg = columns(
        stacks,
        ("interactions",),
        "count",
        title=title,
        says=f"mean {quantity(found.mean, 'count')}, most {quantity(found.max, 'count')}",
        x_name="LLM calls",
        is_whole=True,
    )
    note = (
        f"Interactions by how many LLM calls they made; {quantity(found.mean, 'count')} on average."
    )
    return (Chart(title, svg, note=note),)


def tool_charts(profile: WorkloadProfile) -> tuple[Chart, ...]:
    """Return the tools that an interaction spends most time on; those without times are not."""
    timed = [
        (each.duration.mean, each.calls_per_interaction.mean, name)
        for name, each in profile.tools.items()
        if each.duration is not None
    ]
    most = sorted(timed, key=lambda each: (-each[0] * each[1], each[2]))[:_MOST_TOOLS]
    if not most:
        return ()
    title = "Tools by time per interaction"
    found = [
        Bar(name, (took_s * calls,), f"{TIMES}{quantity(calls, 'count')} · {quantity(took_s, 's')}")
        for took_s, calls, name in most
    ]
    says = ", ".join(f"{printable(each.name, 30)} {quantity(each.parts[0], 's')}" for each in found)
    svg = bars(found, ("time per interaction",), "s", title=title, says=says)
    left = len(timed) - len(most)
    note = f"{TIMES}: calls per interaction; then the time of one call, on average."
    return (Chart(title, svg, note=f"{note} {left} more under All metrics." if left else note),)


def limit_charts(profile: WorkloadProfile) -> tuple[Chart, ...]:
    """Return how much of each limit was left at the worst moment, where headers said so."""
    found = [
        each
        for model, info in sorted(profile.rate_limits.items())[:_MOST_MODELS]
        for each in _limits(model, info)
    ]
    if not found:
        return ()
    title = "Rate limits: most used at any time"
    says = ", ".join(f"{printable(each.name)} {each.words}" for each in found)
    svg = bars(found, ("used", "left"), SHARE, title=title, says=says, reference=1.0)
    return (Chart(title, svg, ("used", "left"), "By the headers of the provider's answers."),)


def _limits(model: str, info: RateLimitInfo) -> Iterator[Bar]:
    kinds = (
        ("requests", info.limit_requests_highest, info.lowest_remaining_requests),
        ("tokens", info.limit_tokens_highest, info.lowest_remaining_tokens),
    )
    for kind, limit, remaining in kinds:
        if limit and remaining is not None:
            used = min(max(1 - remaining / limit, 0.0), 1.0)
            words = f"{percent(used)} of {quantity(limit, 'count')}"
            yield Bar(f"{printable(model, 30)} {kind}", (used, 1 - used), words)
