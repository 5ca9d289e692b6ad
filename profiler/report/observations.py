"""What observers saw, what limits them and where they differ, as lines for people.

Only what there is to say: nothing of an observer that saw everything and agrees with all others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from profiler.measure.records import Outcome
from profiler.report.quantities import TIMES, percent, plural, printable, quantity, whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from profiler.profile.correction import LedgerSide
    from profiler.profile.ledger import Ledger
    from profiler.profile.model import Reconciliation, WholeRun, WorkloadProfile
    from profiler.profile.observing import ObserverReport
    from profiler.profile.rate_limits import RateLimitInfo

_RESPONSE = "response"
_AMBIGUOUS = "ambiguous"
_MOST_MODELS = 12
_MOST_NOTES = 12
_MOST_DIFFERENCES = 16
_LEAST_SHARE = 0.05
"""Durations on two clocks never agree: shown from this share of the larger one on."""

_TERMS = {
    "messages": "messages",
    "tool_schemas": "tool schemas",
    "counted": "counted",
    "constant": "",
}


@dataclass(frozen=True, slots=True)
class Section:
    """Lines under a heading; names from outside in them are printable but not escaped."""

    title: str
    lines: tuple[str, ...]


def observer_facts(profile: WorkloadProfile) -> list[tuple[str, str]]:
    """Return how much each observer saw, how its calls were assigned, and the 429s."""
    facts: list[tuple[str, str]] = []
    seen = [
        f"{name} {_coverage(report)}"
        for name, report in profile.observers.items()
        if report.interactions is not None and (report.interactions or name != _RESPONSE)
    ]
    if set(profile.observers) - {_RESPONSE} and seen:
        facts.append(("observers", f"{' · '.join(seen)} interactions"))
    attributed = [
        (name, report) for name, report in profile.observers.items() if report.attribution
    ]
    if attributed:
        texts = [f"{name}: {_attribution(report)}" for name, report in attributed]
        facts.append(("attribution", " · ".join(texts)))
    failed = [text for name, report in profile.observers.items() if (text := _failed(name, report))]
    if failed:
        facts.append(("LLM errors", " · ".join(failed)))
    refused = refusals(profile.rate_limits)
    if refused is not None:
        facts.append(("429s", refused))
    stores = [
        f"{printable(name, 30)} {_operations(store.whole_run)}"
        for name, store in sorted(profile.state.items())
        if store.whole_run is not None and not store.whole_run.void_reasons
    ]
    if stores:
        facts.append(("stores", f"of the whole run, by their own count: {' · '.join(stores)}"))
    return facts


def refusals(rate_limits: Mapping[str, RateLimitInfo]) -> str | None:
    """Write which models' requests were answered by 429s, and how often; None: no one's."""
    refused = [
        f"{printable(model, 40)} {whole(info.http_429)} of "
        f"{plural(max(info.attempts, info.calls), 'request')}"
        + (
            ""
            if info.longest_retry_after_s is None
            else f" (asked to wait up to {quantity(info.longest_retry_after_s, 's')})"
        )
        for model, info in sorted(rate_limits.items())
        if info.http_429
    ]
    return ", ".join(refused) if refused else None


def _failed(name: str, report: ObserverReport) -> str | None:
    kinds = sorted((-n, kind) for kind, n in report.outcomes.items() if kind != Outcome.OK)
    if not kinds:
        return None
    listed = ", ".join(f"{kind} {whole(-n)}" for n, kind in kinds)
    number = sum(-n for n, _ in kinds)
    return f"{name}: {whole(number)} of {plural(report.llm_calls, 'LLM call')} failed ({listed})"


def _operations(run: WholeRun) -> str:
    kinds = (("read", run.reads), ("write", run.writes), ("other operation", run.other))
    return ", ".join(plural(number, noun) for noun, number in kinds if number is not None)


def _coverage(report: ObserverReport) -> str:
    seen, eligible = report.interactions or 0, report.eligible or 0
    text = f"{whole(seen)} of {whole(eligible)}"
    return text if seen == eligible else f"{text} ({whole(eligible - seen)} unseen)"


def _attribution(report: ObserverReport) -> str:
    """Write `76 of 78 LLM calls (trace 56, tool_chain 20), 2 ambiguous`."""
    kinds = {kind: n for kind, n in report.attribution.items() if kind != _AMBIGUOUS}
    assigned, total = sum(kinds.values()), sum(report.attribution.values())
    most = sorted(kinds.items(), key=lambda item: (-item[1], item[0]))
    text = f"{whole(assigned)} of {plural(total, 'LLM call')}"
    if most:
        text += f" ({', '.join(f'{kind} {whole(n)}' for kind, n in most)})"
    ambiguous = report.attribution.get(_AMBIGUOUS)
    return f"{text}, {whole(ambiguous)} ambiguous" if ambiguous else text


def observer_sections(profile: WorkloadProfile) -> tuple[Section, ...]:
    """Return the sections that have anything to say."""
    sections = (
        Section("What limits observers", tuple(_limits(profile))),
        ledger_section(profile.ledger),
        Section(
            "Where observers differ: on average, and in how many interactions",
            _differences(profile.reconciliation),
        ),
    )
    return tuple(section for section in sections if section.lines)


def _limits(profile: WorkloadProfile) -> Iterable[str]:
    for name, store in sorted(profile.state.items()):
        if store.whole_run is not None and store.whole_run.void_reasons:
            reasons = printable("; ".join(store.whole_run.void_reasons), 200)
            yield f"state_store: what {printable(name, 30)} counted cannot be used: {reasons}"
    for name, report in profile.observers.items():
        if report.unattributed:
            yield (
                f"{name}: {plural(report.unattributed, 'LLM call')} could not be assigned to an "
                "interaction: in no number of interactions, which are too low by so much."
            )
        if report.other_unattributed:
            yield (
                f"{name}: tool calls, state operations and round trips of no interaction that "
                f"could be told, in no statistic: {whole(report.other_unattributed)}."
            )
        yield from (f"{name}: {line}" for line in note_lines(report))


def note_lines(report: ObserverReport, file: str = "profile.json") -> Iterable[str]:
    """Write an observer's notes, each on its line; `file` has those that are too many."""
    for note in report.notes[:_MOST_NOTES]:
        times = f" ({whole(note.count)} times)" if note.count > 1 else ""
        detail = "" if note.detail is None else f": {printable(note.detail, 200)}"
        yield f"{printable(note.kind)}{times}{detail}"
    if len(report.notes) > _MOST_NOTES:
        yield f"{len(report.notes) - _MOST_NOTES} more kinds in {file}"


