"""What each observer saw, and what limits it: how much, how calls were assigned, and its notes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic import Field

from profiler.measure.records import NO_TRACE, Observer
from profiler.profile.distribution import Strict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from profiler.measure.records import LlmCall, ObserverNote

_NOT_OF_INTERACTIONS = frozenset({Observer.STATE_STORE.value})


class Note(Strict):
    """Something that limits what an observer saw."""

    kind: str = Field(description="a fixed word")
    count: int = Field(description="how often")
    detail: str | None = Field(description="one example, for people")


class ObserverReport(Strict):
    """What one observer saw. Calls are those of the whole run, warm-up included."""

    interactions: int | None = Field(
        description="measured interactions that it said something of, if only that it watched and "
        "saw nothing; null: it does not tell interactions apart"
    )
    eligible: int | None = Field(description="measured interactions; null as above")
    coverage: float | None = Field(description="interactions / eligible; null as above")
    llm_calls: int = Field(description="LLM calls that it saw")
    outcomes: dict[str, int] = Field(description="the same, by how they ended")
    attribution: dict[str, int] = Field(
        description="those of them that had to be assigned to an interaction, by how: trace, "
        "marker, tool_chain, user_text; ambiguous: it could not be told"
    )
    unattributed: int = Field(
        description="LLM calls that belong to no interaction that could be told: in no metric of "
        "interactions, but in rate_limits and ledger"
    )
    other_unattributed: int = Field(
        description="the same of tool calls, state operations and tool round trips: in no statistic"
    )
    apis: dict[str, int] = Field(description="LLM calls by the provider's interface, if told")
    reported: tuple[str, ...] = Field(
        description="interaction metrics for which any of its measured calls had a number"
    )
    notes: tuple[Note, ...] = Field(description="what limits what it saw, by kind")


@dataclass(slots=True)
class _Watch:
    interactions: int = 0
    llm_calls: int = 0
    unattributed: int = 0
    other_unattributed: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    attribution: Counter[str] = field(default_factory=Counter)
    apis: Counter[str] = field(default_factory=Counter)
    notes: dict[str, Note] = field(default_factory=dict)


class Watches(dict[str, _Watch]):
    """What each observer said so far, by its name."""

    def __missing__(self, observer: str) -> _Watch:
        found = self[observer] = _Watch()
        return found

    def take_call(self, record: LlmCall) -> None:
        """Take an LLM call, whether it could be assigned or not."""
        watch = self[record.observer.value]
        watch.llm_calls += 1
        watch.outcomes[record.outcome.value] += 1
        watch.unattributed += record.trace_id == NO_TRACE
        if record.attribution is not None:
            watch.attribution[record.attribution.value] += 1
        if record.api is not None:
            watch.apis[record.api] += 1

    def take_note(self, record: ObserverNote) -> None:
        """Take a note."""
        notes = self[record.observer.value].notes
        note = Note(kind=record.kind, count=record.count, detail=record.detail)
        known = notes.get(record.kind)
        notes[record.kind] = note if known is None else _merge_two(known, note)

    def section(
        self, asked: Iterable[str], measured: int | None, reported: Mapping[str, Iterable[str]]
    ) -> dict[str, ObserverReport]:
        """Return a report for each observer but the client, which sees every interaction.

        `asked` are those that were to watch: one that said nothing has a report that says so.
        `measured` is None where there are no interactions, but an agent under real traffic.
        `reported` are, by observer, the metrics that any call had a number for.
        """
        names = ({*asked} | {*self}) - {Observer.CLIENT.value}
        return {
            name: _report(
                self.get(name, _Watch()),
                None if name in _NOT_OF_INTERACTIONS else measured,
                reported.get(name, ()),
            )
            for name in sorted(names)
        }


def _report(watch: _Watch, measured: int | None, reported: Iterable[str]) -> ObserverReport:
    return ObserverReport(
        interactions=None if measured is None else watch.interactions,
        eligible=measured,
        coverage=watch.interactions / measured if measured else None,
        llm_calls=watch.llm_calls,
        outcomes=dict(sorted(watch.outcomes.items())),
        attribution=dict(sorted(watch.attribution.items())),
        unattributed=watch.unattributed,
        other_unattributed=watch.other_unattributed,
        apis=dict(sorted(watch.apis.items())),
        reported=tuple(sorted(reported)),
        notes=tuple(note for _, note in sorted(watch.notes.items())),
    )


def _merge_two(first: Note, second: Note) -> Note:
    """Add two notes of a kind. The example is the first by name, whatever the order."""
    details = [note.detail for note in (first, second) if note.detail is not None]
    return Note(
        kind=first.kind, count=first.count + second.count, detail=min(details, default=None)
    )


def merge_observers(
    sections: list[dict[str, ObserverReport]], measured: list[int]
) -> dict[str, ObserverReport]:
    """Combine the reports; `measured` are the interactions of each section's profile.

    An observer that is not in a section saw nothing of its interactions. A section that is empty
    (of a profile from before there were any) says nothing at all, and is left out.
    """
    pairs = [(section, n) for section, n in zip(sections, measured, strict=True) if section]
    names = sorted({name for section, _ in pairs for name in section})
    return {name: _merge_reports(name, pairs) for name in names}


def _merge_reports(name: str, pairs: list[tuple[dict[str, ObserverReport], int]]) -> ObserverReport:
    reports = [section[name] for section, _ in pairs if name in section]
    total = _Watch(
        interactions=sum(report.interactions or 0 for report in reports),
        llm_calls=sum(report.llm_calls for report in reports),
        unattributed=sum(report.unattributed for report in reports),
        other_unattributed=sum(report.other_unattributed for report in reports),
    )
    for report in reports:
        total.outcomes.update(report.outcomes)
        total.attribution.update(report.attribution)
        total.apis.update(report.apis)
        for note in report.notes:
            known = total.notes.get(note.kind)
            total.notes[note.kind] = note if known is None else _merge_two(known, note)
    of_interactions = any(report.interactions is not None for report in reports)
    return _report(
        total,
        sum(n for _, n in pairs) if of_interactions else None,
        {metric for report in reports for metric in report.reported},
    )
