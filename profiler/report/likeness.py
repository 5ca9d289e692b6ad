"""How like production a workload is, in words: one verdict for each thing that is compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from profiler.report.importing import dispersion_words
from profiler.report.outlook import value
from profiler.report.quantities import percent, plural, printable, whole
from profiler.report.terminal import facts_grid
from profiler.workload.dispersion import MINUTE_S
from profiler.workload.distance import MATTERS, SIGNIFICANCE, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.console import RenderableType

    from profiler.workload.distance import Comparison
    from profiler.workload.importers.survey import Findings
    from profiler.workload.likeness import Dimension, Likeness
    from profiler.workload.outlook import Outlook

_STYLES = {
    Verdict.ALIKE: "green",
    Verdict.CLOSE: "green",
    Verdict.DIFFERENT: "red",
    Verdict.INCONCLUSIVE: "yellow",
}
_MUCH, _CLEARLY = 2.0, 1.25
_WORDS: Mapping[str, tuple[str, str, str]] = {
    "turns per session": ("longer sessions", "shorter sessions", "turns"),
    "user tokens per message": ("longer user messages", "shorter user messages", "tokens"),
    "prompt tokens": ("longer prompts", "shorter prompts", "tokens"),
    "think time": ("longer pauses", "shorter pauses", ""),
}
_MOST_FINDINGS = 5


def likeness_report(source: str, found: Likeness, outlook: Outlook) -> RenderableType:
    """Return the comparison for any rich console."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    of = "requests" if found.production.is_trace else "sessions"
    for dimension in found.dimensions:
        name, comparison = Text(dimension.name), dimension.comparison
        if comparison is None:
            words = Text(f"{dimension.name}: {dimension.reason}")
            grid.add_row(Text("not compared", style="dim"), words)
            continue
        verdict = comparison.verdict
        grid.add_row(
            Text(verdict.value, style=_STYLES[verdict]),
            Text.assemble(name, ": ", sentence(dimension, comparison)),
        )
        grid.add_row("", Text(evidence(dimension, comparison, of), style="dim"))
    return Group(
        Text(f"Against {printable(source, 200)}: {sized(found)}", style="bold"),
        facts_grid(_production_facts(found, outlook), {"skipped": "yellow"}),
        grid,
        Text(overall(found)),
        Text(legend(), style="dim"),
    )


def sized(found: Likeness) -> str:
    """Say how much production data there is."""
    production = found.production
    if production.is_trace:
        return plural(production.sessions, "request")
    messages = plural(production.messages, "user message")
    return f"{plural(production.sessions, 'session')}, {messages}"


def sentence(dimension: Dimension, comparison: Comparison) -> str:
    """Say which way the workload differs, as people would: `much shorter user messages: ...`."""
    ours, theirs = comparison.ours.quantile(0.5), comparison.theirs.quantile(0.5)
    if dimension.unit == "permille":
        return _shape_sentence(comparison)
    longer, shorter, noun = _WORDS[dimension.name]
    noun = f" {noun}" if noun else ""
    medians = f"median {value(ours, dimension.unit)} against {value(theirs, dimension.unit)}{noun}"
    if comparison.verdict is Verdict.ALIKE:
        return f"no difference that matters; {medians}"
    if comparison.verdict is Verdict.INCONCLUSIVE:
        return f"{_hidden(comparison)}; {medians}"
    if ours == theirs:
        spread = [sample.quantile(0.95) for sample in (comparison.ours, comparison.theirs)]
        high, low = (value(end, dimension.unit) for end in spread)
        return f"the same median, {value(ours, dimension.unit)}{noun}, but p95 {high} against {low}"
    return f"{_how_much(ours, theirs)}{longer if ours > theirs else shorter}: {medians}"


def _how_much(ours: int, theirs: int) -> str:
    low, high = sorted((ours, theirs))
    if high >= _MUCH * low:
        return "much "
    return "" if high >= _CLEARLY * low else "slightly "


def _shape_sentence(comparison: Comparison) -> str:
    near = [
        sum(times for gap, times in sample.counts.items() if gap < _NEAR_PERMILLE) / sample.total
        for sample in (comparison.ours, comparison.theirs)
    ]
    shares = f"{percent(near[0])} against {percent(near[1])} come within a tenth of the mean gap"
    match comparison.verdict:
        case Verdict.ALIKE:
            return f"no difference that matters; {shares}"
        case Verdict.INCONCLUSIVE:
            return f"{_hidden(comparison)}; {shares}"
        case _:
            how = "more bunched" if near[0] > near[1] else "more even"
            return f"{how} than production: {shares}"


