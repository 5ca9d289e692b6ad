"""A comparison in words and cells: what terminal, Markdown and JUnit share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from profiler.profile.objectives import ERROR_RATE
from profiler.report.quantities import (
    NOTHING,
    percent,
    plural,
    printable,
    quantity,
    scale_for,
    whole,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from profiler.comparison.model import (
        Change,
        Comparison,
        Difference,
        GateResult,
        Interval,
        MetricComparison,
        PlanMeaning,
        Side,
    )

_SPELLED = {"llm": "LLM", "ttft": "TTFT"}
_PER = {"interaction": "per interaction", "llm_call": "per LLM call", "session": "per session"}
_RULES = {
    "max": "at most",
    "min": "at least",
    "max_increase": "increase of at most",
    "max_decrease": "decrease of at most",
}
KEY_METRICS = (
    *("interaction.llm_calls", "interaction.tool_calls", "interaction.input_tokens"),
    *("interaction.output_tokens", "interaction.cached_input_tokens", "interaction.latency"),
    *("interaction.time_to_first_token", ERROR_RATE),
)
_MORE_THAN_TENFOLD = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferenceRow:
    """One line of the table."""

    label: str
    baseline: str
    candidate: str
    change: str
    real: str


def title(comparison: Comparison) -> str:
    """Return what was compared."""
    return f"Comparison of {printable(comparison.workload)}"


def facts(comparison: Comparison) -> list[tuple[str, str]]:
    """Return which runs these are, how they were compared, and what differs between them."""
    how = (
        "the same sessions in both: compared in pairs"
        if comparison.paired
        else "different sessions: an effect must stand out from how much sessions differ"
    )
    found = [
        ("baseline", _side(comparison.baseline)),
        ("candidate", _side(comparison.candidate)),
        ("sessions", how),
    ]
    found += [("differs", printable(text, 300)) for text in comparison.differs]
    unjudged = not_judged(comparison)
    return [*found, ("not judged", unjudged)] if unjudged else found


def not_judged(comparison: Comparison) -> str:
    """Say what no default gate asks about, and why; nothing where they ask about all."""
    of_mock = comparison.baseline.mock and comparison.candidate.mock
    if not of_mock or not all(gate.default for gate in comparison.gates):
        return ""
    return "latency: the mock agent's is its script's, and the machine's. --gates judges it"


def _side(side: Side) -> str:
    mock = ", mock agent" if side.mock else ""
    interactions = plural(side.interactions, "interaction")
    sessions = plural(side.sessions, "session")
    return f"{printable(side.id)}: {interactions} in {sessions}{mock}, {side.verdict}"


def verdict_line(comparison: Comparison) -> str:
    """Return the verdict with how many gates say what."""
    counts = {
        name: sum(gate.verdict == name for gate in comparison.gates)
        for name in ("fail", "inconclusive", "pass")
    }
    said = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    return f"{comparison.verdict}: {said} of {plural(len(comparison.gates), 'gate')}"


def change_lines(comparison: Comparison) -> list[str]:
    """Return what changed, each as one line."""
    by_name = {each.metric: each for each in comparison.metrics}
    lines = [_change(change, by_name) for change in comparison.changes]
    return lines or ["nothing that is more than chance"]


def _change(change: Change, metrics: dict[str, MetricComparison]) -> str:
    if change.kind == "metric":
        metric = metrics[change.subject]
        found = next(d for d in metric.differences if d.statistic == change.statistic)
        return moved(metric, found)
    new = {"appeared": "new", "disappeared": "no longer"}[change.kind]
    doubt = "" if change.real else " (may be chance)"
    return f"{new} {change.what} `{printable(change.subject)}`{doubt}"


def moved(metric: MetricComparison, found: Difference) -> str:
    """Return how a metric moved: `0.90 more LLM calls per interaction (+52 %)`."""
    name = label(metric.metric, found.statistic)
    if metric.unit == "count" and found.statistic == "mean":
        more = "more" if found.difference > 0 else "fewer"
        amount = quantity(abs(found.difference), "count")
        return f"{amount} {more} {name}{_in_brackets(signed_percent(found.relative))}"
    arrow = f"{value(found.baseline, metric.unit)} → {value(found.candidate, metric.unit)}"
    if found.relative is None or metric.unit == "share":
        return f"{name} {arrow}"
    return f"{name} {signed_percent(found.relative)} ({arrow})"


def _in_brackets(text: str) -> str:
    return "" if text == NOTHING else f" ({text})"


def label(metric: str, statistic: str) -> str:
    """Return a metric's name as people say it."""
    if metric == ERROR_RATE:
        return "errors"
    section, _, rest = metric.partition(".")
    last = "" if statistic == "mean" else f" {statistic}"
    if section in _PER:
        return f"{_spelled(rest)}{last} {_PER[section]}"
    name, _, kind = rest.rpartition(".")
    kind = kind.removesuffix("_per_interaction")
    what = {"tools": "of tool", "models": "per LLM call of", "state": "of store"}.get(section)
    if what is None:
        return f"{_spelled(section)} {printable(rest)}{last}"
    return f"{_spelled(kind)}{last} {what} `{printable(name)}`"


def _spelled(name: str) -> str:
    return " ".join(_SPELLED.get(word, word) for word in name.split("_"))


def value(number: float | None, unit: str) -> str:
    """Return a number in its unit; a share in percent."""
    if unit == "share" and number is not None:
        return percent(number)
    return quantity(number, unit)


