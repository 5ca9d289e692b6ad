"""Two real interactions of the sample, one like the mean and one slow, as spans of time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from profiler.report.charts.waterfall import Span
from profiler.report.quantities import printable, quantity

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from profiler.profile.model import WorkloadProfile
    from profiler.profile.timeline import RunTimeline

LLM, TOOL, OWN = range(3)
_CANDIDATES = 20
_SMALLEST_GAP = 0.01
"""Share of the latency below which time between calls is not drawn."""


@dataclass(frozen=True, slots=True)
class Inside:
    """One interaction and what it did, in order; `turn` counts from 1, as people do."""

    latency_s: float
    turn: int
    llm_calls: int
    spans: tuple[Span, ...]


def typical(profile: WorkloadProfile, timeline: RunTimeline | None) -> Inside | None:
    """Return a sampled interaction whose latency and LLM calls are near their means.

    None where the calls of none were kept.
    """
    return _near(profile, timeline, profile.interaction["latency"].mean)


def unusual(profile: WorkloadProfile, timeline: RunTimeline | None) -> Inside | None:
    """Return one whose latency is near the p95; None where there is no p95, or as above."""
    p95 = profile.interaction["latency"].p95
    return None if p95 is None else _near(profile, timeline, p95)


def _near(
    profile: WorkloadProfile, timeline: RunTimeline | None, latency_s: float
) -> Inside | None:
    """Of those nearest in latency, take the one whose LLM calls are nearest to their median."""
    calls = _calls_by_key(profile)
    rows = [
        row
        for cells in profile.joint.rows
        if (row := dict(zip(profile.joint.columns, cells, strict=True)))["ok"]
        and row["latency_s"] is not None
        and row["key"] in calls
    ]
    nearest = sorted(rows, key=lambda row: (abs(row["latency_s"] - latency_s), row["key"]))
    candidates = nearest[: min(_CANDIDATES, 1 + len(nearest) // 20)]
    if not candidates:
        return None
    counts = sorted(len(calls[row["key"]]) for row in candidates)
    middle = counts[len(counts) // 2]
    chosen = min(candidates, key=lambda row: abs(len(calls[row["key"]]) - middle))
    return _inside(chosen, calls[chosen["key"]], timeline)


def _calls_by_key(profile: WorkloadProfile) -> dict[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = {}
    section = profile.joint_calls
    for cells in () if section is None else section.rows:
        row = dict(zip(section.columns, cells, strict=True)) if section else {}
        if row["start_s"] is not None and row["latency_s"] is not None:
            found.setdefault(row["key"], []).append(row)
    return found


def _inside(
    row: dict[str, Any], calls: Sequence[dict[str, Any]], timeline: RunTimeline | None
) -> Inside:
    spans = [_call(number, call) for number, call in enumerate(calls, 1)]
    tools = () if timeline is None else timeline.tools.get(row["key"], ())
    spans += [Span(printable(tool.name), tool.start_s, tool.duration_s, TOOL) for tool in tools]
    latency_s = row["latency_s"]
    is_told_apart = timeline is not None and len(tools) == (row["tool_calls"] or 0)
    kind = OWN if is_told_apart else TOOL
    name = "the agent itself" if is_told_apart else "tools and the agent itself"
    spans += [Span(name, *gap, kind) for gap in gaps(spans, latency_s)]
    spans.sort(key=lambda span: (span.start_s, span.kind))
    return Inside(latency_s, row["turn"] + 1, len(calls), tuple(spans))


def _call(number: int, call: dict[str, Any]) -> Span:
    tokens = [
        f"{quantity(call[name], 'tokens')} {words}"
        for name, words in (("input_tokens", "in"), ("output_tokens", "out"))
        if call[name] is not None
    ]
    note = f", {', '.join(tokens)} tokens" if tokens else ""
    failed = "" if call["ok"] else ", failed"
    name = f"LLM call {number} · {printable(call['model'], 24)}{failed}"
    return Span(name, call["start_s"], call["latency_s"], LLM, note)


def gaps(spans: Iterable[Span], until_s: float) -> list[tuple[float, float]]:
    """Return the start and length of each stretch from 0 to `until_s` that no span covers."""
    found, reached = [], 0.0
    for span in sorted(spans, key=lambda span: span.start_s):
        found.append((reached, span.start_s - reached))
        reached = max(reached, span.start_s + span.duration_s)
    found.append((reached, until_s - reached))
    return [gap for gap in found if gap[1] > _SMALLEST_GAP * until_s]