def ledger_section(ledgers: Mapping[str, Ledger], file: str = "profile.json") -> Section:
    """Return how far our count is off, model by model; `file` has those that are too many."""
    title = "Token ledger: our count against the provider's"
    return Section(title, tuple(_ledger(ledgers, file)))


def _ledger(ledgers: Mapping[str, Ledger], file: str) -> Iterable[str]:
    """Say of each model how far our count is off, and what a correction leaves."""
    most = sorted(ledgers.items(), key=lambda item: (-item[1].successful_calls, item[0]))
    for model, ledger in most[:_MOST_MODELS]:
        sides = (("input", ledger.input), ("output", ledger.output))
        texts = [_side(name, side) for name, side in sides if side is not None]
        yield f"{printable(model, 40)} ({ledger.source}): {'; '.join(texts)}."
    if len(most) > _MOST_MODELS:
        yield f"{len(most) - _MOST_MODELS} more models in {file}"


def _side(name: str, side: LedgerSide) -> str:
    """Write by how much reported is above counted, and what a correction makes of it."""
    error = side.plain_error
    text = f"{name} of {plural(side.calls, 'call')}: "
    if not error.mean_tokens and not error.relative_error:
        return f"{text}our count is exactly what was reported"
    text += f"reported {_signed(error.mean_tokens)} tokens a call against our count"
    if error.relative_error is not None:
        text += f", an error of {percent(error.relative_error)}"
    if side.correction is None:
        return f"{text}; no correction: {side.reason}"
    terms = " + ".join(
        f"{term.value:.3f} {TIMES} {_TERMS[name]}"
        if _TERMS[name]
        else quantity(term.value, "tokens")
        for name, term in side.correction.terms.items()
    ).replace("+ -", "- ")
    text += f"; corrected ({terms}): ±{quantity(side.correction.residual_sd_tokens, 'tokens')}"
    if side.correction.relative_error is not None:
        text += f", {percent(side.correction.relative_error)}"
    return text


def _signed(value: float, unit: str = "tokens") -> str:
    text = quantity(value, unit)
    return f"+{text}" if value > 0 else text


def _differences(rows: Iterable[Reconciliation]) -> tuple[str, ...]:
    """Write one line for each pair of observers and cause."""
    together: dict[tuple[str | None, ...], list[Reconciliation]] = {}
    for row in rows:
        if row.differing and not _is_clock_noise(row):
            key = (row.observer_a, row.observer_b, row.against, row.store, row.cause)
            together.setdefault(key, []).append(row)
    lines = [_line(group) for group in together.values()]
    left = len(lines) - _MOST_DIFFERENCES
    more = [f"{left} more in profile.json"] if left > 0 else []
    return (*lines[:_MOST_DIFFERENCES], *more)


def _line(group: list[Reconciliation]) -> str:
    first = group[0]
    if first.against is not None and first.observer_a == first.observer_b:
        who = f"{first.observer_a}, reported minus counted"
    elif first.against is not None:
        who = f"{first.observer_a} minus {first.observer_b}'s {first.against}"
    elif first.store is not None:
        store = printable(first.store, 30)
        who = f"{store} over the whole run, {first.observer_a} minus {first.observer_b}"
    else:
        who = f"{first.observer_a} minus {first.observer_b}"
    line = f"{who}: {', '.join(map(_difference, group))}."
    if first.cause is not None:
        line += f" Likely: {first.cause}."
    if first.example_trace_id is not None:
        line += f" See {printable(first.example_trace_id)}."
    return line


def _is_clock_noise(row: Reconciliation) -> bool:
    if row.unit != "s" or row.sum_a is None or row.sum_b is None:
        return False
    return abs(row.sum_difference) < _LEAST_SHARE * max(row.sum_a, row.sum_b)


def _difference(row: Reconciliation) -> str:
    text = f"{row.metric} {_signed(row.mean_difference, row.unit)}"
    if row.scope == "run":
        return text if row.sum_a is None else f"{text} of {whole(row.sum_a)}"
    return f"{text} ({whole(row.differing)} of {whole(row.compared)})"
