"""A profile as a page: what one interaction costs, then where it goes, then every number."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from profiler.report.page.model import (
    Charts,
    Facts,
    KeyFigure,
    Page,
    Section,
    Tone,
)
from profiler.report.page.profile_charts import (
    call_charts,
    latency_charts,
    limit_charts,
    time_charts,
    tool_charts,
)
from profiler.report.page.profile_tables import metrics_table, reconciliation_table
from profiler.report.page.run_charts import load_charts
from profiler.report.page.token_charts import token_charts
from profiler.report.plan_blocks import Items, Sums, Words
from profiler.report.quantities import (
    NOTHING,
    mean_with_interval,
    percent,
    plural,
    printable,
    quantity,
    value_with_interval,
    whole,
)
from profiler.report.summary import UNSTABLE, summarise

if TYPE_CHECKING:
    from profiler.profile.distribution import Distribution
    from profiler.profile.model import WorkloadProfile
    from profiler.profile.timeline import RunTimeline

_TONES: dict[str, Tone] = {"trusted": "good", "inconclusive": "warn", "driver_limited": "bad"}
_MEANINGS = {
    "trusted": "Trusted: the numbers are the agent's, not the harness's.",
    "inconclusive": "Inconclusive: too little was measured to rely on.",
    "driver_limited": "Driver limited: the harness was the bottleneck, the agent was not.",
}
_FIGURES = (
    ("latency", "latency"),
    ("time_to_first_token", "first token after"),
    ("llm_calls", "LLM calls"),
    ("input_tokens", "input tokens"),
    ("output_tokens", "output tokens"),
    ("tool_time", "tool time"),
)
_NO_JOURNAL = (
    "Latency and errors over time, tool calls within an interaction and tokens by part and turn "
    "are read from the journal, and none of this profile's is beside it."
)


def profile_page(profile: WorkloadProfile, timeline: RunTimeline | None) -> Page:
    """Return the page; what is read from the journal is left out where there is none, and said."""
    summary = summarise(profile)
    verdict = _MEANINGS[profile.trust.verdict]
    if profile.trust.reasons:
        verdict += f" {printable('; '.join(profile.trust.reasons), 400)}."
    return Page(
        title=summary.title,
        subtitle=f"What one user interaction costs · {dict(summary.facts)['measured']}",
        verdict=verdict,
        tone=_TONES[profile.trust.verdict],
        doubts=_doubts(profile),
        figures=_figures(profile),
        sections=(
            Section("How it was measured", (Facts(summary.facts),)),
            _charts("Latency", Charts(latency_charts(profile))),
            _charts("Where the time goes", Charts(time_charts(profile, timeline))),
            _charts("Tokens", Charts(token_charts(profile, timeline))),
            _charts("LLM calls and tools", Charts((*call_charts(profile), *tool_charts(profile)))),
            _charts("Rate limits", Charts(limit_charts(profile)), _limit_words(profile)),
            _charts(
                "The run over time", Charts(load_charts(profile, timeline)), _journal(timeline)
            ),
            Section("All metrics", (metrics_table(profile),)),
            Section("Do the observers agree?", (reconciliation_table(profile.reconciliation),)),
            *(Section(each.title, (Items(each.lines),), level=3) for each in summary.sections),
            Section("How to run it again", (Sums((_command(profile),)),)),
            Section("Notes", (Items(summary.notes),) if summary.notes else ()),
        ),
        footer=_footer(profile),
    )


def _charts(title: str, charts: Charts, words: Words | None = None) -> Section:
    blocks = [charts] if charts.charts else []
    return Section(title, (*blocks, *(() if words is None else (words,))))


def _journal(timeline: RunTimeline | None) -> Words | None:
    return Words(_NO_JOURNAL) if timeline is None else None


def _doubts(profile: WorkloadProfile) -> tuple[str, ...]:
    doubts = []
    if profile.sample.partial:
        reasons = printable("; ".join(profile.sample.partial_reasons), 400)
        doubts.append(f"Partial: the run did not come to its end ({reasons}).")
    if profile.run.target.get("mock") is not None:
        doubts.append(
            "The agent measured was the mock: its calls, tokens and times are a script's, and no "
            "real agent's."
        )
    return tuple(doubts)


def _figures(profile: WorkloadProfile) -> tuple[KeyFigure, ...]:
    found = [
        KeyFigure(name, quantity(each.mean, each.unit), _detail(each))
        for metric, name in _FIGURES
        if (each := profile.interaction.get(metric)) is not None
    ]
    sample = profile.sample
    failed = sum(sample.failed.values())
    share = percent(failed / sample.interactions) if sample.interactions else NOTHING
    of_all = f"{whole(failed)} of {plural(sample.interactions, 'interaction')}"
    return (*found, KeyFigure("failed", share, of_all))


def _detail(each: Distribution) -> str:
    """Write the mean's interval, and the p95 with its own."""
    mean = mean_with_interval(each.mean, each.mean_ci95, each.unit)
    half = mean.rpartition("±")[2]
    rough = "" if each.stable.mean else f"{UNSTABLE} "
    return f"{rough}mean ±{half}; p95 {value_with_interval(each.p95, each.p95_ci95, each.unit)}"


def _limit_words(profile: WorkloadProfile) -> Words | None:
    silent = [
        printable(model, 40)
        for model, info in sorted(profile.rate_limits.items())
        if info.lowest_remaining_requests is None and info.lowest_remaining_tokens is None
    ]
    if not silent:
        return None
    shown = ", ".join(silent[:5]) + (f" and {len(silent) - 5} more" if silent[5:] else "")
    refused = sum(info.http_429 for info in profile.rate_limits.values())
    return Words(
        f"No rate-limit headers were seen of {shown}: its headroom is not known. "
        f"429s in the whole run: {whole(refused)}."
    )


def _command(profile: WorkloadProfile) -> str:
    return printable(shlex.join(profile.run.argv), 2000)


def _footer(profile: WorkloadProfile) -> str:
    return (
        f"Run {printable(profile.run.id, 120)}, started {printable(profile.run.started_at)}, "
        f"agent-profiler {printable(profile.run.tool_version)}. Measured for "
        f"{quantity(profile.load.duration_s, 's')}. Intervals are of 95 %: the mean's by Student t "
        "over sessions, the p95's by order statistics; ≈ marks the wide ones. A metric that nobody "
        "observed is absent, never zero."
    )
