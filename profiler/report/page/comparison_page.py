"""A comparison as a page: verdict and changes, both runs' curves over each other, gates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from profiler.report import comparison_words as words
from profiler.report.charts.axis import SHARE
from profiler.report.charts.changes import Effect, changes
from profiler.report.charts.percentiles import Curve, percentiles
from profiler.report.page.model import Cell, Chart, Charts, Facts, Grid, KeyFigure, Page, Section
from profiler.report.page.sorting import number_in
from profiler.report.plan_blocks import Items
from profiler.report.quantities import NOTHING, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from profiler.comparison.model import Comparison, Difference, MetricComparison
    from profiler.report.page.model import Tone

_TONES: dict[str, Tone] = {"pass": "good", "inconclusive": "warn", "fail": "bad"}
_SIDES = ("baseline", "candidate")
_MOST_CURVES = 4
_MOST_EFFECTS = 14
_WIDEST = 10.0
"""A change or an interval beyond tenfold would leave no room for the others."""

_REAL = (
    "Real: more than chance, all metrics that were compared taken together (false discovery rate "
    "of 5 %). Intervals are each metric's own."
)


def comparison_page(comparison: Comparison) -> Page:
    """Return the page of a comparison."""
    plan, sides = comparison.plan, (comparison.candidate, comparison.baseline)
    meaning = Section(
        "In the plan", () if plan is None else (Items(tuple(words.meaning_lines(plan))),)
    )
    return Page(
        title=words.title(comparison),
        subtitle=" against ".join(printable(side.id, 80) for side in sides),
        verdict=words.verdict_line(comparison),
        tone=_TONES[comparison.verdict],
        doubts=tuple(_doubts(comparison)),
        figures=tuple(_figures(comparison)),
        sections=(
            Section("What changed", (Items(tuple(words.change_lines(comparison))),)),
            meaning,
            Section("Charts", (Charts((*_effects(comparison), *_curves(comparison))),)),
            Section("Gates", (_gates(comparison),)),
            Section("Numbers", (_numbers(comparison),)),
            Section("Runs", (Facts(tuple(words.facts(comparison))),)),
        ),
        footer=f"Compared by agent-profiler {printable(comparison.tool_version)}. {_REAL}",
    )


def _doubts(comparison: Comparison) -> Iterator[str]:
    for text in comparison.differs:
        yield f"Measured differently: {printable(text, 300)}"
    for name, side in zip(_SIDES, (comparison.baseline, comparison.candidate), strict=True):
        if side.verdict != "trusted":
            yield f"The {name} is not trusted: {printable(side.verdict.replace('_', ' '))}."


def _figures(comparison: Comparison) -> Iterator[KeyFigure]:
    """Yield the key metrics: the change, and both values."""
    every = {each.metric: each for each in comparison.metrics}
    for name in words.KEY_METRICS:
        if name in every:
            found = every[name].differences[0]
            values = [
                words.value(each, every[name].unit) for each in (found.baseline, found.candidate)
            ]
            change = words.step(found.baseline, found.candidate, every[name].unit)
            real = {True: "real", False: "may be chance", None: "cannot be told"}[found.real]
            label = words.label(name, found.statistic).removesuffix(" per interaction")
            yield KeyFigure(label, change, f"{' → '.join(values)}, {real}")


def _curves(comparison: Comparison) -> Iterator[Chart]:
    curved = [each for each in comparison.metrics if each.curve is not None]
    order = {name: place for place, name in enumerate(words.KEY_METRICS)}
    curved.sort(key=lambda each: order.get(each.metric, len(order)))
    for metric in curved[:_MOST_CURVES]:
        curves = list(_both(metric))
        title = f"{words.label(metric.metric, 'mean')}: percentiles"
        svg = percentiles(curves, metric.unit, title=title, says=_moves(metric))
        yield Chart(title, svg, _SIDES, _moves(metric))


def _both(metric: MetricComparison) -> Iterator[Curve]:
    curve = metric.curve
    if curve is not None:
        for name, points in zip(_SIDES, (curve.baseline, curve.candidate), strict=True):
            # The largest value, at 100 %, is infinitely far out on this scale.
            yield Curve(name, tuple((p / 100, value) for p, value in points if p < 100))  # noqa: PLR2004


def _moves(metric: MetricComparison) -> str:
    return "; ".join(words.moved(metric, found) for found in metric.differences)


def _effects(comparison: Comparison) -> Iterator[Chart]:
    """Yield a chart of the relative changes that matter: of key metrics, and real ones."""
    changed = {(c.subject, c.statistic) for c in comparison.changes if c.kind == "metric"}
    found = [
        (metric.metric not in words.KEY_METRICS, _effect(metric, each, each.relative))
        for metric in comparison.metrics
        for each in metric.differences
        if each.relative is not None
        and abs(each.relative) < _WIDEST
        and (metric.metric in words.KEY_METRICS or (metric.metric, each.statistic) in changed)
    ]
    if not found:
        return
    found.sort(key=lambda item: (not item[1].is_real, item[0], -abs(item[1].size)))
    shown, left = [effect for _, effect in found[:_MOST_EFFECTS]], len(found) - _MOST_EFFECTS
    title = "Changes against the baseline"
    says = ", ".join(f"{each.name} {each.words}" for each in shown)
    svg = changes(shown, SHARE, title=title, says=says)
    more = f" {left} more are not drawn." if left > 0 else ""
    note = f"The dashed line is no change; thin lines are 95 % intervals.{more}"
    yield Chart(title, svg, ("may be chance", "real"), note)


def _effect(metric: MetricComparison, found: Difference, relative: float) -> Effect:
    return Effect(
        words.label(metric.metric, found.statistic),
        relative,
        _within(found.relative_ci95),
        words.signed_percent(relative),
        is_real=bool(found.real),
    )


def _within(interval: tuple[float, float] | None) -> tuple[float, float] | None:
    return None if interval is None else (max(interval[0], -1.0), min(interval[1], _WIDEST))


def _gates(comparison: Comparison) -> Grid:
    return Grid(
        ("gate", "rule", "verdict", "seen [90 % CI]"),
        tuple(
            tuple(
                Cell(text)
                for text in (
                    words.gate_name(gate),
                    words.gate_rule(gate),
                    gate.verdict,
                    words.gate_reason(gate),
                )
            )
            for gate in comparison.gates
        ),
        of_text=frozenset({0, 1, 2, 3}),
        note=f"Not judged: {words.not_judged(comparison)}." if words.not_judged(comparison) else "",
    )


def _numbers(comparison: Comparison) -> Grid:
    return Grid(
        ("metric", "baseline", "candidate", "change [95 % CI]", "real"),
        tuple(
            (
                Cell(row.label),
                Cell(row.baseline, number_in(row.baseline)),
                Cell(row.candidate, number_in(row.candidate)),
                Cell(row.change, number_in(row.change)),
                Cell(row.real or NOTHING),
            )
            for row in words.difference_rows(comparison)
        ),
        of_text=frozenset({0, 4}),
        note="Key metrics and all that moved for real; every other is in comparison.json.",
    )