_NEAR_PERMILLE = 100


def _hidden(comparison: Comparison) -> str:
    most = f"{comparison.critical:.2f}"
    return f"no difference beyond chance, which may hide a distance of up to {most}"


def evidence(dimension: Dimension, comparison: Comparison, of: str) -> str:
    """Write distance, where it is, what chance explains, and how far values would have to move.

    `of` is what production's values are of: sessions, or requests.
    """
    at = _amount(comparison.where, dimension.unit)
    ours, theirs = comparison.ours.independent, comparison.theirs.independent
    moved = _amount(comparison.moved, dimension.unit)
    kind = "gaps" if dimension.unit == "permille" else of
    return (
        f"KS distance {comparison.distance:.3f}, in the share of values up to {at}; chance exceeds "
        f"{comparison.critical:.3f} in {percent(SIGNIFICANCE)} of cases, {whole(ours)} against "
        f"{whole(theirs)} {kind}; earth mover's distance {moved}"
    )


def _amount(amount: float, unit: str) -> str:
    if unit == "permille":
        return f"{amount / 1000:.3g} mean gaps"
    text = value(amount, unit)
    if unit == "ms":
        return text
    return f"{text} {unit.removesuffix('s') if text == '1' else unit}"


def overall(found: Likeness) -> str:
    """Say in one sentence what the workload represents and what not."""
    compared = [d for d in found.dimensions if d.comparison is not None]
    if not compared:
        return "Nothing could be compared: nothing is said of how representative the workload is."
    by_verdict: dict[Verdict, list[str]] = {verdict: [] for verdict in Verdict}
    for dimension in compared:
        if dimension.comparison is not None:
            by_verdict[dimension.comparison.verdict].append(dimension.name.split(" (")[0])
    parts = []
    for verdicts, words in (
        ((Verdict.ALIKE, Verdict.CLOSE), "represents production in"),
        ((Verdict.DIFFERENT,), "differs from production in"),
        ((Verdict.INCONCLUSIVE,), "has too few sessions to tell in"),
    ):
        names = [name for verdict in verdicts for name in by_verdict[verdict]]
        if names:
            parts.append(f"{words} {', '.join(names)}")
    return f"The workload {'; it '.join(parts)}."


def legend() -> str:
    """Say what the verdicts mean."""
    return (
        f"different: the KS distance is {MATTERS:g} or more, and beyond chance. close: beyond "
        f"chance, but below {MATTERS:g}, so that fewer than one value in ten would have to be "
        f"another. alike: within chance, which is {MATTERS:g} or less. inconclusive: within "
        "chance, which could hide a difference that matters. Values have three digits."
    )


def _production_facts(found: Likeness, outlook: Outlook) -> Iterator[tuple[str, str]]:
    production, arrivals = found.production, found.arrivals
    if production.skipped.total:
        yield "skipped", f"{whole(production.skipped.total)}: {_findings(production.skipped)}"
    if production.odd.total:
        yield "odd", f"{whole(production.odd.total)}, taken: {_findings(production.odd)}"
    if production.hours is not None:
        busiest = production.hours.index(max(production.hours))
        share = percent(production.hours[busiest] / sum(production.hours))
        yield "busiest", f"{busiest:02d} to {(busiest + 1) % 24:02d} UTC, with {share} of all"
    rate = None if arrivals is None else arrivals.rate_per_s
    if arrivals is None or rate is None:
        return
    text = f"{rate:.3g} {arrivals.of} per second on average"
    asked = None if outlook.arrivals is None else outlook.arrivals.rate_per_s
    if outlook.arrivals is not None and asked is not None:
        text += f"; the run asks for {asked:.3g} {outlook.arrivals.of} per second"
    yield "arrivals", text
    second = dispersion_words(arrivals.dispersion(1), "second")
    yield "burstiness", f"{second}; {dispersion_words(arrivals.dispersion(MINUTE_S), 'minute')}"


def _findings(findings: Findings) -> str:
    parts = []
    for what, count in findings.counts.most_common(_MOST_FINDINGS):
        lines = findings.first_lines[what]
        parts.append(f"{whole(count)} {what}" + (f", line {lines[0]}" if lines else ""))
    rest = len(findings.counts) - len(parts)
    return "; ".join(parts) + (f"; {rest} more kinds" if rest > 0 else "")