def signed_percent(share: float | None) -> str:
    """Return a change as a share: `+38 %`; how many times, from tenfold on."""
    if share is None:
        return NOTHING
    if share >= _MORE_THAN_TENFOLD:
        return f"{share + 1:.3g}-fold"
    percents = share * 100
    if abs(percents) >= 9.95:  # noqa: PLR2004 - from here on a digit after the point tells nothing
        return f"{percents:+.0f} %"
    return f"{percents:+.1f} %" if round(percents, 1) else "±0 %"


def step(before: float, after: float, unit: str) -> str:
    """Return how far it is from one value to the next: in percent, of shares in points."""
    if unit == "share":
        return f"{(after - before) * 100:+.1f} pp" if after != before else "±0"
    return signed_percent(after / before - 1 if before else None)


def difference_rows(comparison: Comparison) -> list[DifferenceRow]:
    """Return the key metrics and all that moved for real; the rest is in comparison.json."""
    changed = {(c.subject, c.statistic) for c in comparison.changes if c.kind == "metric"}
    every = {each.metric: each for each in comparison.metrics}
    order = [name for name in KEY_METRICS if name in every]
    order += [name for name in every if name not in order]
    return [
        _row(every[name], found)
        for name in order
        for found in every[name].differences
        if (name, found.statistic) in changed or _is_key(name, found)
    ]


def _is_key(name: str, found: Difference) -> bool:
    return name in KEY_METRICS and (found.statistic != "p95" or name == "interaction.latency")


def _row(metric: MetricComparison, found: Difference) -> DifferenceRow:
    return DifferenceRow(
        label=label(metric.metric, found.statistic),
        baseline=value(found.baseline, metric.unit),
        candidate=value(found.candidate, metric.unit),
        change=_change_cell(metric, found),
        real={True: "yes", False: "no", None: "?"}[found.real],
    )


def _change_cell(metric: MetricComparison, found: Difference) -> str:
    if found.relative is not None and metric.unit != "share":
        interval = found.relative_ci95
        if interval is None:
            return f"{signed_percent(found.relative)} [?]"
        low, high = map(signed_percent, interval)
        return f"{signed_percent(found.relative)} [{low}, {high}]"
    return _absolute(found.difference, found.difference_ci95, metric.unit)


def _absolute(difference: float, interval: Interval | None, unit: str) -> str:
    if unit == "share":
        text = f"{difference * 100:+.1f} pp"
        said = "[?]" if interval is None else _points(interval)
        return f"{text} {said}"
    scale = scale_for(difference, unit)
    sign = "-" if difference < 0 else "+"
    text = f"{sign}{scale.number(abs(difference))}{scale.suffix}"
    if interval is None:
        return f"{text} [?]"
    return f"{text} [{', '.join(scale.number(end) for end in interval)}]"


def _points(interval: Interval) -> str:
    return f"[{interval[0] * 100:+.1f}, {interval[1] * 100:+.1f}]"


def gate_name(gate: GateResult) -> str:
    """Return a gate's name, as a gates file has it."""
    metric = printable(gate.metric, 120)
    return metric if gate.metric == ERROR_RATE else f"{metric}.{gate.statistic}"


def gate_rule(gate: GateResult) -> str:
    """Return what a gate asks for."""
    if gate.default and gate.bound == 0:
        return "no real increase"
    bound = f"{gate.bound * 100:.4g} %" if gate.relative else value(gate.bound, gate.unit)
    return f"{_RULES[gate.rule]} {bound}"


def gate_reason(gate: GateResult) -> str:
    """Return what was seen, and what would decide it."""
    if gate.reason is not None:
        return gate.reason
    if gate.baseline is None or gate.candidate is None:
        return "not observed"
    seen = _seen(gate)
    if gate.verdict != "inconclusive":
        return seen
    if gate.interactions_needed is None:
        return f"{seen}; no sample of a size that can be had would decide it"
    return f"{seen}; about {whole(_rounded(gate.interactions_needed))} interactions would decide it"


def _rounded(number: int) -> int:
    """Round up to two significant digits: it is an estimate."""
    step: int = 10 ** max(0, len(str(number)) - 2)
    return -(-number // step) * step


def _seen(gate: GateResult) -> str:
    assert gate.candidate is not None  # noqa: S101 - for the type checker: see gate_reason
    assert gate.baseline is not None  # noqa: S101 - as above
    interval = gate.ci90
    if gate.rule in ("max", "min"):
        text = value(gate.candidate, gate.unit)
        said = None if interval is None else [value(end, gate.unit) for end in interval]
    elif gate.relative and gate.baseline:
        text = signed_percent(gate.candidate / gate.baseline - 1)
        said = None if interval is None else [signed_percent(end) for end in interval]
    else:
        return _absolute(gate.candidate - gate.baseline, interval, gate.unit)
    return f"{text} [{'?' if said is None else ', '.join(said)}]"


def meaning_lines(plan: PlanMeaning) -> Iterator[str]:
    """Return what the candidate means at each scale of a plan."""
    for scale in plan.scales:
        before, after = scale.cost_usd_per_month
        parts = [f"${before:,.0f} → ${after:,.0f} a month ({after - before:+,.0f})"]
        old, new = scale.max_users
        if old is not None and new is not None:
            parts.append(f"limits carry {whole(old)} → {whole(new)} users of {scale.users:,.0f}")
        parts.append("{:,} → {:,} workers".format(*scale.workers))
        yield f"at {scale.factor:g}x: {'; '.join(parts)}"
